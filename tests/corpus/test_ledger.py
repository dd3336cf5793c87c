"""The ledger comes out even: every figure of it is counted again from the input and the parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sentencepiece

from corpus.build import Input, build
from corpus.ledger import Amount, Ledger, total_of
from corpus.recipe import load_recipe
from corpus.stages.boilerplate import Boilerplate
from corpus.stages.normalise import Normalise
from corpus.stages.private import Private
from workbench import manifest
from workbench.errors import ConfigError, InputError

from .everything import make_everything, parquet, records
from .made import mixed, write_wudao

MEASURES = ("documents", "chars", "bytes", "tokens")


def rows(corpus: Path) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = json.loads((corpus / "report.json").read_text(encoding="utf-8"))["ledger"]["rows"]
    return out


def measured(texts: Iterable[str], tokenizer: Path) -> dict[str, int]:
    """Count texts by the means of Python and sentencepiece alone."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer / "tokenizer.model"))
    texts = list(texts)
    return {
        "documents": len(texts),
        "chars": sum(map(len, texts)),
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": sum(len(ids) for ids in model.encode(texts)),
    }


def figures(row: dict[str, Any]) -> dict[str, int]:
    return {name: row[name] for name in MEASURES}


@pytest.mark.parametrize("source", ["jsonl", "wudao"])
def test_raw_less_every_removal_is_effective(everything: Path, source: str) -> None:
    mine = [row for row in rows(everything) if row["source"] == source]
    raw, *taken, effective = mine
    assert (raw["kind"], effective["kind"]) == ("raw", "effective")
    for name in MEASURES:
        assert raw[name] - sum(row[name] for row in taken) == effective[name]


def test_raw_and_effective_are_what_was_given_and_what_is_kept(everything: Path, tokenizer: Path) -> None:
    mine, wudao = records()
    kept = parquet(everything / "kept")
    for source, given in (("jsonl", [row["text"] for row in mine]), ("wudao", [row["content"] for row in wudao])):
        raw, *_, effective = [row for row in rows(everything) if row["source"] == source]
        assert figures(raw) == measured(given, tokenizer)
        assert figures(effective) == measured(kept.filter(pl.col("source") == source)["text"], tokenizer)


def test_every_reason_is_counted_where_the_document_left(everything: Path, tokenizer: Path) -> None:
    gone = parquet(everything / "rejected")
    seen = set()
    for row in rows(everything):
        if row["kind"] == "documents":
            stage, reason = row["operation"].split(": ")
            here = (pl.col("source") == row["source"]) & (pl.col("stage") == stage) & (pl.col("reason") == reason)
            assert figures(row) == measured(gone.filter(here)["text"], tokenizer)
            seen.add(row["operation"])
    expected = "normalise: mojibake|rules: short|rules: digits|exact: exact_duplicate|near: near_duplicate"
    assert seen == {*expected.split("|"), "decontaminate: benchmark_item", "sensitive: sensitive_topic"}


def test_what_is_taken_inside_is_told_step_by_step(everything: Path, tokenizer: Path) -> None:
    """The steps before the first gate see every record, so they can be run again by hand."""
    _, wudao = records()
    batch = pl.DataFrame({"text": [r["content"] for r in wudao], "title": [r["title"] for r in wudao]})
    inside = {row["operation"]: row for row in rows(everything) if row["source"] == "wudao" and row["kind"] == "inside"}
    for stage in (Normalise(), Boilerplate(), Private()):
        after = stage.mark(batch, Path())
        before, now = (measured(one["text"], tokenizer) for one in (batch, after))
        row = inside[stage.name]
        assert {name: before[name] - now[name] for name in MEASURES} == figures(row)
        assert row["rewritten"] == (batch["text"] != after["text"]).sum() > 0
        batch = after
    assert inside["simplify"]["rewritten"] >= 1  # it runs in a later pass, after documents have gone
    assert inside["simplify"]["chars"] == 0
    assert inside["boilerplate"]["chars"] >= len("责任编辑：张三点击进入专题")


def test_tokens_of_each_document_are_a_column(everything: Path, tokenizer: Path) -> None:
    for side in ("kept", "rejected"):
        frame = parquet(everything / side)
        assert frame["tokens"].sum() == measured(frame["text"], tokenizer)["tokens"]


def test_funnel_by_source_adds_up(everything: Path) -> None:
    steps = manifest.read(everything, "corpus", "").steps
    for before, after in zip(steps, steps[1:], strict=False):
        for source in ("jsonl", "wudao"):
            assert after["by_source"][source]["rows_in"] == before["by_source"][source]["rows_out"]
    for step in steps:
        assert step["rows_in"] == sum(one["rows_in"] for one in step["by_source"].values())
        for reason, count in step["reasons"].items():
            assert count == sum(one["reasons"].get(reason, 0) for one in step["by_source"].values())


def test_totals_are_the_sums_of_the_sources(everything: Path) -> None:
    report = json.loads((everything / "report.json").read_text(encoding="utf-8"))
    total = report["ledger"]["total"]
    assert total == total_of(rows(everything))
    for row in total:
        same = [r for r in rows(everything) if (r["kind"], r["operation"]) == (row["kind"], row["operation"])]
        assert row["chars"] == sum(one["chars"] for one in same)
    assert total[0]["kind"] == "raw"
    assert total[-1]["kind"] == "effective"
    assert [row["step"] for row in total[1:-1]] == sorted(row["step"] for row in total[1:-1])
    assert report["kept"]["tokens"] == total[-1]["tokens"]


def test_without_a_tokenizer_there_is_no_token_column(tmp_path: Path) -> None:
    out = make_everything(tmp_path, proxy=False)
    assert all("tokens" not in row for row in rows(out))
    assert "tokens" not in parquet(out / "kept").columns
    assert "skipped" in json.loads((out / "report.json").read_text(encoding="utf-8"))["proxy"]
    assert "未统计词元" in (out / "report.html").read_text(encoding="utf-8")


def test_an_interrupted_build_has_the_same_ledger(
    tmp_path: Path, everything: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from corpus.engine.store import Store

    written, left = Store.write, iter(range(4))

    def write(self: Store, *arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        written(self, *arguments)

    monkeypatch.setattr(Store, "write", write)
    with pytest.raises(KeyboardInterrupt):
        make_everything(tmp_path, tokenizer=tokenizer, proxy=False)
    monkeypatch.setattr(Store, "write", written)
    recipe = load_recipe(str(tmp_path / "recipe.yaml"), {"decontaminate": {"benchmarks": tmp_path / "benchmarks"}})
    options = {"text": "text", "id": "id", "title": "title", "domain": "domain"}
    inputs = [Input("jsonl", tmp_path / "mine", options), Input("wudao", tmp_path / "wudao")]
    build(inputs, recipe, tmp_path / "out", workers=1, tokenizer=tokenizer, proxy=False)
    assert rows(tmp_path / "out") == rows(everything)


def test_a_ledger_that_does_not_come_out_even_is_a_bug() -> None:
    ledger = Ledger(load_recipe("zh-web"), None)
    ledger.read("wudao", Amount(10, 100, 300))
    ledger.left("wudao", ("rules", "short"), Amount(1, 10, 30))
    ledger.left("wudao", None, Amount(9, 89, 270))
    with pytest.raises(AssertionError, match="does not come out even"):
        ledger.rows()


def test_a_source_of_which_nothing_is_left_is_in_the_ledger() -> None:
    ledger = Ledger(load_recipe("zh-web"), None)
    ledger.read("books", Amount(2, 10, 30))
    ledger.left("books", ("rules", "short"), Amount(2, 10, 30))
    raw, short, effective = ledger.rows()
    assert (raw["documents"], short["documents"], effective["documents"]) == (2, 2, 0)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: None, "no such file or folder"),
        (lambda folder: folder.mkdir(), "holds neither tokenizer.model nor tokenizer.json"),
        (lambda folder: (folder.mkdir(), (folder / "tokenizer.model").write_bytes(b"x")), "is no SentencePiece model"),
        (lambda folder: (folder.mkdir(), (folder / "tokenizer.json").write_text("{}")), "is no tokenizer.json"),
    ],
)
def test_a_broken_tokenizer_is_found_before_a_document_is_read(tmp_path: Path, make: Any, told: str) -> None:
    make(tmp_path / "tok")
    src = write_wudao(tmp_path / "src", mixed(20))
    with pytest.raises((InputError, ConfigError)) as caught:
        build([Input("wudao", src)], load_recipe("zh-web"), tmp_path / "out", workers=1, tokenizer=tmp_path / "tok")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
