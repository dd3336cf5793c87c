"""Cut the last sentence where it is plainly unfinished, as pages that were cut off leave it; the document stays.

A sentence is unfinished if the text breaks off in a letter or hanzi after at least ``min_stops`` finished sentences,
the last of them in the same line (so a signature, a heading or a list at the end stays); or if it ends in an opening
mark or a comma, after at least one. (WuDaoCorpora 2021, section 3, cuts the sentence that a truncated page ends with.)
Cost: 800 MB per CPU-second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import HAN, LATIN, TRADITIONAL, class_table
from corpus.flat import CodePoints, FlatText, Offsets, rewritten
from workbench.compiled import compiled
from workbench.config import at_least, setting

_LETTER, _STOP, _POINT, _CLOSE, _OPEN = 1, 2, 3, 4, 5
_MARKS = {_STOP: "。！？!?…", _POINT: ".", _CLOSE: "”’」』）)】》\"'", _OPEN: "，、：；,:;（(《【“‘「『"}


@dataclass(frozen=True)
class Unfinished:
    """Cut an unfinished last sentence."""

    name: ClassVar[str] = "unfinished"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("text", "unfinished_chars")

    min_stops: int = setting(
        5, "finished sentences that a text must have for its last one to be cut", check=at_least(1)
    )
    max_chars: int = setting(100, "characters of a sentence, at most; a longer end is no sentence", check=at_least(1))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text``; add how many characters went."""
        text = batch["text"]
        flat = FlatText.of(text)
        gone = np.zeros(len(flat), np.int64)
        find_unfinished(flat.chars, flat.offsets, _kinds(), self.min_stops, self.max_chars, gone)
        rows = np.flatnonzero(gone)
        if len(rows):
            ends = zip(rows.tolist(), text.gather(rows).to_list(), (-gone[rows]).tolist(), strict=True)
            text = rewritten(text, {row: one[:end] for row, one, end in ends})
        return batch.with_columns(text, pl.Series("unfinished_chars", gone, dtype=pl.UInt32))


@cache
def _kinds() -> NDArray[np.uint8]:
    """Return what each code point is to the end of a sentence, shape (0x110000,)."""
    table = np.isin(class_table(), (HAN, TRADITIONAL, LATIN)).astype(np.uint8) * np.uint8(_LETTER)
    for kind, marks in _MARKS.items():
        table[[ord(mark) for mark in marks]] = kind
    return table


@compiled
def find_unfinished(
    chars: CodePoints,
    offsets: Offsets,
    kinds: NDArray[np.uint8],
    min_stops: int,
    max_chars: int,
    gone: NDArray[np.int64],
) -> None:
    """Find how many characters each document's unfinished last sentence has, the space before it included."""
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        if end == start:
            continue
        last = kinds[chars[end - 1]]
        if last != 1 and last != 5:
            continue
        stops, stop = 0, np.int64(-1)
        k = end - 1
        while k >= start and stops < min_stops:
            c = chars[k]
            if c == 10 and stop < 0:
                break  # the last line has no finished sentence
            if stop < 0 and end - k > max_chars:
                break
            kind = kinds[c]
            if kind == 2 or (kind == 3 and (chars[k + 1] == 32 or kinds[chars[k + 1]] == 4)):
                stops += 1
                if stop < 0:
                    stop = k
                while k > start and kinds[chars[k - 1]] == 2:  # …… and ?! are one
                    k -= 1
            k -= 1
        if stop < 0 or stops < (1 if last == 5 else min_stops):
            continue
        stop += 1
        while kinds[chars[stop]] == 4:  # the last character is none
            stop += 1
        gone[i] = end - stop
