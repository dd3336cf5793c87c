from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources import SOURCES
from corpus.sources.base import Span
from corpus.sources.json_records import read_objects
from workbench.errors import InputError

NASTY = st.text(st.sampled_from('甲乙 {}[],:"\\\n\u2028墨"'), max_size=25)
RECORD = st.dictionaries(
    st.sampled_from(["id", "uniqueKey", "title", "content", ""]), NASTY | st.integers(-(2**63), 2**63), min_size=1
)


def read_all(path: Path, cuts: list[int]) -> tuple[list[dict[str, Any]], list[str]]:
    edges = [0, *sorted(cuts), path.stat().st_size]
    found, causes = [], []
    for start, end in zip(edges, edges[1:], strict=False):
        for objects in read_objects(Span(path, start, end)):
            found += [value for _, value in objects.found]
            causes += [entry.cause for entry in objects.unreadable]
    return found, causes


@settings(max_examples=150)
@given(
    records=st.lists(RECORD, min_size=1, max_size=8),
    form=st.sampled_from(["array", "wrapped", "lines", "indented", "bom"]),
    cuts=st.lists(st.integers(1, 400), max_size=3),
    escape=st.booleans(),
)
def test_any_form_cut_anywhere_gives_the_same_records(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], form: str, cuts: list[int], escape: bool
) -> None:
    def dump(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=escape, indent=indent)

    texts = {
        "array": dump(records),
        "bom": "\ufeff" + dump(records),
        "indented": dump(records, 2),
        "wrapped": dump({"RECORDS": records}),
        "lines": "\n".join(dump(record) for record in records) + "\n",
    }
    path = tmp_path_factory.mktemp("json") / "part-0.json"
    path.write_text(texts[form], encoding="utf-8")
    inside = [cut for cut in cuts if cut < path.stat().st_size]
    found, causes = read_all(path, inside)
    assert found == records
    assert causes == []


def write(path: Path, *records: str) -> Path:
    path.write_bytes(b"[" + b",\n".join(record.encode() for record in records) + b"]")
    return path


GOOD = '{"uniqueKey": "a", "content": "甲"}'
ALSO = '{"uniqueKey": "b", "content": "乙"}'


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ('{"uniqueKey": "x", "content": 丙}', "not JSON"),
        ('{"uniqueKey": "x", "content": "丙"', "truncated"),
        ('{"uniqueKey": "x", "content": "丙" "title": "t"}', "not JSON"),
    ],
)
def test_one_bad_record_costs_one_record(tmp_path: Path, damage: str, cause: str) -> None:
    path = write(tmp_path / "part-0.json", GOOD, damage, ALSO)
    parts = list(read_objects(Span(path, 0, path.stat().st_size)))
    assert [value["uniqueKey"] for part in parts for _, value in part.found] == ["a", "b"]
    bad = [entry for part in parts for entry in part.unreadable]
    assert len(bad) == 1
    assert cause in bad[0].cause
    assert path.read_bytes()[bad[0].offset :].startswith(damage[:10].encode())


def test_invalid_utf8_is_told_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "part-0.json"
    path.write_bytes(b"[" + GOOD.encode() + b',{"uniqueKey":"x","content":"\xff\xfe"},' + ALSO.encode() + b"]")
    (part,) = read_objects(Span(path, 0, path.stat().st_size))
    assert [value["uniqueKey"] for _, value in part.found] == ["a", "b"]
    assert "invalid UTF-8 at byte" in part.unreadable[0].cause
    assert part.unreadable[0].offset == len(GOOD.encode()) + 2


@pytest.mark.parametrize("lost", range(1, 40, 3))
def test_a_truncated_array_keeps_its_whole_records(tmp_path: Path, lost: int) -> None:
    whole = ("[" + GOOD + "," + ALSO + "]").encode()
    path = tmp_path / "part-0.json"
    path.write_bytes(whole[:-lost])
    found, causes = read_all(path, [])
    assert found[0]["uniqueKey"] == "a"
    assert any("truncated" in cause for cause in causes)


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "part-0.json", '{"uniqueKey": 1, "content": "x\\ud800y"}')
    found, causes = read_all(path, [])
    assert causes == []
    assert found[0]["content"] == "x?y"


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "part-0.json").write_bytes(b"")
    assert read_all(tmp_path / "part-0.json", []) == ([], ["empty file"])


def test_wudao_records(tmp_path: Path) -> None:
    records = [
        {"id": 1, "uniqueKey": "k1", "dataType": "新闻", "title": "题", "content": "文"},
        {"id": 2, "uniqueKey": "k2", "title": None, "content": ""},
        {"id": 3, "uniqueKey": "k3", "title": "no content"},
        {"id": 4, "content": None},
        {"id": 5, "content": "no key"},
        {"content": "neither"},
    ]
    path = tmp_path / "part-0.json"
    path.write_text(json.dumps({"RECORDS": records}, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "truth.jsonl").write_text("{}", encoding="utf-8")
    source = SOURCES["wudao"]
    assert source.files(tmp_path) == [path]
    (chunk,) = [chunk for span in source.spans(path) for chunk in source.read(span)]
    assert chunk.keys[:3] == ["k1", "k2", "5"]
    assert chunk.keys[3].startswith("part-0@")
    assert chunk.texts == ["文", "", "no key", "neither"]
    assert chunk.domains == ["新闻", "", "", ""]
    assert [entry.cause for entry in chunk.unreadable] == ["no content", "content is NoneType, not text"]


def test_wudao_folder_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        SOURCES["wudao"].files(tmp_path / "none")
    with pytest.raises(InputError, match="holds no part"):
        SOURCES["wudao"].files(tmp_path)
