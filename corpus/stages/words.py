"""Signals of English text, counted in words: what the published rules for English are stated in.

Words are runs between white space, as in MassiveText's rules (Rae et al. 2021, table A1: word count, mean word length,
symbols to words, bullet and ellipsis lines, words with a letter, stop words) and C4's (Raffel et al. 2020, section 2.2:
lines that end in a terminal mark). Cost: 250 MB per CPU-second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import LATIN, SPACE, class_table, share
from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # MassiveText's eight
COLUMNS = {
    "words": pl.UInt32(),
    "mean_word_chars": pl.Float32(),
    "letter_word_share": pl.Float32(),  # words with at least one Latin letter
    "symbol_word_ratio": pl.Float32(),  # "#" and "..." or "…", to words
    "stop_words": pl.UInt32(),  # how many of the eight occur
    "bullet_line_share": pl.Float32(),
    "ellipsis_line_share": pl.Float32(),
}


@dataclass(frozen=True)
class Words:
    """Count words and the shapes of lines."""

    name: ClassVar[str] = "words"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``COLUMNS``."""
        flat = FlatText.of(batch["text"])
        counts = np.zeros((len(flat), 7), np.int64)
        count_words(flat.chars, flat.offsets, class_table(), _stop_hashes(), counts)
        words, chars, letters, symbols, stops, lines, _ = counts.T
        bullets, ellipses = counts[:, 6] >> 32, counts[:, 6] & 0xFFFFFFFF

        values: dict[str, Any] = {
            "words": words,
            "mean_word_chars": share(chars, words),
            "letter_word_share": share(letters, words),
            "symbol_word_ratio": share(symbols, words),
            "stop_words": np.bitwise_count(stops),
            "bullet_line_share": share(bullets, lines),
            "ellipsis_line_share": share(ellipses, lines),
        }
        return batch.with_columns(pl.Series(name, values[name], dtype=kind) for name, kind in COLUMNS.items())


@cache
def _stop_hashes() -> NDArray[np.uint64]:
    hashes = []
    for word in STOP_WORDS:
        value = 0
        for char in word:
            value = (value * 1_000_003 + ord(char)) % (1 << 64)
        hashes.append(value)
    return np.array(hashes, np.uint64)


@compiled
def count_words(
    chars: CodePoints,
    offsets: Offsets,
    classes: NDArray[np.uint8],
    stops: NDArray[np.uint64],
    counts: NDArray[np.int64],
) -> None:
    """Fill a row a document: words, their characters, words with a letter, symbols, stop words (bits), lines, shapes.

    The last column holds bullet lines in its upper half and lines that end in an ellipsis in its lower.
    """
    for i in range(len(offsets) - 1):
        length = 0
        letter = False
        value = np.uint64(0)
        first, last, before = np.uint32(0), np.uint32(0), np.uint32(0)  # visible characters of the line
        for k in range(offsets[i], offsets[i + 1] + 1):
            at_end = k == offsets[i + 1]
            c = np.uint32(10) if at_end else chars[k]
            if classes[c] == SPACE:
                if length:
                    counts[i, 0] += 1
                    counts[i, 1] += length
                    counts[i, 2] += letter
                    for s in range(len(stops)):
                        if stops[s] == value:
                            counts[i, 4] |= 1 << s
                    length, letter, value = 0, False, np.uint64(0)
                if c == 10 and first != 0:
                    counts[i, 5] += 1
                    bullet = (first == 0x2022) | (first == 0x25CF) | (first == 45) | (first == 42) | (first == 0x25AA)
                    counts[i, 6] += np.int64(bullet) << 32
                    counts[i, 6] += (last == 0x2026) | ((last == 46) & (before == 46))
                    first, last, before = np.uint32(0), np.uint32(0), np.uint32(0)
                continue
            if first == 0:
                first = c
            before, last = last, c
            length += 1
            if classes[c] == LATIN:
                letter = True
                lower = c + 32 if 65 <= c <= 90 else c
                value = value * np.uint64(1_000_003) + np.uint64(lower)
            if c == 35 or c == 0x2026 or (c == 46 and before == 46 and k + 1 < offsets[i + 1] and chars[k + 1] == 46):
                counts[i, 3] += 1
