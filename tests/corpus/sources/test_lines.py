from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources import configure
from corpus.sources import lines as lines_module
from tests.corpus.sources.reading import read, read_cut

LINE = st.sampled_from(["", " ", "甲", "乙乙乙", "a,b", "的一是了", "x" * 30])


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(LINE, min_size=1, max_size=20),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    unit=st.sampled_from(["line", "paragraph"]),
    cuts=st.lists(st.integers(1, 300), max_size=4),
)
def test_any_cut_gives_the_same_pieces(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], end: str, last: bool, unit: str, cuts: list[int]
) -> None:
    file = tmp_path_factory.mktemp("lines") / "a.txt"
    file.write_bytes((end.join(parts) + (end if last else "")).encode())
    source = configure("text", {"document": unit})
    whole = read_cut(source, file, [])
    blocks: list[list[str]] = [[]]
    for part in parts:
        if part.strip() and unit == "paragraph":
            blocks[-1].append(part)
        elif part.strip():
            blocks.append([part])
        else:
            blocks.append([])
    assert whole.texts == ["\n".join(block) for block in blocks if block]
    assert read_cut(source, file, cuts) == whole


def test_gb18030_is_cut_like_utf8(tmp_path: Path) -> None:
    lines = [f"第{n}行的字是我们的，不是他们的。" for n in range(60)]
    file = tmp_path / "a.txt"
    file.write_bytes("\n".join(lines).encode("gb18030"))
    source = configure("text", {"document": "line"})
    assert read_cut(source, file, [100, 101, 102, 1000]).texts == lines


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_packed_and_wide_files_are_one_span(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress("第一行\n\n第二行\n".encode(encoding)))
    found = read("text", file, document="line")
    assert found.texts == ["第一行", "第二行"]
    assert found.keys[0] == "a.txt@0"


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "DOCUMENT_BYTES", 100)
    file = tmp_path / "a.txt"
    file.write_bytes(b"one\n" + b"x" * 5000 + b"\ntwo\n")
    found = read("text", file, document="line")
    assert found.texts == ["one", "two"]
    assert [entry.offset for entry in found.unreadable] == [4]


def test_bad_bytes_in_a_line_cost_that_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    good = "".join(f"第{n}行\n" for n in range(20_000)).encode()
    file.write_bytes(good + b"\xff\xff bad\n" + "末行\n".encode())
    found = read("text", file, document="line")
    assert len(found.texts) == 20_001
    assert found.unreadable[0].offset == len(good)
