from __future__ import annotations

from pathlib import Path

import pytest

from corpus.sources import SOURCES, Chunk, configure, plan
from corpus.sources import base as base_module
from corpus.sources.base import Item, Record, Skipped, Unreadable, in_chunks, root_of
from tests.corpus.sources.reading import read
from workbench.errors import InputError


def test_small_files_share_a_span_and_keys_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(30):
        (tmp_path / f"{n % 3}").mkdir(exist_ok=True)
        (tmp_path / f"{n % 3}" / f"{n:02d}.txt").write_text(f"文{n}" * 10, encoding="utf-8")
    assert len(plan(configure("text", {}), tmp_path)) == 1
    monkeypatch.setattr(base_module, "SPAN_BYTES", 200)
    spans = plan(configure("text", {}), tmp_path)
    assert 5 < len(spans) < 30
    found = read("text", tmp_path)
    assert found.keys == sorted(f"{n % 3}/{n:02d}.txt" for n in range(30))
    assert found.domains[0] == "0"


def test_chunks_are_bounded_and_signals_are_as_long_as_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "CHUNK_BYTES", 1000)
    items: list[Item] = [Record(str(n), "字" * 50, signals={"a": n} if n % 2 else {"b": "x"}) for n in range(20)]
    bad: list[Item] = [Unreadable("f", 0, "c"), Skipped("f", "r"), Skipped("f", "r", 2)]
    chunks = list(in_chunks([*items, *bad]))
    assert [len(chunk.keys) for chunk in chunks] == [4, 4, 4, 4, 4, 0]
    assert [key for chunk in chunks for key in chunk.keys] == [str(n) for n in range(20)]
    assert chunks[0].signals == {"b": ["x", None, "x", None], "a": [None, 1, None, 3]}
    assert chunks[-1].skipped == [Skipped("f", "r", 3)]


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("甲", encoding="utf-8")
    (tmp_path / "b.txt").write_text("乙", encoding="utf-8")
    source = configure("text", {})
    spans = plan(source, tmp_path)
    (tmp_path / "a.txt").unlink()
    chunks: list[Chunk] = [chunk for span in spans for chunk in source.read(span)]
    assert [text for chunk in chunks for text in chunk.texts] == ["乙"]
    assert "no such file" in chunks[0].unreadable[0].cause


def test_the_root_of_keys(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("甲", encoding="utf-8")
    assert root_of(tmp_path) == tmp_path
    assert root_of(tmp_path / "a.txt") == tmp_path
    assert root_of(tmp_path / "x*" / "**" / "*.txt") == tmp_path


def test_every_source_refuses_a_missing_path_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, source in SOURCES.items():
        for path in (tmp_path / "none", tmp_path / "empty"):
            with pytest.raises(InputError) as caught:
                source.files(path)
            assert "\n" not in str(caught.value), name


def test_what_is_carried_is_declared_before_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "甲", "score": 1, "label": "x"}\n', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "乙", "score": 2.5, "stars": 3}\n', encoding="utf-8")
    source = configure("jsonl", {})
    files = source.files(tmp_path)
    assert source.signals(files) == {"label": "label", "score": "number", "stars": "number"}
    assert read("jsonl", tmp_path).signals == [{"label": "x", "score": 1.0}, {"score": 2.5, "stars": 3.0}]
    assert configure("medical", {}).signals(files) == {"score": "number", "stars": "number"}
    assert configure("code", {}).signals(files) == {"license": "label"}
    assert configure("wudao", {}).signals(files) == {}
    (tmp_path / "c.jsonl").write_text('{"text": "丙", "score": "high"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="is a label here and a number in"):
        source.signals(source.files(tmp_path))
