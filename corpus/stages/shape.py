"""Signals of a text's outward shape, all from one pass over its characters: the cheap rules are gated on them.

Cost: 170 MB per CPU-second, most of it for repetition.

The rules that use these signals follow EvalWeb (arXiv 2311.01149, appendix), WuDaoCorpora (2021, section 3) and
MassiveText's repetition rules (Rae et al. 2021, appendix A1.1), counted in characters instead of words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import (
    BROKEN,
    CLASSES,
    DIGIT,
    HAN,
    LATIN,
    PUNCTUATION,
    SPACE,
    STOP,
    TRADITIONAL,
    class_table,
    share,
)
from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled
from workbench.config import at_least, setting

COLUMNS = {
    "chars": pl.UInt32(),  # without white space
    "lines": pl.UInt32(),  # with at least one visible character
    "mean_line_chars": pl.Float32(),
    "han_share": pl.Float32(),  # of visible characters
    "latin_share": pl.Float32(),
    "digit_share": pl.Float32(),
    "punctuation_share": pl.Float32(),
    "broken_share": pl.Float32(),  # replacement, private-use, C1 and unassigned characters
    "traditional_share": pl.Float32(),  # of the hanzi
    "stop_line_share": pl.Float32(),  # lines that end as a sentence does
    "repeat_share": pl.Float32(),  # of characters, in n-grams that came before in the same text
}


@dataclass(frozen=True)
class Shape:
    """Count classes of characters, lines and repetition."""

    name: ClassVar[str] = "shape"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    repeat_chars: int = setting(13, "characters of an n-gram that counts as repeated", check=at_least(2))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``COLUMNS``."""
        flat = FlatText.of(batch["text"])
        counts = np.zeros((len(flat), CLASSES), np.int64)
        lines = np.zeros((len(flat), 2), np.int64)
        repeated = np.zeros(len(flat), np.int64)
        count_classes(flat.chars, flat.offsets, class_table(), counts, lines)
        count_repeats(flat.chars, flat.offsets, class_table(), self.repeat_chars, repeated)
        visible = counts.sum(axis=1) - counts[:, SPACE]
        han = counts[:, HAN] + counts[:, TRADITIONAL]

        han_share, latin_share = share(han, visible), share(counts[:, LATIN], visible)
        traditional_share = share(counts[:, TRADITIONAL], han)
        values = {
            "chars": visible,
            "lines": lines[:, 0],
            "mean_line_chars": share(visible, lines[:, 0]),
            "han_share": han_share,
            "latin_share": latin_share,
            "digit_share": share(counts[:, DIGIT], visible),
            "punctuation_share": share(counts[:, PUNCTUATION] + counts[:, STOP], visible),
            "broken_share": share(counts[:, BROKEN], visible),
            "traditional_share": traditional_share,
            "stop_line_share": share(lines[:, 1], lines[:, 0]),
            "repeat_share": share(repeated, visible),
        }
        return batch.with_columns(pl.Series(name, values[name], dtype=kind) for name, kind in COLUMNS.items())


@compiled
def count_classes(
    chars: CodePoints, offsets: Offsets, table: NDArray[np.uint8], counts: NDArray[np.int64], lines: NDArray[np.int64]
) -> None:
    """Count each document's characters by class, its lines, and its lines that end as a sentence does."""
    for i in range(len(offsets) - 1):
        last = 0  # class of the last visible character of this line
        seen = False
        for k in range(offsets[i], offsets[i + 1]):
            c = chars[k]
            kind = table[c]
            counts[i, kind] += 1
            if c == 10:
                if seen:
                    lines[i, 0] += 1
                    lines[i, 1] += last == 6
                seen = False
            elif kind != 0:
                seen = True
                last = kind
        if seen:
            lines[i, 0] += 1
            lines[i, 1] += last == 6


@compiled
def count_repeats(
    chars: CodePoints, offsets: Offsets, table: NDArray[np.uint8], n: int, repeated: NDArray[np.int64]
) -> None:
    """Count the characters covered by n-grams that occurred earlier in the same document.

    White space does not count: the indentation of code is no repetition. Open addressing over 64-bit hashes, cleared by
    generation: no memory per document.
    """
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    size = 64
    while size < 2 * longest:
        size *= 2
    slots = np.zeros(size, np.uint64)
    owner = np.full(size, -1, np.int64)
    base = np.uint64(0x9E3779B97F4A7C15)
    leaving = np.uint64(1)
    for _ in range(n):
        leaving *= base
    visible = np.empty(longest, np.uint32)
    for i in range(len(offsets) - 1):
        start, end = 0, 0
        for k in range(offsets[i], offsets[i + 1]):
            visible[end] = chars[k]
            end += table[chars[k]] != SPACE
        mask = 63  # the part of the table in use grows with the document: short ones stay in the cache
        while mask + 1 < 2 * (end - start):
            mask = 2 * mask + 1
        value = np.uint64(0)
        covered = start  # everything before it is counted
        for k in range(start, end):
            value = value * base + np.uint64(visible[k])
            if k - start >= n:
                value -= np.uint64(visible[k - n]) * leaving
            if k - start < n - 1:
                continue
            mixed = value ^ (value >> np.uint64(32))
            slot = np.int64((mixed * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(40)) & mask
            while owner[slot] == i and slots[slot] != mixed:
                slot = (slot + 1) & mask
            if owner[slot] == i:
                first = max(covered, k - n + 1)
                repeated[i] += k + 1 - first
                covered = k + 1
            else:
                owner[slot] = i
                slots[slot] = mixed
