"""Lines that recur in many documents: what a site prints under every page, a disclaimer, a template.

Exact and near-duplicate removal compare whole documents; a line that thousands of different documents share passes by
them. A line (after normalisation a paragraph is one) of at least ``min_chars`` characters that stands in at least
``min_documents`` documents is cut from all of them but the first read; the document stays, and how much went is a
signal for a gate. (CCNet, Wenzek et al. 2020, section 3.1, cuts every paragraph seen before; the bound here is higher,
since a verse or an article of a law that two documents quote is no boilerplate.)

``line_keys`` is the step that hashes the lines (one 64-bit key each, 1 GB per CPU-second); ``repeated_lines`` brings
equal keys together: keys are shuffled, never text. Cost: 200 MB per CPU-second for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from corpus.stages.base import Survivors
from workbench.compiled import compiled
from workbench.config import at_least, setting

KEYS = "repeated.npy"  # in the desk: keys of repeated lines, sorted; and the document that keeps each
FIRSTS = "firsts.npy"


@dataclass(frozen=True)
class LineKeys:
    """Give each document the keys of its longer lines."""

    name: ClassVar[str] = "line_keys"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("line_keys",)

    min_chars: int = setting(15, "characters of the shortest line that counts", check=at_least(1))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``line_keys``: each document's distinct keys, sorted."""
        flat = FlatText.of(batch["text"])
        lines = lines_of(flat)
        long = (lines.ends - lines.starts) >= self.min_chars
        table = pl.DataFrame({"row": lines.documents[long], "key": lines.keys[long]}).unique().sort("row", "key")
        grouped = table.group_by("row", maintain_order=True).agg("key")
        rows = pl.DataFrame({"row": np.arange(len(batch))}).join(grouped, on="row", how="left", maintain_order="left")
        none = pl.lit([], dtype=pl.List(pl.UInt64))
        return batch.with_columns(rows.select(pl.col("key").fill_null(none))["key"].alias("line_keys"))


@dataclass(frozen=True)
class RepeatedLines:
    """Cut the lines that many documents have."""

    name: ClassVar[str] = "repeated_lines"
    needs: ClassVar[tuple[str, ...]] = ("line_keys",)
    reads: ClassVar[tuple[str, ...]] = ("doc", "text", "line_keys")
    writes: ClassVar[tuple[str, ...]] = ("text", "repeated_line_chars", "chars_left")

    min_documents: int = setting(20, "documents that must have a line for it to be cut", check=at_least(2))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Find the keys that many documents have, and the first document of each."""
        found = [pl.DataFrame(schema={"key": pl.UInt64, "first": pl.UInt64})]
        for met in survivors.meet("line_keys", []):
            counted = met.group_by("key").agg(pl.len().alias("documents"), pl.col("doc").min().alias("first"))
            found.append(counted.filter(pl.col("documents") >= self.min_documents).select("key", "first"))
        repeated = pl.concat(found).sort("key")
        np.save(desk / KEYS, repeated["key"].to_numpy(), allow_pickle=False)
        np.save(desk / FIRSTS, repeated["first"].to_numpy(), allow_pickle=False)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text``; add how many characters of it went, and how many are left."""
        text = batch["text"]
        keys, firsts = np.load(desk / KEYS, allow_pickle=False), np.load(desk / FIRSTS, allow_pickle=False)
        known = pl.Series("known", keys, dtype=pl.UInt64)
        shown = batch.select(pl.col("line_keys").list.set_intersection(known.implode()).list.len() > 0).to_series()
        rows = shown.fill_null(value=False).arg_true().to_numpy()
        if len(keys) and len(rows):
            flat = FlatText.of(text.gather(rows))
            lines = lines_of(flat)
            at = np.minimum(np.searchsorted(keys, lines.keys), len(keys) - 1)
            own = batch["doc"].gather(rows).to_numpy()[lines.documents]
            # every line is hashed here; the short ones, of which line_keys made no key, are not among the keys
            gone = (keys[at] == lines.keys) & (firsts[at] != own)
            out, offsets = np.empty_like(flat.chars), np.zeros(len(rows) + 1, np.int64)
            keep_lines(flat.chars, lines.documents, lines.starts, lines.ends, gone, out, offsets)
            text = text.clone().scatter(rows, FlatText(out[: offsets[-1]], offsets).to_series())
        left = text.str.len_chars()
        cut = (batch["text"].str.len_chars() - left).cast(pl.UInt32)
        return batch.with_columns(text, cut.alias("repeated_line_chars"), left.alias("chars_left"))


@dataclass(frozen=True)
class Lines:
    """The lines of some documents that are not empty, in their order; each array has a value a line."""

    documents: NDArray[np.int64]
    starts: Offsets
    ends: Offsets
    keys: NDArray[np.uint64]


def lines_of(flat: FlatText) -> Lines:
    """Find and hash the lines of each document."""
    count = find_lines(flat.chars, flat.offsets, *_room(0))
    documents, starts, ends, keys = _room(count)
    find_lines(flat.chars, flat.offsets, documents, starts, ends, keys)
    return Lines(documents, starts, ends, keys)


def _room(count: int) -> tuple[NDArray[np.int64], Offsets, Offsets, NDArray[np.uint64]]:
    numbers = [np.empty(count, np.int64) for _ in range(3)]
    return numbers[0], numbers[1], numbers[2], np.empty(count, np.uint64)


@compiled
def find_lines(
    chars: CodePoints,
    offsets: Offsets,
    documents: NDArray[np.int64],
    starts: Offsets,
    ends: Offsets,
    keys: NDArray[np.uint64],
) -> int:
    """Write the lines that are not empty, if there is room; return how many there are."""
    n = 0
    for i in range(len(offsets) - 1):
        start, value = offsets[i], np.uint64(0)
        for k in range(offsets[i], offsets[i + 1] + 1):
            if k < offsets[i + 1] and chars[k] != 10:
                value = (value ^ np.uint64(chars[k])) * np.uint64(0x9E3779B97F4A7C15)
                value ^= value >> np.uint64(29)
                continue
            if k > start:
                if len(keys):
                    documents[n], starts[n], ends[n] = i, start, k
                    keys[n] = value
                n += 1
            start, value = k + 1, np.uint64(0)
    return n


@compiled
def keep_lines(
    chars: CodePoints,
    documents: NDArray[np.int64],
    starts: Offsets,
    ends: Offsets,
    gone: NDArray[np.bool_],
    out: CodePoints,
    offsets: Offsets,
) -> None:
    """Write the lines that stay, with the breaks that stood before them."""
    n = 0
    at = 0
    for i in range(len(offsets) - 1):
        begin = n
        while at < len(documents) and documents[at] == i:
            if not gone[at]:
                if n > begin:
                    breaks = 1  # an empty line before it stays one
                    if chars[starts[at] - 2] == 10:
                        breaks = 2
                    for _ in range(breaks):
                        out[n] = 10
                        n += 1
                for k in range(starts[at], ends[at]):
                    out[n] = chars[k]
                    n += 1
            at += 1
        offsets[i + 1] = n
