"""A batch's text as one flat buffer of UTF-32 code points: the form compiled kernels read.

Decoding and encoding are numba kernels between Arrow's UTF-8 buffers and the code points, without a Python string in
between. Measured by ``make bench``: 0.8–1.2 GB of UTF-8 per CPU-second in each direction. Stages one after another read
the same column, so the last one decoded or encoded is kept: to see that a column equals it costs a tenth of decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from workbench.compiled import compiled

CodePoints = NDArray[np.uint32]
Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class FlatText:
    """Texts end to end: document i is ``chars[offsets[i]:offsets[i + 1]]``."""

    chars: CodePoints  # shape (total characters,)
    offsets: Offsets  # shape (documents + 1,)

    @classmethod
    def of(cls, texts: pl.Series) -> FlatText:
        """Decode a string column; null counts as empty. Callers only read it: the next may be given the same.

        Args:
            texts: Documents, shape (documents,).
        """
        known, last = _LAST
        if len(known) == len(texts) >= _WORTH_KEEPING and known.equals(texts):
            return last
        utf8, byte_offsets = utf8_buffers(texts)
        offsets = np.empty(len(byte_offsets), np.int64)
        chars = np.empty(len(utf8), np.uint32)  # as many as if all were ASCII; pages that are not written cost nothing
        decode(utf8, byte_offsets, chars, offsets)
        flat = cls(chars[: offsets[-1]], offsets)
        _keep(texts, flat)
        return flat

    def rows(self, rows: NDArray[np.int64]) -> FlatText:
        """Return some of the documents."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        chars = np.empty(int(offsets[-1]), np.uint32)
        gather(self.chars, self.offsets, rows, chars)
        return FlatText(chars, offsets)

    def replaced(self, new: Mapping[int, str]) -> FlatText:
        """Return the documents with some of them, by number, as other texts."""
        return self._replaced(*_in_order(new))

    def _replaced(self, rows: NDArray[np.int64], new: pl.Series) -> FlatText:
        places = np.stack([rows, np.zeros_like(rows), self.lengths[rows]], axis=1)
        return self.spliced(places, FlatText.of(new))

    def stretches(self, places: NDArray[np.int64]) -> list[str]:
        """Return some stretches as Python strings (``places`` as ``spliced`` takes them)."""
        begins, ends = self.offsets[places[:, 0]] + places[:, 1], self.offsets[places[:, 0]] + places[:, 2]
        return [self.chars[a:b].tobytes().decode("utf-32-le") for a, b in zip(begins, ends, strict=True)]

    def spliced(self, places: NDArray[np.int64], fresh: FlatText) -> FlatText:
        """Return the documents with some stretches of them as others.

        Args:
            places: Document, start and end in it of each stretch, in order, none within another; shape (stretches, 3).
            fresh: What comes in the place of each.
        """
        size = len(self.chars) + len(fresh.chars) - int((places[:, 2] - places[:, 1]).sum())
        out = FlatText(np.empty(size, np.uint32), np.empty_like(self.offsets))
        splice(self.chars, self.offsets, places, fresh.chars, fresh.offsets, out.chars, out.offsets)
        return out

    def to_series(self, name: str = "text") -> pl.Series:
        """Encode back to a polars string column of shape (documents,)."""
        utf8, byte_offsets = self._encoded()
        buffers = [None, pa.py_buffer(byte_offsets), pa.py_buffer(utf8)]
        array = pa.Array.from_buffers(pa.large_string(), len(self), buffers)
        series = pl.from_arrow(array)
        assert isinstance(series, pl.Series)
        _keep(series, self)
        return series.alias(name)

    def to_bytes(self) -> list[bytes]:
        """Encode to the UTF-8 of each document."""
        utf8, byte_offsets = self._encoded()
        whole, ends = utf8.tobytes(), byte_offsets.tolist()
        return [whole[begin:end] for begin, end in pairwise(ends)]

    def _encoded(self) -> tuple[NDArray[np.uint8], Offsets]:
        byte_offsets = np.empty(len(self.offsets), np.int64)
        count_bytes(self.chars, self.offsets, byte_offsets)
        utf8 = np.empty(int(byte_offsets[-1]), np.uint8)
        encode(self.chars, utf8)
        return utf8, byte_offsets

    @property
    def lengths(self) -> Offsets:
        """Characters of each document, shape (documents,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def document(self, i: int) -> str:
        """Return document i as a Python string."""
        return self.chars[self.offsets[i] : self.offsets[i + 1]].tobytes().decode("utf-32-le")


def rewritten(texts: pl.Series, new: Mapping[int, str]) -> pl.Series:
    """Return a column with some of its texts, by number, as others; it stays decoded, so only those are decoded."""
    if not new:
        return texts
    rows, series = _in_order(new)
    return _scattered(texts, rows, series, FlatText.of(texts)._replaced(rows, series))


def respliced(texts: pl.Series, flat: FlatText, places: NDArray[np.int64], fresh: FlatText) -> pl.Series:
    """Return a column with some stretches of its texts as others (``FlatText.spliced``); it stays decoded.

    Args:
        texts: The column.
        flat: It, decoded.
        places: The stretches.
        fresh: What comes in the place of each.
    """
    out, rows = flat.spliced(places, fresh), np.unique(places[:, 0])
    return _scattered(texts, rows, out.rows(rows).to_series(), out)


def filtered(texts: pl.Series, kept: pl.Series, out: pl.Series) -> None:
    """Tell that ``out`` is what ``texts`` has where ``kept`` is true: if those were decoded last, so is it now."""
    known, last = _LAST
    if len(known) == len(texts) and len(out) < len(texts) and known.equals(texts):
        _keep(out, last.rows(kept.arg_true().to_numpy().astype(np.int64)))


def _in_order(new: Mapping[int, str]) -> tuple[NDArray[np.int64], pl.Series]:
    rows = sorted(new)
    return np.array(rows, np.int64), pl.Series([new[row] for row in rows], dtype=pl.String)


def _scattered(texts: pl.Series, rows: NDArray[np.int64], new: pl.Series, flat: FlatText) -> pl.Series:
    out = texts.clone().scatter(rows, new)  # it writes into texts
    _keep(out, flat)
    return out


def utf8_buffers(texts: pl.Series) -> tuple[NDArray[np.uint8], Offsets]:
    """Return a string column as its UTF-8 bytes end to end and the byte offsets, shape (documents + 1,)."""
    array = texts.fill_null("").to_arrow().cast(pa.large_string())
    _, offsets_buffer, data = array.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    utf8 = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return utf8[offsets[0] : offsets[-1]], offsets - offsets[0]


@compiled
def gather(chars: CodePoints, offsets: Offsets, rows: NDArray[np.int64], out: CodePoints) -> None:
    """Copy the characters of some documents."""
    n = 0
    for i in rows:
        for k in range(offsets[i], offsets[i + 1]):
            out[n] = chars[k]
            n += 1


@compiled
def splice(
    chars: CodePoints,
    offsets: Offsets,
    places: NDArray[np.int64],
    fresh: CodePoints,
    fresh_offsets: Offsets,
    out: CodePoints,
    out_offsets: Offsets,
) -> None:
    """Copy documents, and in the place of each stretch what is fresh."""
    n = p = 0
    out_offsets[0] = 0
    for i in range(len(offsets) - 1):
        at = offsets[i]
        while p < len(places) and places[p, 0] == i:
            for k in range(at, offsets[i] + places[p, 1]):
                out[n] = chars[k]
                n += 1
            for k in range(fresh_offsets[p], fresh_offsets[p + 1]):
                out[n] = fresh[k]
                n += 1
            at = offsets[i] + places[p, 2]
            p += 1
        for k in range(at, offsets[i + 1]):
            out[n] = chars[k]
            n += 1
        out_offsets[i + 1] = n


@compiled
def decode(utf8: NDArray[np.uint8], byte_offsets: Offsets, chars: CodePoints, offsets: Offsets) -> None:
    """Decode valid UTF-8 (polars guarantees it) into code points, and tell where each document begins."""
    n = 0
    offsets[0] = 0
    for i in range(len(byte_offsets) - 1):
        k, end = byte_offsets[i], byte_offsets[i + 1]
        while k < end:
            b = np.uint32(utf8[k])
            if b < 0x80:
                chars[n] = b
                k += 1
            elif b < 0xE0:
                chars[n] = (b & np.uint32(0x1F)) << np.uint32(6) | np.uint32(utf8[k + 1] & 0x3F)
                k += 2
            elif b < 0xF0:
                high = (b & np.uint32(0x0F)) << np.uint32(12) | np.uint32(utf8[k + 1] & 0x3F) << np.uint32(6)
                chars[n] = high | np.uint32(utf8[k + 2] & 0x3F)
                k += 3
            else:
                high = (b & np.uint32(0x07)) << np.uint32(18) | np.uint32(utf8[k + 1] & 0x3F) << np.uint32(12)
                chars[n] = high | np.uint32(utf8[k + 2] & 0x3F) << np.uint32(6) | np.uint32(utf8[k + 3] & 0x3F)
                k += 4
            n += 1
        offsets[i + 1] = n


@compiled
def count_bytes(chars: CodePoints, offsets: Offsets, byte_offsets: Offsets) -> None:
    """Fill ``byte_offsets`` with where each document begins once encoded as UTF-8."""
    total = 0
    byte_offsets[0] = 0
    for i in range(len(offsets) - 1):
        for k in range(offsets[i], offsets[i + 1]):
            c = chars[k]
            total += 1 + (c >= 0x80) + (c >= 0x800) + (c >= 0x10000)
        byte_offsets[i + 1] = total


@compiled
def encode(chars: CodePoints, utf8: NDArray[np.uint8]) -> None:
    """Encode code points (no surrogates) as UTF-8."""
    k = 0
    for n in range(len(chars)):
        c = chars[n]
        if c < 0x80:
            utf8[k] = c
            k += 1
        elif c < 0x800:
            utf8[k] = 0xC0 | c >> 6
            utf8[k + 1] = 0x80 | c & 0x3F
            k += 2
        elif c < 0x10000:
            utf8[k] = 0xE0 | c >> 12
            utf8[k + 1] = 0x80 | c >> 6 & 0x3F
            utf8[k + 2] = 0x80 | c & 0x3F
            k += 3
        else:
            utf8[k] = 0xF0 | c >> 18
            utf8[k + 1] = 0x80 | c >> 12 & 0x3F
            utf8[k + 2] = 0x80 | c >> 6 & 0x3F
            utf8[k + 3] = 0x80 | c & 0x3F
            k += 4


_WORTH_KEEPING = 64  # documents
_LAST: tuple[pl.Series, FlatText] = (
    pl.Series(dtype=pl.String),
    FlatText(np.empty(0, np.uint32), np.zeros(1, np.int64)),
)


def _keep(texts: pl.Series, flat: FlatText) -> None:
    """Remember the last column of some size."""
    global _LAST  # noqa: PLW0603  # one column a process: a stage is a pure function, and this does not change its result
    if len(texts) >= _WORTH_KEEPING:
        _LAST = (texts, flat)
