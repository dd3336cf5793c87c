"""Every reason that a shipped recipe can reject a text for has an example, and a near one that is kept."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from corpus.build import Input, build
from corpus.recipe import SHIPPED, load_recipe, shipped
from corpus.stages.gate import Gate
from corpus.work import take

from .rule_examples import EXAMPLES, code, en, zh

MADE_BY_A_BUILD = (
    "exact_duplicate",
    "near_duplicate",
    "only_repeated_lines",
    "benchmark_item",
    "sensitive_topic",
)  # gates of later passes
PROSE = {"zh-web": zh, "fineweb2-zh": zh, "en-web": en, "code": code}


def reasons(recipe: str) -> dict[str, str]:
    """Return the reasons of a recipe's gates, read from its YAML, with the stage they are filed under."""
    steps: list[Any] = yaml.safe_load((SHIPPED / f"{recipe}.yaml").read_text(encoding="utf-8"))["steps"]
    gates = [step["gate"] for step in steps if isinstance(step, dict) and "gate" in step]
    return {reason: gate["stage"] for gate in gates for reason in gate["reject"]}


def example(recipe: str, reason: str) -> tuple[str, str]:
    pair = EXAMPLES[recipe][reason]
    return pair() if callable(pair) else pair


def need(recipe: str) -> None:
    if recipe == "fineweb2-zh":
        pytest.importorskip("jieba", reason="needs the extra segment")


ALONE = [name for name in shipped() if name != "mixed"]  # mixed is made of the rules of three of them


def judged(recipe: str, texts: list[str], source: str = "made") -> list[tuple[str | None, str | None]]:
    """Take texts through the steps up to the last gate of the first pass; return the stage and reason of each."""
    steps = load_recipe(recipe).of_pass(0)
    last = max(n for n, step in enumerate(steps) if isinstance(step.stage, Gate))
    rows = [
        {"doc": n, "id": str(n), "text": text, "title": "", "source": source, "domain": ""}
        for n, text in enumerate(texts)
    ]
    batch = pl.DataFrame(rows).with_columns(pl.col("doc").cast(pl.UInt64))
    found: list[tuple[str | None, str | None]] = [(None, None)] * len(texts)
    for step in steps[: last + 1]:
        batch = take(step, batch, Path())
        if isinstance(step.stage, Gate):
            for row in batch.filter(pl.col("reason").is_not_null()).iter_rows(named=True):
                found[row["doc"]] = (row["stage"], row["reason"])
            batch = batch.filter(pl.col("reason").is_null())
    return found


@pytest.mark.parametrize("recipe", ALONE)
def test_every_reason_has_an_example(recipe: str) -> None:
    assert set(reasons(recipe)) - set(MADE_BY_A_BUILD) <= set(EXAMPLES[recipe]) <= set(reasons(recipe))


@pytest.mark.parametrize("recipe", ALONE)
def test_examples_are_rejected_for_their_reason_and_near_ones_kept(recipe: str) -> None:
    need(recipe)
    names = [name for name in reasons(recipe) if name not in MADE_BY_A_BUILD]
    pairs = [example(recipe, name) for name in names]
    filed = reasons(recipe)
    found = judged(recipe, [text for pair in pairs for text in pair])
    told = {name: (found[2 * n], found[2 * n + 1]) for n, name in enumerate(names)}
    assert told == {name: ((filed[name], name), (None, None)) for name in names}


@pytest.mark.parametrize(("recipe", "source"), [("zh-web", "made"), ("en-web", "made"), ("code", "code")])
def test_mixed_rejects_what_the_recipe_of_the_language_does(recipe: str, source: str) -> None:
    of_language = {*MADE_BY_A_BUILD, "not_english", "few_han"}  # there such a text goes by another language's rules
    names = [name for name in reasons(recipe) if name not in of_language]
    found = judged("mixed", [text for name in names for text in example(recipe, name)], source)
    assert [name for n, name in enumerate(names) if found[2 * n] == (None, None)] == []
    assert [name for n, name in enumerate(names) if found[2 * n + 1] != (None, None)] == []


@pytest.mark.parametrize("recipe", ALONE)
def test_reasons_of_later_passes(tmp_path: Path, recipe: str) -> None:
    """Duplicates, benchmark items and sensitive topics are seen in a build: each positive goes, its near one stays."""
    need(recipe)
    made, rng = PROSE[recipe], random.Random(1)
    question = made(900, 3)
    near = made(901, 40)
    texts = {f"clean{n}": made(n, 40) for n in range(30)}
    texts |= {
        "exact": texts["clean3"],
        "exact_near": texts["clean3"][:100] + made(902, 40),
        "near": near,
        "near_again": near[20:],
        "near_other": near[: len(near) // 3] + made(903, 30),
        "item": made(904, 12) + "\n" + question + "\n" + made(905, 12),
        "item_part": made(906, 24) + "\n" + question[: len(question) // 4],
    }
    if "sensitive_topic" in EXAMPLES[recipe]:
        texts["topic"], texts["topic_near"] = example(recipe, "sensitive_topic")
    order = sorted(texts, key=lambda name: (name.startswith(("exact", "near_")), rng.random()))
    shared = [made(910 + n, 30).replace("\n", " ") for n in range(8)]  # each line in 21 documents, none twice the same
    expected: dict[str, str] = {}
    if "only_repeated_lines" in reasons(recipe):
        seen: set[int] = set()
        for lines in combinations(range(8), 3):
            name = "lines" + "".join(map(str, lines))
            texts[name] = "\n".join(shared[n] for n in lines)
            order.append(name)
            if seen >= set(lines):
                expected[name] = "only_repeated_lines"
            seen |= set(lines)
    src = tmp_path / "data.jsonl"
    src.write_text("".join(json.dumps({"id": name, "text": texts[name]}) + "\n" for name in order), encoding="utf-8")
    benchmark = tmp_path / "benchmarks" / "gsm8k"
    benchmark.mkdir(parents=True)
    (benchmark / "test.jsonl").write_text(json.dumps({"question": question, "answer": "x #### 2"}), encoding="utf-8")
    given = load_recipe(recipe, {"decontaminate": {"benchmarks": tmp_path / "benchmarks"}})
    build([Input("jsonl", src)], given, tmp_path / "out", workers=1)
    gone = pl.concat([pl.read_parquet(file) for file in sorted((tmp_path / "out" / "rejected").glob("*.parquet"))])
    told = {row["id"].removeprefix("jsonl/"): row["reason"] for row in gone.iter_rows(named=True)}
    expected |= {"exact": "exact_duplicate", "near_again": "near_duplicate", "item": "benchmark_item"}
    if "topic" in texts:
        expected["topic"] = "sensitive_topic"
    assert told == expected
    assert set(expected.values()) == set(MADE_BY_A_BUILD) & set(reasons(recipe))
