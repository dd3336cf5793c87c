from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from corpus.report.html import bar, percent, table, text
from corpus.report.page import page

from ..everything import IMAGE, SCRIPT
from .pages import Page


@pytest.fixture(scope="module")
def report(everything: Path) -> dict[str, Any]:
    out: dict[str, Any] = json.loads((everything / "report.json").read_text(encoding="utf-8"))
    return out


def test_hostile_titles_ids_domains_and_recipes_are_shown_and_not_run(everything: Path) -> None:
    raw = (everything / "report.html").read_text(encoding="utf-8")
    read = Page(raw)
    assert read.foreign == []
    assert SCRIPT in read.text  # ids and titles
    assert IMAGE in read.text  # domains
    assert "<script>alert(2)</script>" in read.text  # the recipe's name
    assert "default-src 'none'" in raw


def test_hostile_signals_reasons_terms_and_causes_are_inert(report: dict[str, Any]) -> None:
    """What a user's columns, word lists and files are called reaches the page too."""
    worse = json.loads(json.dumps(report))
    worse["unreadable"] = [{"file": IMAGE, "offset": 3, "cause": SCRIPT}]
    worse["by_domain"].append({"source": IMAGE, "domain": SCRIPT, "kept": 1, "rejected": 0, "kept_chars": 3})
    worse["signals"].append({"signal": SCRIPT, "values": [{"value": IMAGE, "kept": 1, "rejected": 0}], "others": 0})
    worse["signals"][0]["signal"] = IMAGE
    for mark in (one for signal in worse["signals"] for one in signal.get("thresholds", [])):
        mark["reason"] = SCRIPT
    worse["reasons"][0] |= {"stage": IMAGE, "reason": SCRIPT}
    worse["reasons"][0]["examples"][0] |= {"detail": SCRIPT, "duplicate_of": IMAGE}
    worse["ledger"]["tokenizer"] = SCRIPT
    worse["proxy"]["held_out"]["domains"] = [IMAGE]
    worse["steps"][3]["name"] = SCRIPT
    for bad in ({}, {"proxy": {"skipped": SCRIPT}}):
        read = Page(page(worse | bad))
        assert read.foreign == []
        assert IMAGE in read.text


def test_the_page_says_what_the_report_says(everything: Path, report: dict[str, Any]) -> None:
    shown = Page((everything / "report.html").read_text(encoding="utf-8")).text
    for row in report["ledger"]["total"]:
        assert f"{row['chars']:,}" in shown
    for heading in ("账本", "漏斗", "来源与领域", "分桶", "剔除原因", "重复簇", "信号与阈值", "各桶样例"):
        assert heading in shown
    for source in ("jsonl", "wudao"):
        assert f"{report['steps'][-1]['by_source'][source]['rows_out']:,}" in shown
    for bucket in report["proxy"]["buckets"]:
        assert f"{bucket['bits_per_char']:.4g}" in shown


def test_lines_stand_where_the_thresholds_are(everything: Path, report: dict[str, Any]) -> None:
    raw = (everything / "report.html").read_text(encoding="utf-8")
    marks = [one for signal in report["signals"] if signal.get("kept_counts") for one in signal["thresholds"]]
    assert len(re.findall(r"<line", raw)) == len(marks) >= 5
    assert len(re.findall(r"<line class='some'", raw)) == sum(not one["alone"] for one in marks) >= 2


def test_the_page_keeps_chinese_readable_and_is_one_file(everything: Path) -> None:
    raw = (everything / "report.html").read_text(encoding="utf-8")
    assert "lang='zh-CN'" in raw
    assert "\\u" not in raw
    assert not re.search(r"(?:src|href|url|@import)\W+(?:https?:)?//", raw)
    assert "Noto Sans CJK SC" in raw
    assert "prefers-color-scheme: dark" in raw


def test_examples_and_samples_are_the_same_on_every_build(
    report: dict[str, Any], tmp_path: Path, tokenizer: Path
) -> None:
    from ..everything import make_everything

    other = json.loads((make_everything(tmp_path, tokenizer=tokenizer, proxy=False) / "report.json").read_text("utf-8"))
    for part in ("reasons", "samples", "clusters", "signals", "joined", "by_domain"):
        assert report[part] == other[part]
    assert [one["bucket"] for one in report["samples"]] == ["head", "middle", "tail"]
    assert all(len(one["examples"]) == 3 for one in report["samples"])


def test_tables_escape_every_cell_and_set_numbers_right() -> None:
    made = table(
        [{"a": "<b>", "n": 1234, "s": percent(0.5)}, {"a": None, "n": None, "s": percent(None)}],
        {"a": "A<", "n": "n", "s": "s", "x": "x"},
    )
    assert "&lt;b&gt;" in made and "A&lt;" in made
    assert "<td class=n>1,234</td>" in made and "<td class=n>50.0 %</td>" in made
    assert ">x<" not in made
    assert text('"<') == "&quot;&lt;"
    assert "width:100.00%" in bar(7.0)
