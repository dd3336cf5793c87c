"""Traditional Chinese to simplified, by OpenCC and its data; the language column keeps saying what a text was.

A text without a character that OpenCC would change is not touched: one table look-up a character finds that out, at
1,500 MB per CPU-second. A traditional text goes through OpenCC, whose phrase table keeps 乾隆 and 瞭望 apart from 乾燥
and 瞭解 (144 MB per CPU-second). Of a simplified one that has a few such characters, a quotation, only the clauses with
one do: OpenCC takes all it is given for traditional, and would make 坯 of 一坏.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets, respliced
from workbench.compiled import compiled
from workbench.config import setting

HANZI, CHANGED, END = 1, 2, 3  # what a character is
TRADITIONAL = 0.1  # of a text's hanzi, those that change: more, and it is traditional (a third is usual)
ENDS = "\n\r\t ，。、；：？！…“”（）《》\u3000"  # in no phrase of OpenCC's tables, as its opencc_dict prints them


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
        flat = FlatText.of(batch["text"])  # before the titles: the step before has left the text decoded
        title, _ = self._convert(batch["title"], FlatText.of(batch["title"]))
        text, counts = self._convert(batch["text"], flat)  # last, so that the next step finds the text decoded
        return batch.with_columns(text, title, pl.Series("simplified_chars", counts, dtype=pl.UInt32))

    def _convert(self, texts: pl.Series, flat: FlatText) -> tuple[pl.Series, NDArray[np.int64]]:
        counts = np.zeros(len(flat), np.int64)
        table = kinds(self.config)
        places = np.empty((len(flat.chars) // 64 + 64, 3), np.int64)  # more than that is rare, and then written anew
        found = find_places(flat.chars, flat.offsets, table, counts, places)
        if not found:
            return texts, counts
        if found > len(places):
            places = np.empty((found, 3), np.int64)
            find_places(flat.chars, flat.offsets, table, counts, places)
        places = places[:found]
        new = np.array(flat.stretches(places), object)
        converter = _converter(self.config)
        clause = places[:, 2] - places[:, 1] < flat.lengths[places[:, 0]]  # has no line end, so all go at once
        new[clause] = converter.convert("\n".join(new[clause])).split("\n")[: clause.sum()]
        new[~clause] = [converter.convert(text) for text in new[~clause]]
        return respliced(texts, flat, places, FlatText.of(pl.Series(new, dtype=pl.String))), counts


@cache
def _converter(config: str) -> Any:
    from opencc import OpenCC

    return OpenCC(config)


@cache
def kinds(config: str) -> NDArray[np.uint8]:
    """Return what a character is, shape (0x110000,); changed is what OpenCC changes if it stands alone."""
    codes = [*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000), *range(0x20000, 0x2A6E0)]
    after = _converter(config).convert("\n".join(map(chr, codes))).split("\n")
    table = np.zeros(0x110000, np.uint8)
    for code, char in zip(codes, after, strict=True):
        table[code] = HANZI if char == chr(code) else CHANGED
    table[[ord(char) for char in ENDS]] = END
    return table


@compiled
def find_places(
    chars: CodePoints, offsets: Offsets, table: NDArray[np.uint8], counts: NDArray[np.int64], places: NDArray[np.int64]
) -> int:
    """Count the changed characters of each document; write what goes through OpenCC, as far as there is room.

    Returns:
        How many there are: document, start and end in it, as ``FlatText.spliced`` takes them.
    """
    n = 0
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        hanzi = total = 0
        for k in range(begin, end):
            kind = table[chars[k]]
            hanzi += (kind == HANZI) | (kind == CHANGED)
            total += kind == CHANGED
        counts[i] = total
        whole = total > TRADITIONAL * hanzi
        start, marked = begin, False
        for k in range(begin, end if total and not whole else begin):
            kind = table[chars[k]]
            marked |= kind == CHANGED
            if kind == END or k + 1 == end:
                n += marked and _enter(places, n, i, start - begin, k + (kind != END) - begin)
                start, marked = k + 1, False
        n += whole and _enter(places, n, i, 0, end - begin)
    return n


@compiled
def _enter(places: NDArray[np.int64], n: int, document: int, start: int, end: int) -> bool:
    if n < len(places):
        places[n, 0], places[n, 1], places[n, 2] = document, start, end
    return True
