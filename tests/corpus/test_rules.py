"""Every reason for which a shipped recipe can reject a text has an example, and a near one that is kept."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest

from corpus.build import Input, build
from corpus.recipe import load_recipe, shipped
from corpus.stages.gate import Gate
from corpus.work import Job, run_steps

from .rule_examples import EXAMPLES, code, en, zh

IN_A_BUILD = {"exact_duplicate", "near_duplicate", "benchmark_item", "sensitive_topic", "only_repeated_lines"}
PROSE = {"en-web": en, "code": code}  # zh for the others


def reasons(recipe: str, *, first_pass: bool) -> dict[str, tuple[str, str]]:
    """Return the reasons of a recipe's gates as the tables here name them: the stage they are filed under, and they.

    A gate that is for some documents alone has its condition in the name: two such gates may have the same reason.
    """
    found = {}
    for step in load_recipe(recipe).steps:
        if isinstance(step.stage, Gate) and (step.pass_number == 0) == first_pass:
            suffix = f" when {step.when}" if step.when else ""
            found |= {reason + suffix: (step.stage.stage, reason) for reason in step.stage.reject}
    return found


def example(recipe: str, name: str) -> tuple[str, str]:
    pair = EXAMPLES[recipe][name]
    return pair() if callable(pair) else pair


def need(recipe: str) -> None:
    if recipe == "fineweb2-zh":
        pytest.importorskip("jieba", reason="needs the extra segment")


def judged(recipe: str, texts: list[tuple[str, str]], folder: Path) -> list[tuple[str | None, str | None]]:
    """Take texts, each of a source, through the steps of the first pass; return the stage and reason of each."""
    rows = [
        {"doc": n, "id": str(n), "text": text, "title": "", "source": source, "domain": ""}
        for n, (source, text) in enumerate(texts)
    ]
    batch = pl.DataFrame(rows).with_columns(pl.col("doc").cast(pl.UInt64))
    marked, _ = run_steps(batch, Job(folder, load_recipe(recipe)), 0)
    return [(row["stage"], row["reason"]) for row in marked.iter_rows(named=True)]


@pytest.mark.parametrize("recipe", shipped())
def test_every_reason_has_an_example(recipe: str) -> None:
    later = set(reasons(recipe, first_pass=False))
    assert set(reasons(recipe, first_pass=True)) == set(EXAMPLES[recipe]) - later
    assert later <= IN_A_BUILD


@pytest.mark.parametrize("recipe", shipped())
def test_examples_are_rejected_for_their_reason_and_near_ones_kept(tmp_path: Path, recipe: str) -> None:
    need(recipe)
    filed = reasons(recipe, first_pass=True)
    sources = ["code" if "= 'code'" in name else "made" for name in filed]
    texts = [(source, text) for source, name in zip(sources, filed, strict=True) for text in example(recipe, name)]
    found = judged(recipe, texts, tmp_path)
    told = {name: (found[2 * n], found[2 * n + 1]) for n, name in enumerate(filed)}
    assert told == {name: (verdict, (None, None)) for name, verdict in filed.items()}


def test_a_couplet_under_its_title_is_not_short(tmp_path: Path) -> None:
    verse, scraps = "山行\n佚名\n日落归人远，灯明小径长。", "返回首页 上一页\n下一页 联系我们"
    found = judged("zh-web", [("made", verse), ("made", scraps)], tmp_path)
    assert found == [(None, None), ("rules", "short")]


@pytest.mark.parametrize("recipe", shipped())
def test_reasons_of_later_passes(tmp_path: Path, recipe: str) -> None:
    """Duplicates, items, topics and lines of other documents are seen in a build: each goes, its near one stays."""
    need(recipe)
    filed = reasons(recipe, first_pass=False)
    made, rng = PROSE.get(recipe, zh), random.Random(1)
    question, footer, near = made(900, 3), made(907, 4), made(901, 40)
    texts = {f"clean{n}": made(n, 40) for n in range(30)}
    if "only_repeated_lines" in filed:
        texts = {name: text + "\n" + footer for name, text in texts.items()}
    texts |= {
        "near": near,
        "item": made(904, 12) + "\n" + question + "\n" + made(905, 12),
        "item_part": made(906, 24) + "\n" + question[: len(question) // 4] + made(908, 12),
        "exact": texts["clean3"],
        "exact_near": texts["clean3"][:100] + made(902, 40),
        "near_again": near[20:],
        "near_other": near[: len(near) // 3] + made(903, 30),
    }
    expected = {"exact": "exact_duplicate", "near_again": "near_duplicate", "item": "benchmark_item"}
    if "only_repeated_lines" in filed:
        texts |= {"footer": footer, "footer_near": made(909, 4) + "\n" + footer}
        expected["footer"] = "only_repeated_lines"
    if "sensitive_topic" in filed:
        texts["topic"], texts["topic_near"] = example(recipe, "sensitive_topic")
        expected["topic"] = "sensitive_topic"
    first = list(texts)[:31]  # of two alike the one read first stays
    rest = sorted(set(texts) - set(first), key=lambda name: rng.random())
    src = tmp_path / "data.jsonl"
    rows = [json.dumps({"id": name, "text": texts[name]}) + "\n" for name in (*first, *rest)]
    src.write_text("".join(rows), encoding="utf-8")
    benchmark = tmp_path / "benchmarks" / "gsm8k"
    benchmark.mkdir(parents=True)
    (benchmark / "test.jsonl").write_text(json.dumps({"question": question, "answer": "x #### 2"}), encoding="utf-8")
    given = load_recipe(recipe, {"decontaminate": {"benchmarks": tmp_path / "benchmarks"}})
    build([Input("jsonl", src)], given, tmp_path / "out", workers=1)
    gone = pl.concat([pl.read_parquet(file) for file in sorted((tmp_path / "out" / "rejected").glob("*.parquet"))])
    told = {row["id"].removeprefix("jsonl/"): row["reason"] for row in gone.iter_rows(named=True)}
    assert told == expected
    assert set(expected.values()) == set(filed)
