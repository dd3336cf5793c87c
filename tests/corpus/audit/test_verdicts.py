from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from corpus.audit.verdicts import CELL_CHARS, COLUMNS, has_verdicts, judged, read_verdicts, write_sample
from workbench.errors import ConfigError, InputError, UserError

IDS = ["w/1", "w/2", "w/3", "b/4"]


def document(name: str, text: str = "正文", title: str = "题") -> dict[str, str]:
    return {"id": name, "source": name[0], "domain": "新闻", "bucket": "head", "title": title, "text": text}


def filled(path: Path, verdicts: dict[str, str], **more: str) -> Path:
    """Write a sample and fill it in as a person would."""
    write_sample(path, [document(name) for name in IDS])
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["verdict"] = verdicts.get(row["id"], "")
        row["category"] = more.get("category", "") if row["verdict"] else ""
    with path.open("w", encoding=more.get("encoding", "utf-8-sig"), newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter=more.get("separator", ","))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.csv", {"w/1": "pass", "w/2": "不合格", "b/4": " PASS "}, category="色情")
    found = read_verdicts(path, IDS)
    assert {name: one["verdict"] for name, one in found.items()} == {"w/1": "pass", "w/2": "fail", "b/4": "pass"}
    assert found["w/2"]["category"] == "色情"


@pytest.mark.parametrize(("encoding", "separator"), [("gb18030", ","), ("utf-8", ";"), ("utf-8-sig", "\t")])
def test_what_spreadsheets_make_of_it(tmp_path: Path, encoding: str, separator: str) -> None:
    path = filled(tmp_path / "s.csv", {"w/1": "合格", "w/3": "×"}, encoding=encoding, separator=separator)
    assert {k: v["verdict"] for k, v in read_verdicts(path, IDS).items()} == {"w/1": "pass", "w/3": "fail"}


def test_jsonl_is_read_too(tmp_path: Path) -> None:
    rows = [
        {"id": "w/1", "verdict": 1},
        {"id": "w/2", "verdict": "fail", "category": "诈骗", "text": "一行\u2028又一行\u0085"},  # which ends no line
        {"id": "w/3", "verdict": None},
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    assert read_verdicts(path, IDS) == {
        "w/1": {"verdict": "pass", "category": ""},
        "w/2": {"verdict": "fail", "category": "诈骗"},
    }


def test_no_cell_is_a_formula_and_none_is_too_long(tmp_path: Path) -> None:
    hostile = ["=cmd|' /C calc'!A1", "+1+1", "-2", "@SUM(A1)", "\tx", "\rx"]
    documents = [document(f"w/{n}", text=text, title=text) for n, text in enumerate(hostile)]
    documents.append(document("w/long", text='很长,"的"\n文字' * CELL_CHARS))
    write_sample(tmp_path / "s.csv", documents)
    with (tmp_path / "s.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        assert not any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
        assert all(len(cell) <= 32_767 for cell in row.values())
    assert rows[0]["text"] == f"'{hostile[0]}"
    assert "corpus show w/long" in rows[-1]["text"]
    assert [row["number"] for row in rows] == [str(n + 1) for n in range(len(rows))]


@pytest.mark.parametrize(
    ("raw", "kind", "told"),
    [
        (b"id,verdict\nx/9,pass\n", InputError, "is not in the sample"),
        (b"id,verdict\nw/1,pass\nw/1,fail\n", InputError, "comes twice"),
        (b"id,verdict\nw/1,maybe\n", ConfigError, "'maybe' is no verdict"),
        (b"id,judgement\nw/1,pass\n", InputError, "does not name the columns"),
        (b"", InputError, "does not name the columns"),
        (b"\xff\xff\xff\xff", InputError, "neither UTF-8 nor GB18030"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, raw: bytes, kind: type[UserError], told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(raw)
    with pytest.raises(kind) as caught:
        read_verdicts(path, IDS)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "told"), [("{", "is not JSON"), ("[1]", "is no object"), ('{"id": "w/1"}', "has no verdict")]
)
def test_bad_lines_are_one_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"id": "w/2", "verdict": "pass"}\n' + line, encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        read_verdicts(path, IDS)
    assert f"{path}:2" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_verdicts(tmp_path / "none.csv", IDS)


def test_begun_tables_are_known(tmp_path: Path) -> None:
    assert not has_verdicts(filled(tmp_path / "a.csv", {}))
    assert has_verdicts(filled(tmp_path / "b.csv", {"w/2": "pass"}))
    assert has_verdicts(filled(tmp_path / "c.csv", {"w/2": "?"}))
    (tmp_path / "d.csv").write_text("notes of somebody", encoding="utf-8")
    assert has_verdicts(tmp_path / "d.csv")


def verdicts(passed: int, failed: int) -> dict[str, dict[str, str]]:
    words = ["pass"] * passed + ["fail"] * failed
    return {str(n): {"verdict": word, "category": "porn" if word == "fail" else ""} for n, word in enumerate(words)}


@pytest.mark.parametrize(
    ("passed", "failed", "state", "rate"),
    [
        (0, 0, "pending", None),
        (50, 0, "pending", 1.0),
        (96, 4, "met", 0.96),
        (95, 5, "missed", 0.95),
        (10, 5, "missed", 10 / 15),  # the others cannot make up for five
        (10, 4, "pending", 10 / 14),
    ],
)
def test_the_state_of_the_reading(passed: int, failed: int, state: str, rate: float | None) -> None:
    sample = {str(n): "a" if n % 2 else "b" for n in range(100)}
    found = judged(verdicts(passed, failed), sample, 0.96)
    assert (found["state"], found["pass_rate"], found["sample"]) == (state, rate, 100)
    assert sum(one["failed"] for one in found["by_source"].values()) == failed
    assert sum(sum(counts.values()) for counts in found["categories"].values()) == failed
