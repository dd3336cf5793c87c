from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources import unpack
from corpus.sources.unpack import kind_of, open_file, unpacked

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_streams_that_follow_each_other_are_one(kind: str, parts: list[bytes]) -> None:
    with unpacked(io.BytesIO(b"".join(PACKERS[kind](part) for part in parts))) as stream:
        assert stream.read() == b"".join(parts)
        assert stream.broken == ""


def test_a_plain_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes("名为 gz，其实不是".encode())
    with open_file(tmp_path / "a.gz") as stream:
        assert stream.read().decode() == "名为 gz，其实不是"


def test_a_text_that_begins_like_bz2_is_text() -> None:
    assert kind_of(b"BZhang Wei was here") is None
    assert kind_of(bz2.compress(b"")) == "bz2"


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_a_cut_stream_gives_what_it_has_and_tells(kind: str) -> None:
    whole = bytes(range(256)) * 4000
    packed = PACKERS[kind](whole)
    with unpacked(io.BytesIO(packed[: len(packed) - 3])) as stream:
        got = stream.read()
        assert whole.startswith(got)
        assert stream.broken.startswith(f"broken {kind} stream")


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_a_bomb_ends_where_the_limit_is(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1_000_000)
    packed = PACKERS[kind](b"\0" * 50_000_000)
    with unpacked(io.BytesIO(packed)) as stream:
        total = 0
        while block := stream.read(1 << 20):
            total += len(block)
        assert "archive bomb" in stream.broken
        assert total < 25_000_000


def test_packed_text_below_the_ratio_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1000)
    text = "".join(f"第{n}行，内容各不相同：{n * n}。\n" for n in range(20_000)).encode()
    with unpacked(io.BytesIO(lzma.compress(text))) as stream:
        assert stream.read() == text
        assert stream.broken == ""


def test_xz_that_wants_too_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    packed = lzma.compress(b"a", filters=filters)
    with unpacked(io.BytesIO(packed)) as stream:
        assert stream.read() == b""
        assert "broken xz stream" in stream.broken
