"""Which figures are comparable, which of them is bold, and the forms in which the table is written."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from eval.cli import command
from eval.published import Figure, Row, published
from eval.table import as_dict, number, table
from eval.table_page import table_page
from eval.table_text import long_csv, markdown, wide_csv, width

HOSTILE = "<script>alert(1)</script>|**x**\x1b[31m\u202e"


class Page(HTMLParser):
    """The tags of a page, and the cells of its first table."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.text, self._cell, self._tables = [], [], [], None, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._tables += tag == "table"
        if self._tables == 1:
            if tag == "tr":
                self.rows.append([])
            elif tag in ("th", "td"):
                self.rows[-1].append({"class": dict(attrs).get("class", ""), "text": "", "bold": False})
            elif tag == "b":
                self.rows[-1][-1]["bold"] = True

    def handle_endtag(self, tag):
        self._tables += tag == "table"  # an even count: outside

    def handle_data(self, data):
        self.text.append(data)
        if self._tables == 1 and self.rows and self.rows[-1]:
            self.rows[-1][-1]["text"] += data


def own(value=99.0, kind="base", shots=5, model="mine", **more):
    return Row(model, "own", {"mmlu": Figure(value, kind, shots, "official", "runs/mine/scores.json", **more)})


@pytest.fixture(scope="module")
def shipped():
    return table(published())


def best_of(found):
    return {
        b.id: [row.model for row, cells in found.rows if b.id in cells and cells[b.id].best] for b in found.benchmarks
    }


def test_the_best_among_comparable_figures(shipped):
    assert best_of(shipped) == {
        "mmlu": ["Qwen-72B"],
        "ceval": ["Qwen-72B"],
        "gsm8k": ["Qwen-72B"],  # 84.91 and 84.1 are chat models'
        "math": ["Qwen-72B"],
        "humaneval": ["DeepSeek LLM 67B Base"],  # 73.8 and 67.1 are chat models'
        "mbpp": ["DeepSeek LLM 67B Base"],
        "bbh": ["DeepSeek LLM 67B Base"],  # 71.7 is a chat model's
        "cmmlu": ["Qwen-72B"],
    }


def test_chat_rows_are_not_comparable_and_say_why(shipped):
    for row, cells in shipped.rows:
        grey = row.model in ("DeepSeek LLM 67B Chat", "TigerBot", "Yuan-2.0 (102B)")
        assert all(cell.comparable != grey for cell in cells.values()), row.model
        assert not any(cell.best and not cell.comparable for cell in cells.values())
    chat = {row.model: cells for row, cells in shipped.rows}["DeepSeek LLM 67B Chat"]
    assert [t.en for t in chat["gsm8k"].why_not] == ["a chat model, not a base", "0-shot, not 8-shot"]
    assert [t.en for t in chat["bbh"].why_not] == ["a chat model, not a base", "shots not stated"]


@pytest.mark.parametrize(
    ("row", "best"),
    [
        (own(), True),
        (own(77.4), True),  # equal to the best: both are bold
        (own(10.0), False),
        (own(kind="chat"), False),
        (own(kind=None), False),
        (own(shots=0), False),
        (own(shots=None), False),
    ],
)
def test_own_rows_beside_the_published(row, best):
    found = table(published(), [row])
    cells = found.rows[-1][1]
    assert cells["mmlu"].best == best
    assert ("Qwen-72B" in best_of(found)["mmlu"]) == (not best or row.figures["mmlu"].value == 77.4)


def test_numbers_as_published():
    assert [number(x) for x in (55.0, 46.8, 68.03, 84.91, 5, 33.3333, 99.999)] == [
        "55.0",
        "46.8",
        "68.03",
        "84.91",
        "5.0",
        "33.33",
        "100.0",
    ]


def test_markdown(shipped):
    lines = markdown(shipped).splitlines()
    cells = {line.split(" | ")[0].strip("| "): [c.strip(" |") for c in line.split(" | ")] for line in lines[:20]}
    assert cells["Qwen-72B"][2:10] == [
        "**77.4**",
        "**83.3**",
        "**78.9**",
        "**35.2**",
        "35.4",
        "52.2",
        "67.7",
        "**83.6**",
    ]
    assert cells["TigerBot"][2:10] == ["(68.03)³", "(67.75)³", "(84.91)³", "–", "–", "–", "–", "–"]
    assert cells["Model"][2:5] == ["MMLU (5-shot)", "C-Eval (5-shot)", "GSM8K (8-shot)"]
    assert "DeepSeek LLM 67B Base (added)" in cells
    assert "3. a chat model, not a base; shots not stated" in lines
    assert len({width(line) for line in lines[:20]}) == 1


def test_wide_characters_stay_in_line():
    lines = markdown(table(published(), [own(model="研墨一号")])).splitlines()[:21]
    assert len({width(line) for line in lines}) == 1
    assert lines[-1].startswith("| 研墨一号 (own) ")


def test_csv(shipped):
    wide = list(csv.DictReader(io.StringIO(wide_csv(shipped))))
    assert len(wide) == 18
    assert {key: wide[16][key] for key in ("model", "MMLU", "GSM8K", "HumanEval")} == {
        "model": "Yuan-2.0 (102B)",
        "MMLU": "",
        "GSM8K": "76.6",
        "HumanEval": "67.1",
    }
    long = list(csv.DictReader(io.StringIO(long_csv(shipped))))
    assert len(long) == sum(len(cells) for _, cells in shipped.rows)
    assert {row["shots"] for row in long if row["model"] == "TigerBot"} == {"not stated"}
    assert all(row["protocol"] and row["source"] and row["kind"] for row in long)
    assert {row["comparable"] for row in long if row["kind"] == "chat"} == {"no"}


def test_json(shipped):
    found = json.loads(json.dumps(as_dict(shipped)))
    assert [b["id"] for b in found["benchmarks"]] == list(found["rows"][0]["figures"])
    rows = {row["model"]: row for row in found["rows"]}
    assert rows["Qwen-72B"]["figures"]["mmlu"] == {
        "value": 77.4,
        "kind": "base",
        "shots": 5,
        "protocol": "best-of-two",
        "source": "qwen",
        "n": None,
        "stderr": None,
        "split": None,
        "comparable": True,
        "why_not": [],
        "best": True,
    }
    assert rows["TigerBot"]["figures"]["mmlu"]["shots"] == "not stated"
    assert rows["TigerBot"]["figures"]["math"] is None
    assert rows["DeepSeek LLM 67B Base"]["origin"] == "added"
    assert set(found["sources"]) == {"qwen", "deepseek", "tigerbot", "yuan"}


def test_the_page(shipped):
    page = Page(table_page(shipped))
    assert len(page.rows) == 19
    for line, (row, cells) in zip(page.rows[1:], shipped.rows, strict=True):
        assert line[0]["text"].startswith(row.model)
        for cell, benchmark in zip(line[2:10], shipped.benchmarks, strict=True):
            found = cells.get(benchmark.id)
            assert cell["text"].startswith("–" if found is None else number(found.figure.value))
            assert ("grey" in cell["class"]) == (found is None or not found.comparable)
            assert cell["bold"] == (found is not None and found.best)
    assert "not stated" in page.rows[16][2]["text"]


def fetches(tags):
    """Return what a page would fetch or run; links that a reader follows are none of it."""
    return [
        (tag, given)
        for tag, given in tags
        if tag in ("script", "link", "img", "iframe", "object", "base", "form", "meta" if "http-equiv" in given else "")
        or "src" in given
        or any(name.startswith("on") for name in given)
    ]


def test_hostile_text_is_shown_and_not_run():
    found = table(published(), [own(model=HOSTILE, differs=())])
    text = table_page(found)
    page = Page(text)
    assert fetches(page.tags) == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "http" not in text.split("<style>")[1].split("</style>")[0]
    for shown in (text, markdown(found), wide_csv(found), long_csv(found)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert r"\<script\>alert(1)\</script\>\|\*\*x\*\*" in markdown(found)
    script = own(model="=HYPERLINK(1)")
    assert "'=HYPERLINK(1)" in wide_csv(table(published(), [script]))
    evil = Row("m", "own", {"mmlu": Figure(1.0, "base", 5, "p", "https://x' onclick='alert(1)")})
    assert fetches(Page(table_page(table(published(), [evil]))).tags) == []


def test_only_web_addresses_become_links():
    evil = Row("m", "own", {"mmlu": Figure(1.0, "base", 5, "p", "javascript:alert(1)")})
    page = Page(table_page(table(published(), [evil])))
    assert all(given["href"].startswith("https://") for tag, given in page.tags if tag == "a")


def test_chinese_is_tagged_and_both_schemes_are_there(shipped):
    text = table_page(shipped)
    assert "<html lang='zh-CN'>" in text
    assert "prefers-color-scheme: dark" in text
    assert "<span lang='zh-CN'>评测对照表</span> <span lang='en'>Benchmark table</span>" in text
    assert "\\u" not in text


def test_the_command(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    scores = {"model": "mine", "tasks": {"mmlu": {"value": 90, "shots": 5}, "math500": {"value": 3}}}
    (run / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    out = tmp_path / "out"
    assert command(["table", "--scores", str(run), "--kind", "base", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "| mine (own) " in printed.out
    assert "**90.0**" in printed.out
    assert "left out: math500" in printed.err
    assert sorted(path.name for path in out.iterdir()) == [
        "figures.csv",
        "table.csv",
        "table.html",
        "table.json",
        "table.md",
    ]
    assert (out / "table.md").read_text(encoding="utf-8") == printed.out
    assert command(["table", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 18
    assert command(["table", "--scores", str(run), "--format", "csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("model,origin,kind,MMLU,")
    assert "kind not stated" in printed.err
    assert command(["table", "--format", "html"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
