"""The n-grams of every order as one reversed trie, built in one pass over the highest order's.

In suffix order the n-grams that share a suffix are neighbours, so a level is three arrays: the first token of each
n-gram, its raw count, and where its children (the same n-gram with one more token before it) begin in the next level.
The adjusted count of modified Kneser-Ney, how many distinct tokens precede an n-gram, is then its number of children.
12 bytes an n-gram.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.ngram.counts import BOS
from corpus.ngram.runs import FIELD, Counts, Run
from corpus.ngram.scratch import Scratch
from workbench.compiled import compiled

Tokens = NDArray[np.uint32]  # ids of n-grams, the first token first, shape (n-grams, order)


class Level(NamedTuple):
    """The n-grams of one order in suffix order (while it is built: of all orders, an array's row each)."""

    word: Counts  # first token of each, shape (n-grams,)
    raw: Counts  # how often it occurs, shape (n-grams,)
    child: Counts  # its children are child[i] : child[i + 1] of the next level, shape (n-grams + 1,)
    highest: bool  # whether there is no next level

    @property
    def size(self) -> int:
        """How many n-grams."""
        return len(self.word)


@dataclass(frozen=True)
class Trie:
    """Levels of order 1 to n; level 1 has ``<unk>``, ``<s>`` and ``</s>`` first, and its index is the token's id."""

    levels: tuple[Level, ...]
    last_depth: int  # orders up to it end with a part of the last n-gram of all

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.levels)


def build(blocks: Iterable[Run], bound: int, order: int, scratch: Scratch) -> Trie:
    """Build the trie from the n-grams of the highest order.

    Args:
        blocks: Distinct n-grams of length ``order``, padded with ``<s>``, in suffix order.
        bound: At least their number.
        order: 1 to 5.
        scratch: Where the arrays live.
    """
    rows = bound + 2  # level 1 also has <unk> and <s>
    word, raw = scratch.zeros((order, rows), np.uint32), scratch.zeros((order, rows), np.uint32)
    child = scratch.zeros((order, rows + 1), np.uint32)
    word[0, BOS] = BOS
    sizes = np.zeros(order, np.int64)
    sizes[0] = 2
    last = np.zeros(order + 1, np.int64)  # tokens of the last n-gram from the end; [order]: how many
    for block in blocks:
        grow(block, Level(word, raw, child, False), sizes, last)
    levels = []
    for k, size in enumerate(sizes):
        child[k, size] = sizes[k + 1] if k + 1 < order else 0
        levels.append(Level(word[k, :size], raw[k, :size], child[k, : size + 1], k + 1 == order))
    return Trie(tuple(levels), int(last[order]))


@compiled
def grow(block: Run, levels: Level, sizes: NDArray[np.int64], last: NDArray[np.int64]) -> None:
    """Add n-grams of the highest order and their suffixes; ``<s>`` ends a suffix: nothing precedes it."""
    order = len(sizes)
    mask = np.uint64((1 << FIELD) - 1)
    tokens = np.empty(order, np.int64)
    for i in range(len(block.times)):
        depth = order
        same = 0
        for d in range(order):
            if d < 3:
                tokens[d] = np.int64(block.high[i] >> np.uint64(FIELD * (2 - d)) & mask)
            else:
                tokens[d] = np.int64(block.low[i] >> np.uint64(FIELD * (4 - d)) & mask)
            if same == d and d < last[order] and tokens[d] == last[d]:
                same += 1
            if tokens[d] == BOS:
                depth = d + 1
                break
        for d in range(depth):
            if d < same:
                levels.raw[d, sizes[d] - 1] += block.times[i]
            else:
                n = sizes[d]
                levels.word[d, n] = tokens[d]
                levels.raw[d, n] = block.times[i]
                levels.child[d, n] = sizes[d + 1] if d + 1 < order else 0
                sizes[d] = n + 1
            last[d] = tokens[d]
        last[order] = depth


@compiled
def adjusted(level: Level, i: int) -> int:
    """Return an adjusted count: the raw one in the highest order and after ``<s>``, else the number of children."""
    if level.highest or level.word[i] == BOS:
        return int(np.int64(level.raw[i]))
    return int(np.int64(level.child[i + 1]) - np.int64(level.child[i]))


def kept(trie: Trie, k: int, limit: int, block: int) -> Iterator[tuple[NDArray[np.int64], Tokens]]:
    """Yield the n-grams of order k + 1 that are not pruned, a block at a time: their rows in the level, their tokens.

    Args:
        trie: The n-grams.
        k: Number of the level; level 0 is never pruned.
        limit: Raw count up to which an n-gram is pruned.
        block: Rows looked at at a time.

    Yields:
        Rows, shape (n,), and ids of the tokens, the first first, shape (n, k + 1).
    """
    level = trie.levels[k]
    for begin in range(0, level.size, block):
        rows = np.arange(begin, min(begin + block, level.size), dtype=np.int64)
        if k:
            rows = rows[level.raw[begin : begin + len(rows)] > limit]
        if not len(rows):
            continue
        tokens = np.empty((len(rows), k + 1), np.uint32)
        at = rows
        for d in range(k + 1):  # from the first token on, one level down each time
            tokens[:, d] = trie.levels[k - d].word[at]
            if d < k:
                lower = np.empty_like(at)
                parents(trie.levels[k - d - 1].child, at, lower)
                at = lower
        yield rows, tokens


@compiled
def parents(child: Counts, rows: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Fill ``out`` with the level below's index of the suffix of each n-gram; ``rows`` ascend, shape (n,)."""
    if len(rows) == 0:
        return
    low, high = 0, len(child) - 1
    while high - low > 1:  # the last entry that begins at or before the first row
        middle = (low + high) // 2
        if child[middle] <= rows[0]:
            low = middle
        else:
            high = middle
    at = low
    for i in range(len(rows)):
        while child[at + 1] <= rows[i]:
            at += 1
        out[i] = at
