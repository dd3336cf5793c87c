"""Benchmark items that stand in a document: found by 13-grams of tokens, named by the item.

A token is a hanzi, or a run of other letters and digits; case, punctuation and spacing do not count, so a reflowed or
restyled copy is found. An item of 13 tokens or more is in a document if enough of its 13-grams are; a shorter one if
the document has it whole. N-grams that several items share (the phrases in which questions are asked) count for none
of them. (GPT-3, Brown et al. 2020, appendix C, in words; here one definition for Chinese and English.)

Cost: 90 MB per CPU-second; the index of the eight benchmarks (60,000 items, 1.5 million n-grams) takes 2 s to build.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.characters import BROKEN, HAN, PUNCTUATION, SPACE, STOP, TRADITIONAL, class_table
from corpus.flat import CodePoints, FlatText, Offsets
from corpus.sources.benchmarks import read_benchmarks
from corpus.stages.base import Survivors
from workbench.compiled import compiled
from workbench.config import at_least, between, setting

N = 13
SHORTEST = 8  # tokens of an item that is looked for at all: shorter ones are everyday phrases
SHARED_BY = 2  # an n-gram that more items have belongs to none


@dataclass(frozen=True)
class Decontaminate:
    """Name the benchmark item that a document contains."""

    name: ClassVar[str] = "decontaminate"
    needs: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("benchmark_item", "benchmark_overlap")

    benchmarks: Path | None = setting(
        None, "folder with one folder a benchmark (mmlu, ceval, …); none: nothing is looked for"
    )
    min_overlap: float = setting(
        0.6, "share of an item's 13-grams from which it counts as contained", check=between(0, 1)
    )
    min_ngrams: int = setting(3, "13-grams of a longer item that must be there at least", check=at_least(1))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Index the items' n-grams."""
        if self.benchmarks is None:
            return
        items = list(read_benchmarks(self.benchmarks))
        index_items([item.id for item in items], [item.question for item in items], desk)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the id of the item that is contained most fully, and the share of its n-grams; null without one."""
        if self.benchmarks is None:
            return batch.with_columns(
                pl.lit(None, pl.String).alias("benchmark_item"), pl.lit(None, pl.Float32).alias("benchmark_overlap")
            )
        index = load_index(str(desk))
        item, overlap = index.search(FlatText.of(batch["text"]), self.min_overlap, self.min_ngrams)
        names = index.names.gather(np.maximum(item, 0)).set(pl.Series(item < 0), None)
        shares = pl.Series("benchmark_overlap", overlap, dtype=pl.Float32).set(pl.Series(item < 0), None)
        return batch.with_columns(names.alias("benchmark_item"), shares)


@dataclass(frozen=True)
class Index:
    """N-grams of benchmark items."""

    names: pl.Series  # ids of the items
    keys: NDArray[np.uint64]  # sorted hashes, shape (n-grams,)
    owners: NDArray[np.int32]  # the item of each, shape (n-grams,)
    totals: NDArray[np.int32]  # n-grams of each item, shape (items,)
    whole: NDArray[np.uint64]  # hash of a short item's tokens, shape (items,); 0 for others
    sizes: NDArray[np.int32]  # tokens of each item, shape (items,)

    def search(
        self, texts: FlatText, min_overlap: float, min_ngrams: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return, for each document, the item it contains (-1: none) and the share of the item's n-grams."""
        tokens, offsets = tokenise(texts)
        item = np.full(len(texts), -1, np.int64)
        overlap = np.zeros(len(texts), np.float32)
        arrays = (self.keys, self.owners, self.totals, self.whole, self.sizes)
        _search(tokens, offsets, *arrays, min_overlap, min_ngrams, item, overlap)
        return item, overlap


def index_items(names: list[str], questions: list[str], desk: Path) -> None:
    """Write the index of items: hashes of their n-grams, and whose they are."""
    tokens, offsets = tokenise(FlatText.of(pl.Series("text", questions, dtype=pl.String)))
    sizes = np.diff(offsets)
    whole = np.zeros(len(names), np.uint64)
    keys: list[NDArray[np.uint64]] = []
    owners: list[NDArray[np.int32]] = []
    for number in np.flatnonzero(sizes >= SHORTEST).tolist():
        some = tokens[offsets[number] : offsets[number + 1]]
        if len(some) >= N:
            found = np.unique(ngrams(some, N))
        else:  # its beginning is looked up, then the whole is compared
            found = ngrams(some[:SHORTEST], SHORTEST)
            whole[number] = ngrams(some, len(some))[0]
        keys.append(found)
        owners.append(np.full(len(found), number, np.int32))
    empty = (np.empty(0, np.uint64), np.empty(0, np.int32))
    table = pl.DataFrame({"key": np.concatenate([empty[0], *keys]), "owner": np.concatenate([empty[1], *owners])})
    counted = table.with_columns(pl.len().over("key").alias("items"))
    alone = counted.filter(pl.col("items") <= SHARED_BY).drop("items").sort("key", "owner")
    alone.unique("key", keep="first", maintain_order=True).write_ipc(desk / "ngrams.arrow")
    pl.DataFrame({"name": names, "whole": whole, "size": sizes.astype(np.int32)}).write_ipc(desk / "items.arrow")


@lru_cache(maxsize=1)
def load_index(desk: str) -> Index:
    """Read an index."""
    table, items = pl.read_ipc(Path(desk) / "ngrams.arrow"), pl.read_ipc(Path(desk) / "items.arrow")
    owners = table["owner"].to_numpy()
    totals = np.bincount(owners, minlength=len(items)).astype(np.int32)
    whole, sizes = items["whole"].to_numpy(), items["size"].to_numpy()
    return Index(items["name"], table["key"].to_numpy(), owners, totals, whole, sizes)


def tokenise(texts: FlatText) -> tuple[NDArray[np.uint64], Offsets]:
    """Return the tokens of all documents as 64-bit hashes, end to end, and where each document's begin."""
    tokens = np.empty(len(texts.chars), np.uint64)
    offsets = np.zeros(len(texts) + 1, np.int64)
    _tokenise(texts.chars, texts.offsets, class_table(), tokens, offsets)
    return tokens[: offsets[-1]].copy(), offsets


def ngrams(tokens: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return the hash of every n-gram, shape (tokens - n + 1,)."""
    out = np.empty(max(0, len(tokens) - n + 1), np.uint64)
    _ngrams(tokens, n, out)
    return out


_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


@compiled
def _tokenise(
    chars: CodePoints, offsets: Offsets, classes: NDArray[np.uint8], tokens: NDArray[np.uint64], starts: Offsets
) -> None:
    n = 0
    for i in range(len(offsets) - 1):
        word = np.uint64(0)
        for k in range(offsets[i], offsets[i + 1]):
            c = chars[k]
            kind = classes[c]
            breaks = (kind == SPACE) | (kind == PUNCTUATION) | (kind == STOP) | (kind == BROKEN)
            hanzi = (kind == HAN) | (kind == TRADITIONAL)
            if (breaks or hanzi) and word != 0:
                tokens[n] = word * _MIX
                n += 1
                word = np.uint64(0)
            if hanzi:
                tokens[n] = (np.uint64(c) + np.uint64(1)) * _MIX
                n += 1
            elif not breaks:
                lower = c + np.uint32(32) if 65 <= c <= 90 else c
                word = (word ^ np.uint64(lower)) * _BASE + np.uint64(1)
        if word != 0:
            tokens[n] = word * _MIX
            n += 1
        starts[i + 1] = n


@compiled
def _ngrams(tokens: NDArray[np.uint64], n: int, out: NDArray[np.uint64]) -> None:
    leaving = np.uint64(1)
    for _ in range(n):
        leaving *= _BASE
    value = np.uint64(0)
    for k in range(len(tokens)):
        value = value * _BASE + tokens[k]
        if k >= n:
            value -= tokens[k - n] * leaving
        if k >= n - 1:
            mixed = (value ^ (value >> np.uint64(29))) * _MIX
            out[k - n + 1] = mixed ^ (np.uint64(n) << np.uint64(58))  # lengths do not meet


@compiled
def _search(
    tokens: NDArray[np.uint64],
    offsets: Offsets,
    keys: NDArray[np.uint64],
    owners: NDArray[np.int32],
    totals: NDArray[np.int32],
    whole: NDArray[np.uint64],
    sizes: NDArray[np.int32],
    min_overlap: float,
    min_ngrams: int,
    item: NDArray[np.int64],
    overlap: NDArray[np.float32],
) -> None:
    bits = 26  # a bitmap of 8 MB answers nearly all look-ups with no
    bitmap = np.zeros(1 << bits >> 3, np.uint8)
    for key in keys:
        slot = np.int64((key & np.uint64(0x3FFFFFFFFFFFFFF)) >> np.uint64(58 - bits))
        bitmap[slot >> 3] |= np.uint8(1 << (slot & 7))
    seen = np.full(len(keys), -1, np.int64)  # the last document in which an n-gram was counted
    counts = np.zeros(len(totals), np.int32)
    owner_doc = np.full(len(totals), -1, np.int64)
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    grams = np.empty(longest + 1, np.uint64)
    for i in range(len(offsets) - 1):
        some = tokens[offsets[i] : offsets[i + 1]]
        for n in (N, SHORTEST):
            _ngrams(some, n, grams)
            for k in range(len(some) - n + 1):
                slot = np.int64((grams[k] & np.uint64(0x3FFFFFFFFFFFFFF)) >> np.uint64(58 - bits))
                if not bitmap[slot >> 3] & np.uint8(1 << (slot & 7)):
                    continue
                at = np.searchsorted(keys, grams[k])
                if at == len(keys) or keys[at] != grams[k] or seen[at] == i:
                    continue
                owner = owners[at]
                if whole[owner] != 0:
                    size = sizes[owner]
                    if k + size > len(some):
                        continue
                    full = np.empty(1, np.uint64)
                    _ngrams(some[k : k + size], size, full)
                    if full[0] != whole[owner]:
                        continue
                seen[at] = i
                if owner_doc[owner] != i:
                    owner_doc[owner] = i
                    counts[owner] = 0
                counts[owner] += 1
                share = np.float32(counts[owner] / totals[owner])
                enough = counts[owner] >= min(min_ngrams, totals[owner])
                if enough and share >= min_overlap and share > overlap[i]:
                    item[i] = owner
                    overlap[i] = share
