"""What a page's lines tell when its text does not: menus are short lines, teaser lists break off.

Of the signals of lines in C4, MassiveText and FineWeb these two tell web pages from good Chinese text of any genre.
The others do not, and are left out (docs/decisions/0005): bullets open 9 of 10 lines of a law, ``{`` is in 18 % of
technical articles, "javascript" in 7 %, lines of symbols alone are its rules and tables. Lines that end as a sentence
does are ``stop_line_share`` of ``shape``. Cost: 450 MB per CPU-second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import SPACE, class_table, share
from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled
from workbench.config import at_least, setting

COLUMNS = {
    "short_line_char_share": pl.Float32(),  # of visible characters, in lines that have few: a menu has half or more
    "cut_line_share": pl.Float32(),  # lines that break off: … or ... or 。。。
}


@dataclass(frozen=True)
class Lines:
    """Measure short lines and lines that break off."""

    name: ClassVar[str] = "lines"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    short_chars: int = setting(10, "visible characters from which a line is not short", check=at_least(1))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``COLUMNS``."""
        flat = FlatText.of(batch["text"])
        counts = np.zeros((len(flat), 4), np.int64)
        count_lines(flat.chars, flat.offsets, class_table(), self.short_chars, counts)
        visible, lines, short, cut = counts.T
        return batch.with_columns(
            pl.Series("short_line_char_share", share(short, visible), dtype=pl.Float32),
            pl.Series("cut_line_share", share(cut, lines), dtype=pl.Float32),
        )


@compiled
def count_lines(
    chars: CodePoints, offsets: Offsets, classes: NDArray[np.uint8], short_chars: int, counts: NDArray[np.int64]
) -> None:
    """Fill a row a document: visible characters, lines that have any, characters in short lines, lines broken off."""
    for i in range(len(offsets) - 1):
        width = 0
        last, dots = np.uint32(0), 0  # the line's last visible character, and how often it stands there in a row
        for k in range(offsets[i], offsets[i + 1] + 1):
            c = np.uint32(10) if k == offsets[i + 1] else chars[k]
            if classes[c] != SPACE:
                dots = dots + 1 if c == last else 1
                last = c
                width += 1
            elif c == 10 and width:
                counts[i, 0] += width
                counts[i, 1] += 1
                counts[i, 2] += width if width < short_chars else 0
                counts[i, 3] += last == 0x2026 or (dots >= 3 and (last == 0x2E or last == 0x3002))
                width, last, dots = 0, np.uint32(0), 0
