"""Compiled merges: which two ids make one, and the order in which a run of ids is merged.

Sentencepiece's order: the merge of the highest score first, the leftmost of a tie. Short runs are scanned for their
best pair, long ones keep their pairs in a heap, so that a line of 100,000 dashes takes n log n and not n².
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.compiled import compiled

Keys = NDArray[np.uint64]
Int32 = NDArray[np.int32]
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # of a table of keys: nothing is here
NO_RANK = np.int32(0x7FFFFFFF)  # of a pair that does not merge
SHORT_RUN = 40  # up to here a scan for the best pair beats a heap


@compiled
def slot_of(keys: Keys, key: np.uint64) -> int:
    """Return where a key is, or the empty place where it would be."""
    mask = np.uint64(len(keys) - 1)
    h = key * np.uint64(0x9E3779B97F4A7C15)
    at = (h ^ h >> np.uint64(32)) & mask
    while keys[at] != key and keys[at] != np.uint64(0xFFFFFFFFFFFFFFFF):
        at = (at + np.uint64(1)) & mask
    return int(at)


@compiled
def fill(keys: Keys, values: Int32, given: Keys, given_values: Int32) -> None:
    """Put keys and their values into an empty table."""
    for n in range(len(given)):
        at = slot_of(keys, given[n])
        keys[at] = given[n]
        values[at] = given_values[n]


@compiled
def merge_of(pairs: Keys, merged: Int32, left: int, right: int) -> int:
    """Return what two ids merge into, -1 if nothing."""
    return int(merged[slot_of(pairs, np.uint64(left) << np.uint64(32) | np.uint64(right))])


@compiled
def merge_short(n: int, pairs: Keys, merged: Int32, rank: Int32, work: NDArray[np.int32]) -> int:
    """Merge the ids in work[0, :n] by scanning for the best pair; returns how many are left."""
    ids, into, order = work[0], work[1], work[2]
    for k in range(n - 1):
        m = merge_of(pairs, merged, ids[k], ids[k + 1])
        into[k] = m
        order[k] = rank[m] if m >= 0 else NO_RANK
    while n > 1:
        at = 0
        for k in range(1, n - 1):
            if order[k] < order[at]:
                at = k
        if order[at] == NO_RANK:
            break
        ids[at] = into[at]
        n -= 1
        for k in range(at + 1, n):
            ids[k] = ids[k + 1]
            into[k - 1] = into[k]
            order[k - 1] = order[k]
        for k in range(max(at - 1, 0), min(at + 1, n - 1)):
            m = merge_of(pairs, merged, ids[k], ids[k + 1])
            into[k] = m
            order[k] = rank[m] if m >= 0 else NO_RANK
    return n


@compiled
def _push(heap: NDArray[np.int64], seen: NDArray[np.int32], size: int, key: int, left: int, right: int) -> None:
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if heap[above] <= key:
            break
        heap[at] = heap[above]
        seen[at, 0], seen[at, 1] = seen[above, 0], seen[above, 1]
        at = above
    heap[at] = key
    seen[at, 0], seen[at, 1] = left, right


@compiled
def _pop(heap: NDArray[np.int64], seen: NDArray[np.int32], size: int) -> None:
    """Remove the least key of ``size``: move the last one down from the top."""
    last = size - 1
    key, left, right = heap[last], seen[last, 0], seen[last, 1]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= last:
            break
        if below + 1 < last and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= key:
            break
        heap[at] = heap[below]
        seen[at, 0], seen[at, 1] = seen[below, 0], seen[below, 1]
        at = below
    heap[at] = key
    seen[at, 0], seen[at, 1] = left, right


@compiled
def merge_long(
    n: int,
    pairs: Keys,
    merged: Int32,
    rank: Int32,
    work: NDArray[np.int32],
    heap: NDArray[np.int64],
    seen: NDArray[np.int32],
) -> int:
    """As ``merge_short``, by a heap of pairs: n log n. A pair is stale when its ids are no longer those it was of."""
    ids, before, behind = work[0], work[3], work[4]
    size = 0
    for k in range(n):
        before[k], behind[k] = k - 1, k + 1
    behind[n - 1] = -1
    for k in range(n - 1):
        m = merge_of(pairs, merged, ids[k], ids[k + 1])
        if m >= 0:
            _push(heap, seen, size, int(rank[m]) << 32 | k, ids[k], ids[k + 1])
            size += 1
    while size > 0:
        at = int(heap[0] & 0xFFFFFFFF)
        left, right = seen[0, 0], seen[0, 1]
        _pop(heap, seen, size)
        size -= 1
        after = behind[at]
        if ids[at] != left or after < 0 or ids[after] != right:
            continue
        ids[at] = merge_of(pairs, merged, left, right)
        ids[after] = -1
        behind[at] = behind[after]
        if behind[at] >= 0:
            before[behind[at]] = at
        if before[at] >= 0:
            m = merge_of(pairs, merged, ids[before[at]], ids[at])
            if m >= 0:
                _push(heap, seen, size, int(rank[m]) << 32 | before[at], ids[before[at]], ids[at])
                size += 1
        if behind[at] >= 0:
            m = merge_of(pairs, merged, ids[at], ids[behind[at]])
            if m >= 0:
                _push(heap, seen, size, int(rank[m]) << 32 | at, ids[at], ids[behind[at]])
                size += 1
    left_over = 0
    at = 0
    while at >= 0:
        ids[left_over] = ids[at]
        left_over += 1
        at = int(behind[at])
    return left_over
