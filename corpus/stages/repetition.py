"""Repetition inside a document: MassiveText's rules (Rae et al. 2021, table A1), restated for text without spaces.

What is counted. A *unit* is a hanzi, or a run of other letters and digits: an English word, a number. White space and
punctuation are no units, so a link counts as its words and a drawn table as the words in its cells. A Chinese word has
about 1.6 hanzi (of jieba's words 1.8), so n words of the published rules are 1.6 n units:

    words of the paper    2   4   5   8
    units here            3   6   8  13

For 2 and 4 words it is the n-gram that fills most of the text (that of 3 words lies between them), for 5 and 8 all that
came before in it. The 13-grams of characters that ``shape`` counts are the same in plain Chinese; in technical articles
they are two words of English, and 6 % of good ones repeat themselves in half of their characters, 0.1 % by units.

How. Prefix hashes give the hash of any n-gram in two operations. An n-gram can repeat only where the shorter one at the
same place does, so each size looks only where the size before it found something: the first is most of the cost.
110 MB of UTF-8 per CPU-second; memory for the longest document of a batch, 60 bytes a character.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import DIGIT, HAN, LATIN, OTHER, SPACE, TRADITIONAL, class_table, share
from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled

Counts = NDArray[np.int64]
Hashes = NDArray[np.uint64]

TOP = (3, 6)  # units of the n-grams of which the one that fills most of the text is looked for
REPEATED = (8, 13)  # units of the n-grams that count as repeated; all sizes ascend
COLUMNS = {
    "dup_line_share": pl.Float32(),  # lines that repeat an earlier one of the document, white space aside
    "dup_line_char_share": pl.Float32(),  # visible characters in them
    "dup_para_share": pl.Float32(),  # the same for paragraphs: lines between empty lines
    "dup_para_char_share": pl.Float32(),
    **{f"top_{n}gram_share": pl.Float32() for n in TOP},  # of unit characters; 0 where no n-gram occurs twice
    **{f"dup_{n}gram_share": pl.Float32() for n in REPEATED},  # of unit characters; first occurrences do not count
}

BASE = np.uint64(0x9E3779B97F4A7C15)
SPREAD = np.uint64(0xD6E8FEB86659FD93)
WORD_BASE = np.uint64(1_000_003)


@dataclass(frozen=True)
class Repetition:
    """Measure repeated lines, paragraphs and n-grams."""

    name: ClassVar[str] = "repetition"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``COLUMNS``."""
        flat = FlatText.of(batch["text"])
        sizes = np.array(TOP + REPEATED)
        lines = np.zeros((len(flat), 7), np.int64)
        units = np.zeros(len(flat), np.int64)
        top, covered = np.zeros((2, len(flat), len(sizes)), np.int64)
        count_lines(flat.chars, flat.offsets, class_table(), lines)
        count_grams(flat.chars, flat.offsets, class_table(), sizes, len(TOP), units, top, covered)
        values: dict[str, Any] = {
            "dup_line_share": share(lines[:, 2], lines[:, 1]),
            "dup_line_char_share": share(lines[:, 3], lines[:, 0]),
            "dup_para_share": share(lines[:, 5], lines[:, 4]),
            "dup_para_char_share": share(lines[:, 6], lines[:, 0]),
        }
        for k, n in enumerate(sizes):
            values[f"top_{n}gram_share"] = share(top[:, k], units)
            values[f"dup_{n}gram_share"] = share(covered[:, k], units)
        return batch.with_columns(pl.Series(name, values[name], dtype=kind) for name, kind in COLUMNS.items())


@compiled
def count_lines(chars: CodePoints, offsets: Offsets, classes: NDArray[np.uint8], counts: Counts) -> None:
    """Fill a row a document: visible characters; lines, repeated ones, their characters; the same for paragraphs."""
    longest = 1
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    keys = np.zeros(_slots(longest), np.uint64)
    hashes = np.zeros((2, longest), np.uint64)  # of lines, of paragraphs
    widths = np.zeros((2, longest), np.int64)
    for i in range(len(offsets) - 1):
        lines, paragraphs = 0, 0
        line, paragraph = np.uint64(0), np.uint64(0)
        width, block = 0, 0
        for k in range(offsets[i], offsets[i + 1] + 1):
            at_end = k == offsets[i + 1]
            c = np.uint32(10) if at_end else chars[k]
            if classes[c] != SPACE:
                line = line * WORD_BASE + np.uint64(c)
                width += 1
                continue
            if c != 10:
                continue
            if width:
                hashes[0, lines], widths[0, lines] = line, width
                lines += 1
                paragraph = paragraph * BASE + _mixed(line)
                block += width
                counts[i, 0] += width
            if block and (width == 0 or at_end):
                hashes[1, paragraphs], widths[1, paragraphs] = paragraph, block
                paragraphs += 1
                paragraph, block = np.uint64(0), 0
            line, width = np.uint64(0), 0
        for kind, number in ((0, lines), (1, paragraphs)):
            counts[i, 1 + 3 * kind] = number
            repeated, characters = _repeats(hashes[kind, :number], widths[kind, :number], keys)
            counts[i, 2 + 3 * kind] = repeated
            counts[i, 3 + 3 * kind] = characters


@compiled
def count_grams(
    chars: CodePoints,
    offsets: Offsets,
    classes: NDArray[np.uint8],
    sizes: Counts,
    tops: int,
    units: Counts,
    top: Counts,
    covered: Counts,
) -> None:
    """Count repeated n-grams of units.

    Args:
        chars: All documents' characters.
        offsets: Where each begins, shape (documents + 1,).
        classes: The class of every code point.
        sizes: The n of the n-grams, ascending.
        tops: For how many of them ``top`` is filled, ``covered`` for the others.
        units: Characters in units, shape (documents,); filled.
        top: Most characters that the occurrences of one n-gram fill without overlap, 0 if none occurs twice; shape
            (documents, sizes); filled.
        covered: Characters in n-grams that occurred before in the document; shape (documents, sizes); filled.
    """
    longest = 1
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    table = np.zeros(_slots(2 * longest), np.int32)  # the first place of an n-gram, counted from 1; 0: free
    prefix = np.zeros(longest + 1, np.uint64)
    width = np.zeros(longest + 1, np.int32)
    places = np.arange(longest + 1).astype(np.int32)  # where to look: where the size before had a repeated n-gram
    again = np.zeros(longest + 1, np.uint8)  # whether this size has one there
    tag = np.zeros(longest, np.uint32)  # of the n-gram's hash the half that does not choose its slot
    more = np.zeros(longest, np.int32)  # at an n-gram's first place: later occurrences, those that overlap left out
    until = np.zeros(longest, np.int32)  # and where the last of them ends
    for i in range(len(offsets) - 1):
        number = _units(chars[offsets[i] : offsets[i + 1]], classes, prefix, width)
        units[i] = width[number]
        for p in range(number):
            places[p] = p
        left = number
        for size in range(len(sizes)):
            n = sizes[size]
            if left < 2:
                break
            mask = _slots(2 * left) - 1  # at most a quarter full: probing further costs more than the wider table
            table[: mask + 1] = 0
            leaving = np.uint64(1)
            for _ in range(n):
                leaving *= BASE
            end = 0
            for k in range(left):
                p = places[k]
                if p + n > number:
                    left = k  # none of the rest has room
                    break
                hash_ = _mixed(prefix[p + n] - prefix[p] * leaving) * SPREAD
                tag[p], again[p], more[p] = hash_ >> np.uint64(32), 0, 0
                slot = np.int64(hash_ >> np.uint64(2) & np.uint64(0x3FFFFFFF)) & mask
                while table[slot] != 0 and tag[table[slot] - 1] != tag[p]:
                    slot = (slot + 1) & mask
                if table[slot] == 0:
                    table[slot] = p + 1
                    continue
                first = table[slot] - 1
                again[p], again[first] = 1, 1
                if size >= tops:
                    covered[i, size] += width[p + n] - width[max(end, p)]
                    end = p + n
                elif p >= (until[first] if more[first] else first + n):
                    until[first] = p + n
                    more[first] += 1
                    top[i, size] = max(top[i, size], (more[first] + 1) * (width[p + n] - width[p]))
            kept = 0
            for k in range(left):
                places[kept] = places[k]
                kept += again[places[k]]
            left = kept


@compiled
def _units(chars: CodePoints, classes: NDArray[np.uint8], prefix: Hashes, width: NDArray[np.int32]) -> int:
    """Fill the prefix hashes and the running sum of characters of a document's units; return how many there are."""
    number, length = 0, 0
    word = np.uint64(0)
    for k in range(len(chars) + 1):
        c = np.uint32(10) if k == len(chars) else chars[k]
        kind = classes[c]
        if kind in (LATIN, DIGIT, OTHER):
            word = word * WORD_BASE + np.uint64(c)
            length += 1
            continue
        if length:
            prefix[number + 1] = prefix[number] * BASE + _mixed(word)
            width[number + 1] = width[number] + length
            number += 1
            word, length = np.uint64(0), 0
        if kind in (HAN, TRADITIONAL):
            prefix[number + 1] = prefix[number] * BASE + _mixed(np.uint64(c))
            width[number + 1] = width[number] + 1
            number += 1
    return number


@compiled
def _repeats(hashes: Hashes, widths: Counts, keys: Hashes) -> tuple[int, int]:
    """Return how many of the hashes occurred before, and their widths' sum."""
    repeated, characters = 0, 0
    mask = _slots(len(hashes)) - 1
    keys[: mask + 1] = 0
    for k in range(len(hashes)):
        value = _mixed(hashes[k])
        slot = _find(keys, value, mask)
        if keys[slot] == 0:
            keys[slot] = value
        else:
            repeated += 1
            characters += widths[k]
    return repeated, characters


@compiled
def _slots(entries: int) -> int:
    """Return the size of an open-addressed table that stays at most half full."""
    size = 64
    while size < 2 * entries:
        size *= 2
    return size


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """Return a hash whose bits depend on all of the value's; never 0, which marks an empty slot."""
    value *= SPREAD
    return (value ^ (value >> np.uint64(32))) | np.uint64(1)


@compiled
def _find(keys: Hashes, value: np.uint64, mask: int) -> int:
    """Return the slot that holds the value, or the empty one where it belongs."""
    slot = np.int64((value * SPREAD) >> np.uint64(40)) & mask
    while keys[slot] != 0 and keys[slot] != value:
        slot = (slot + 1) & mask
    return int(slot)
