"""Every reason that a shipped recipe can reject a text for has an example, and a near one that is kept."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from corpus.build import Input, build
from corpus.recipe import SHIPPED, load_recipe, shipped
from corpus.stages.gate import Gate

from .rule_examples import EXAMPLES, code, en, zh

MADE_BY_A_BUILD = ("exact_duplicate", "near_duplicate", "benchmark_item", "sensitive_topic")  # gates of later passes
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


def judged(recipe: str, texts: list[str]) -> list[tuple[str | None, str | None]]:
    """Take texts through the steps up to the last gate of rules; return the stage and reason of each."""
    steps = load_recipe(recipe).steps
    last = max(n for n, step in enumerate(steps) if isinstance(step.stage, Gate) and step.stage.stage == "rules")
    rows = [
        {"doc": n, "id": str(n), "text": text, "title": "", "source": "made", "domain": ""}
        for n, text in enumerate(texts)
    ]
    batch = pl.DataFrame(rows).with_columns(pl.col("doc").cast(pl.UInt64))
    found: list[tuple[str | None, str | None]] = [(None, None)] * len(texts)
    for step in steps[: last + 1]:
        batch = step.stage.mark(batch, Path())
        if isinstance(step.stage, Gate):
            for row in batch.filter(pl.col("reason").is_not_null()).iter_rows(named=True):
                found[row["doc"]] = (row["stage"], row["reason"])
            batch = batch.filter(pl.col("reason").is_null())
    return found


@pytest.mark.parametrize("recipe", shipped())
def test_every_reason_has_an_example(recipe: str) -> None:
    assert set(reasons(recipe)) - set(MADE_BY_A_BUILD) <= set(EXAMPLES[recipe]) <= set(reasons(recipe))


@pytest.mark.parametrize("recipe", shipped())
def test_examples_are_rejected_for_their_reason_and_near_ones_kept(recipe: str) -> None:
    need(recipe)
    names = [name for name in reasons(recipe) if name not in MADE_BY_A_BUILD]
    pairs = [example(recipe, name) for name in names]
    filed = reasons(recipe)
    found = judged(recipe, [text for pair in pairs for text in pair])
    told = {name: (found[2 * n], found[2 * n + 1]) for n, name in enumerate(names)}
    assert told == {name: ((filed[name], name), (None, None)) for name in names}


@pytest.mark.parametrize("recipe", shipped())
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
    src = tmp_path / "data.jsonl"
    src.write_text("".join(json.dumps({"id": name, "text": texts[name]}) + "\n" for name in order), encoding="utf-8")
    benchmark = tmp_path / "benchmarks" / "gsm8k"
    benchmark.mkdir(parents=True)
    (benchmark / "test.jsonl").write_text(json.dumps({"question": question, "answer": "x #### 2"}), encoding="utf-8")
    given = load_recipe(recipe, {"decontaminate": {"benchmarks": tmp_path / "benchmarks"}})
    build([Input("jsonl", src)], given, tmp_path / "out", workers=1)
    gone = pl.concat([pl.read_parquet(file) for file in sorted((tmp_path / "out" / "rejected").glob("*.parquet"))])
    told = {row["id"].removeprefix("jsonl/"): row["reason"] for row in gone.iter_rows(named=True)}
    expected = {"exact": "exact_duplicate", "near_again": "near_duplicate", "item": "benchmark_item"}
    if "topic" in texts:
        expected["topic"] = "sensitive_topic"
    assert told == expected
    assert set(expected.values()) == set(MADE_BY_A_BUILD) & set(reasons(recipe))
