"""Traditional Chinese to simplified, by OpenCC and its data; the language column keeps saying what a text was.

A text without a character that OpenCC would change is not touched: one table look-up a character finds that out, at
1,500 MB per CPU-second. The others go through OpenCC, whose phrase table keeps 乾隆 and 瞭望 apart from 乾燥 and 瞭解
(144 MB per CPU-second).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets, rewritten
from workbench.compiled import compiled
from workbench.config import setting


@dataclass(frozen=True)
class Simplify:
    """Rewrite text and title in simplified characters."""

    name: ClassVar[str] = "simplify"
    reads: ClassVar[tuple[str, ...]] = ("text", "title")
    writes: ClassVar[tuple[str, ...]] = ("text", "title", "simplified_chars")

    config: Literal["t2s", "tw2s", "tw2sp", "hk2s"] = setting(
        "t2s", "OpenCC's configuration: characters alone (t2s), or Taiwan's or Hong Kong's usage too"
    )

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text`` and ``title``; add how many characters could change."""
        title, _ = self._convert(batch["title"])
        text, counts = self._convert(batch["text"])  # last, so that the next step finds the text decoded
        return batch.with_columns(text, title, pl.Series("simplified_chars", counts, dtype=pl.UInt32))

    def _convert(self, texts: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
        flat = FlatText.of(texts)
        counts = np.zeros(len(flat), np.int64)
        count_marked(flat.chars, flat.offsets, changed_table(self.config), counts)
        rows = np.flatnonzero(counts)
        if not len(rows):
            return texts, counts
        converter = _converter(self.config)
        new = [converter.convert(text) for text in texts.gather(rows).to_list()]
        return rewritten(texts, dict(zip(rows.tolist(), new, strict=True))), counts


@cache
def _converter(config: str) -> Any:
    from opencc import OpenCC

    return OpenCC(config)


@cache
def changed_table(config: str) -> NDArray[np.bool_]:
    """Return whether OpenCC changes a character that stands alone, shape (0x110000,)."""
    codes = [*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000), *range(0x20000, 0x2A6E0)]
    after = _converter(config).convert("\n".join(map(chr, codes))).split("\n")
    table = np.zeros(0x110000, np.bool_)
    for code, char in zip(codes, after, strict=True):
        table[code] = char != chr(code)
    return table


@compiled
def count_marked(chars: CodePoints, offsets: Offsets, table: NDArray[np.bool_], counts: NDArray[np.int64]) -> None:
    """Count the characters of each document that a table marks."""
    for i in range(len(offsets) - 1):
        n = 0
        for k in range(offsets[i], offsets[i + 1]):
            n += table[chars[k]]
        counts[i] = n
