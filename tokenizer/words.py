"""Byte pair encoding learnt from runs of hanzi, compiled and exact. 20 million hanzi, 15,000 merges: 8 s, 700 MB.

Exact means: each merge is of the pair that is then the most frequent, of equally frequent ones that of the lower ids.

What makes it linear: a pair of symbols comes into being either at the start or in the one merge that makes the younger
of the two, never later, so its places form one block that is only ever thinned out. Blocks lie in a pool; a place is
looked at once more when its pair is merged, and is passed over if its pair is gone. A pair that has too few places when
it comes into being can never be merged and is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.merges import EMPTY, Keys, slot_of
from workbench.compiled import compiled

Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
BREAK = -1  # between two runs


@dataclass(frozen=True)
class Merges:
    """What was learnt, merge by merge; arrays of shape (merges,)."""

    left: Int32  # symbols below ``alphabet`` are characters, ``alphabet + n`` is what merge n made
    right: Int32
    train: Int  # how often it was applied before the mark
    held_out: Int  # and behind it


def learn_merges(symbols: Int32, mark: int, alphabet: int, most: int, floor: int, longest: int) -> Merges:
    """Learn merges.

    Args:
        symbols: Runs of characters, ``BREAK`` between them, shape (places,); overwritten.
        mark: Places from here on are held out: merges are applied to them, and counted, but not chosen by them.
        alphabet: Characters are numbered below it.
        most: Merges to learn at most.
        floor: A merge is of a pair with at least so many places before the mark.
        longest: A merge makes at most so many characters.
    """
    out = np.zeros((2, most), np.int32)
    applied = np.zeros((2, most), np.int64)
    count = _learn(symbols, mark, alphabet, most, max(1, floor), longest, out, applied)
    return Merges(out[0, :count], out[1, :count], applied[0, :count], applied[1, :count])


@compiled
def _key(left: int, right: int) -> np.uint64:
    return np.uint64(left) << np.uint64(32) | np.uint64(right)


@compiled
def _before(counts: Int, keys: Keys, a: int, b: int) -> bool:
    """Tell whether pair a is to be merged before pair b."""
    return bool(counts[a] > counts[b] or (counts[a] == counts[b] and keys[a] < keys[b]))


@compiled
def _sink(heap: Int, size: int, at: int, counts: Int, keys: Keys) -> None:
    item = heap[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _before(counts, keys, heap[below + 1], heap[below]):
            below += 1
        if _before(counts, keys, item, heap[below]):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = item


@compiled
def _rise(heap: Int, at: int, counts: Int, keys: Keys) -> None:
    item = heap[at]
    while at > 0:
        above = (at - 1) >> 1
        if not _before(counts, keys, item, heap[above]):
            break
        heap[at] = heap[above]
        at = above
    heap[at] = item


@compiled
def _learn(
    symbols: Int32,
    mark: int,
    alphabet: int,
    most: int,
    floor: int,
    longest: int,
    out: Int32,
    applied: Int,
) -> int:
    n = len(symbols)
    # Pairs at the start: count, then lay their places out in blocks.
    slots = 1 << 16
    table, first = np.full(slots, EMPTY), np.zeros((slots, 2), np.int32)  # places before the mark, and all
    distinct = 0
    for k in range(n - 1):
        if symbols[k] >= 0 and symbols[k + 1] >= 0:
            key = _key(symbols[k], symbols[k + 1])
            at = slot_of(table, key)
            if table[at] == EMPTY:
                distinct += 1
                if 2 * distinct > slots:
                    slots *= 2
                    old_table, old_first = table, first
                    table, first = np.full(slots, EMPTY), np.zeros((slots, 2), np.int32)
                    for old in range(len(old_table)):
                        if old_table[old] != EMPTY:
                            at = slot_of(table, old_table[old])
                            table[at] = old_table[old]
                            first[at, 0], first[at, 1] = old_first[old, 0], old_first[old, 1]
                    at = slot_of(table, key)
                table[at] = key
            first[at, 0] += k < mark
            first[at, 1] += 1
    room = 1024
    pairs = 0
    places = 0
    for at in range(slots):
        if first[at, 0] >= floor:
            pairs += 1
            places += first[at, 1]
    while room < 2 * pairs:
        room *= 2
    keys, counts = np.zeros(room, np.uint64), np.zeros(room, np.int64)
    begins, sizes = np.zeros(room, np.int64), np.zeros(room, np.int64)
    pool = np.empty(max(1024, places * 2), np.int32)
    pairs = 0
    used = 0
    for at in range(slots):
        if first[at, 0] >= floor:
            keys[pairs], counts[pairs] = table[at], first[at, 0]
            begins[pairs] = used
            used += first[at, 1]
            first[at, 1] = pairs
            pairs += 1
        else:
            first[at, 1] = -1
    for k in range(n - 1):
        if symbols[k] >= 0 and symbols[k + 1] >= 0:
            p = first[slot_of(table, _key(symbols[k], symbols[k + 1])), 1]
            if p >= 0:
                pool[begins[p] + sizes[p]] = k
                sizes[p] += 1
    # Of all later pairs only those that are kept: key to number.
    slots = 4096
    while slots < 4 * pairs:
        slots *= 2
    table = np.full(slots, EMPTY)
    number = np.zeros(slots, np.int64)
    for p in range(pairs):
        at = slot_of(table, keys[p])
        table[at], number[at] = keys[p], p

    behind, ahead = np.empty(n, np.int32), np.empty(n, np.int32)  # the neighbours' places
    for k in range(n):
        behind[k], ahead[k] = k - 1, k + 1
    chars = np.ones(alphabet + most, np.int32)
    heap = np.empty(room, np.int64)
    for p in range(pairs):
        heap[p] = p
    size = pairs
    for p in range(size // 2 - 1, -1, -1):
        _sink(heap, size, p, counts, keys)
    pushed = counts.copy()  # the count with which a pair lies in the heap

    merges = 0
    left_of, right_of = np.zeros((alphabet + most, 2), np.int32), np.zeros((alphabet + most, 2), np.int32)
    new = np.empty((2, 1024), np.int32)  # places of pairs that come into being, by their left and their right symbol
    while merges < most and size > 0:
        p = heap[0]
        left, right = np.int64(keys[p] >> np.uint64(32)), np.int64(keys[p] & np.uint64(0xFFFFFFFF))
        if pushed[p] < floor:
            break
        size -= 1
        heap[0] = heap[size]
        _sink(heap, size, 0, pushed, keys)
        if pushed[p] != counts[p]:
            pushed[p] = counts[p]
            heap[size] = p
            _rise(heap, size, pushed, keys)
            size += 1
            continue
        if chars[left] + chars[right] > longest:
            counts[p] = 0
            continue
        made = alphabet + merges
        chars[made] = chars[left] + chars[right]
        out[0, merges], out[1, merges] = left, right
        if new.shape[1] < 2 * sizes[p]:
            new = np.empty((2, 2 * sizes[p]), np.int32)
        fresh = 0  # places of the new symbol
        for k in range(begins[p], begins[p] + sizes[p]):
            i = pool[k]
            j = ahead[i]
            if symbols[i] != left or j >= n or symbols[j] != right:
                continue
            trained = np.int64(i < mark)
            applied[1 - trained, merges] += 1
            before, after = behind[i], ahead[j]
            # The pairs with the neighbours lose a place.
            if trained and before >= 0 and symbols[before] >= 0:
                at = slot_of(table, _key(symbols[before], int(left)))
                if table[at] != EMPTY:
                    counts[number[at]] -= 1
            if trained and after < n and symbols[after] >= 0:
                at = slot_of(table, _key(int(right), symbols[after]))
                if table[at] != EMPTY:
                    counts[number[at]] -= 1
            symbols[i] = made
            symbols[j] = -2  # no symbol any more
            ahead[i] = after
            if after < n:
                behind[after] = i
            new[0, fresh] = i
            fresh += 1
        counts[p] = 0
        merges += 1
        # The new pairs, counted by the other symbol; (made, made) counts as a pair of its left.
        touched = 0
        for f in range(fresh):
            i = new[0, f]
            before, after = behind[i], ahead[i]
            if before >= 0 and symbols[before] >= 0:
                left_of[symbols[before], 0] += i < mark
                left_of[symbols[before], 1] += 1
            if after < n and symbols[after] >= 0 and symbols[after] != made:
                right_of[symbols[after], 0] += i < mark
                right_of[symbols[after], 1] += 1
        needed = used + 2 * fresh
        if needed > len(pool):
            grown = np.empty(max(needed, len(pool) + len(pool) // 2), np.int32)
            grown[:used] = pool[:used]
            pool = grown
        for side in range(2):
            tally = left_of if side == 0 else right_of
            for f in range(fresh):
                i = new[0, f]
                other = behind[i] if side == 0 else ahead[i]
                if other < 0 or other >= n or symbols[other] < 0 or (side == 1 and symbols[other] == made):
                    continue
                s = symbols[other]
                if tally[s, 1] > 0:  # met for the first time: keep it, or not
                    if tally[s, 0] >= floor:
                        if pairs == room:
                            room *= 2
                            keys, counts, begins, sizes, pushed, heap = (
                                _grown(keys, room),
                                _grown(counts, room),
                                _grown(begins, room),
                                _grown(sizes, room),
                                _grown(pushed, room),
                                _grown(heap, room),
                            )
                        key = _key(s, made) if side == 0 else _key(made, s)
                        keys[pairs], counts[pairs], pushed[pairs] = key, tally[s, 0], tally[s, 0]
                        begins[pairs], sizes[pairs] = used, 0
                        used += tally[s, 1]
                        if 2 * pairs > slots:
                            slots *= 4
                            table, number = np.full(slots, EMPTY), np.zeros(slots, np.int64)
                            for q in range(pairs):
                                at = slot_of(table, keys[q])
                                table[at], number[at] = keys[q], q
                        at = slot_of(table, key)
                        table[at], number[at] = key, pairs
                        heap[size] = pairs
                        _rise(heap, size, pushed, keys)
                        size += 1
                        tally[s, 1] = -1 - pairs  # its number, until the end of this merge
                        pairs += 1
                    else:
                        tally[s, 1] = 0
                    new[1, touched] = s
                    touched += 1
                    tally[s, 0] = 0
                if tally[s, 1] < 0:
                    q = -1 - tally[s, 1]
                    pool[begins[q] + sizes[q]] = other if side == 0 else i
                    sizes[q] += 1
            for t in range(touched):
                tally[new[1, t], 1] = 0
            touched = 0
    return merges


@compiled
def _grown(values, room):  # type: ignore[no-untyped-def]
    out = np.zeros(room, values.dtype)
    out[: len(values)] = values
    return out
