from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources.base import Span
from corpus.sources.encoding import Decoded, decode, open_utf8, sniff

SIMPLIFIED = "研墨的人不是一天就会的，先要知道水和墨的多少，然后慢慢地来；这是我们从前学过的。" * 5
TRADITIONAL = "這個問題我們已經說過了，你們來看一看，還有沒有其他的方法可以用在這裡呢？" * 5
WESTERN = "It\u2019s a caf\u00e9 where the r\u00e9sum\u00e9 of Mr. M\u00fcller was read aloud. " * 8


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (SIMPLIFIED, "utf-8", "utf-8"),
        (SIMPLIFIED, "utf-8-sig", "utf-8-sig"),
        (SIMPLIFIED, "gb18030", "gb18030"),
        (SIMPLIFIED, "utf-16", "utf-16"),
        (SIMPLIFIED + "\n 1998 abc\n" * 3, "utf-16-le", "utf-16-le"),
        (SIMPLIFIED + "\n 1998 abc\n" * 3, "utf-16-be", "utf-16-be"),
        (TRADITIONAL, "big5hkscs", "big5hkscs"),
        (TRADITIONAL, "gb18030", "gb18030"),
        (WESTERN, "cp1252", "cp1252"),
        ("plain ASCII", "ascii", "utf-8"),
    ],
)
def test_each_encoding_is_found(text: str, encoding: str, found: str) -> None:
    assert decode(text.encode(encoding)) == Decoded(text, found)


def test_a_file_with_a_damaged_place_is_read_with_a_mark_there() -> None:
    data = bytearray((SIMPLIFIED * 20).encode("gb18030"))
    data[1001] = 0xFF
    decoded = decode(bytes(data))
    assert isinstance(decoded, Decoded)
    assert decoded.encoding == "gb18030"
    assert 1 <= decoded.text.count("\ufffd") <= 2


def test_bytes_that_are_no_text_are_refused() -> None:
    assert isinstance(decode(bytes(range(1, 256)) * 40), str)
    assert isinstance(decode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40), str)


def test_line_ends_become_one_kind() -> None:
    assert decode("甲\r\n乙\r丙".encode()) == Decoded("甲\n乙\n丙", "utf-8")


@given(
    st.text(
        st.sampled_from("的一是了我不人在他有这上们来到时大地为子中你说生国年着就那和要她"), min_size=40, max_size=400
    )
)
def test_a_head_cut_inside_a_character_tells_the_same(text: str) -> None:
    text = SIMPLIFIED[:40] + text  # 一一一一 alone in GB18030 is also UTF-8
    for encoding in ("utf-8", "gb18030"):
        assert sniff((text + "\n" + text).encode(encoding)[:-1], cut=True) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "big5hkscs"])
def test_a_stream_is_utf8_whatever_the_file_is(tmp_path: Path, encoding: str) -> None:
    text = TRADITIONAL if encoding == "big5hkscs" else SIMPLIFIED
    file = tmp_path / "a.txt"
    file.write_bytes((text * 200).encode(encoding))
    opened = open_utf8(Span(file, 0, file.stat().st_size))
    assert opened.stream.read().decode() == text * 200
    assert opened.is_plain == (encoding == "utf-8")
