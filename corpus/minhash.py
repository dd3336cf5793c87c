"""MinHash signatures of character shingles, bit-identical to ``datasketch.MinHash`` (affine32), 100 times faster.

A shingle is ``SHINGLE`` consecutive characters (a shorter text is one shingle). ``shingle_hash`` maps it to 32 bits; it
is the ``hashfunc`` to give datasketch. Premix and permutations are those of datasketch, so a signature made here can
query a datasketch LSH index made there. Cost: 250 MB of UTF-8 per CPU-second for
128 permutations.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled

SHINGLE = 5
PERMUTATIONS = 128
SEED = 1  # datasketch's default

_BASE = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
_LEAVING = np.uint64(pow(int(_BASE), SHINGLE, 1 << 64))
_FINAL = np.uint64(0xD6E8FEB86659FD93)

Signatures = NDArray[np.uint32]


def shingle_hash(shingle: str | bytes) -> int:
    """Return the 32-bit hash of one shingle: a polynomial in its code points mod 2**64, multiplied, its top half.

    Args:
        shingle: Characters; bytes are taken as UTF-8, as datasketch's callers give them.
    """
    text = shingle.decode("utf-8") if isinstance(shingle, bytes) else shingle
    value = 0
    for char in text:
        value = (value * int(_BASE) + ord(char) + 1) % (1 << 64)
    value ^= value >> 29
    return (value * int(_FINAL) % (1 << 64)) >> 32


@cache
def permutations(count: int = PERMUTATIONS, seed: int = SEED) -> NDArray[np.uint32]:
    """Return datasketch's affine32 coefficients, shape (2, count): odd factors, then summands.

    They are drawn from the same frozen generator as there, since importing datasketch costs 0.4 CPU-seconds a process;
    a test holds them equal.
    """
    draw = np.random.RandomState(seed)
    odd = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.stack([odd, draw.randint(0, 1 << 32, count, dtype=np.uint32)])


def signatures(texts: FlatText, count: int = PERMUTATIONS, seed: int = SEED) -> Signatures:
    """Return the MinHash signature of each document, shape (documents, count)."""
    out = np.full((len(texts), count), np.uint32(0xFFFFFFFF))
    a, b = permutations(count, seed)
    _sign(texts.chars, texts.offsets, a, b, out)
    return out


@compiled
def _hash_shingles(chars: CodePoints, start: int, end: int, out: NDArray[np.uint32]) -> int:
    """Fill ``out`` with the hashes of the shingles of chars[start:end]; return how many there are."""
    value = np.uint64(0)
    n = 0
    for k in range(start, end):
        value = value * _BASE + np.uint64(chars[k]) + np.uint64(1)
        if k - start >= SHINGLE:
            value -= (np.uint64(chars[k - SHINGLE]) + np.uint64(1)) * _LEAVING
        if k - start >= SHINGLE - 1 or k == end - 1:
            mixed = (value ^ (value >> np.uint64(29))) * _FINAL
            out[n] = np.uint32(mixed >> np.uint64(32))
            n += 1
    return n


@compiled
def _sign(chars: CodePoints, offsets: Offsets, a: NDArray[np.uint32], b: NDArray[np.uint32], out: Signatures) -> None:
    block = np.empty(1024, np.uint32)
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        at = start
        while at < end:  # blocks of shingles stay in the first-level cache
            stop = min(end, at + 1024)
            n = _hash_shingles(chars, at, stop, block)
            for k in range(n):
                h = block[k]  # numba widens uint32 arithmetic to 64 bits: every product is cut back
                h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
                h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
                block[k] = np.uint32(h ^ (h >> np.uint32(16)))
            for p in range(
                len(a)
            ):  # the minimum of a block is a reduction, which LLVM turns into vectors: 8 times faster
                scale, shift, least = a[p], b[p], out[i, p]
                for k in range(n):
                    least = min(least, np.uint32(np.uint32(scale * block[k]) + shift))
                out[i, p] = least
            if stop == end:
                break
            at = stop - SHINGLE + 1


def band_keys(signed: Signatures, bands: int, rows: int) -> NDArray[np.uint64]:
    """Return a 64-bit key for each band of each signature, shape (documents, bands).

    Two documents share a key where they agree on all the rows of a band (Leskovec, Rajaraman, Ullman, "Mining of
    Massive Datasets", 3.4); the band's number is part of the key, so that all bands can be shuffled as one stream.

    Args:
        signed: Signatures, shape (documents, at least bands * rows).
        bands: How many bands.
        rows: Rows a band.
    """
    out = np.empty((len(signed), bands), np.uint64)
    _band(signed, bands, rows, out)
    return out


@compiled
def _band(signed: Signatures, bands: int, rows: int, out: NDArray[np.uint64]) -> None:
    for i in range(len(signed)):
        for band in range(bands):
            key = np.uint64(band) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x94D049BB133111EB)
            for r in range(rows):
                key = (key ^ np.uint64(signed[i, band * rows + r])) * np.uint64(0x9FB21C651E98DF25)
                key ^= key >> np.uint64(32)
            out[i, band] = key


def shingle_sets(texts: FlatText) -> tuple[NDArray[np.uint32], Offsets]:
    """Return each document's set of shingle hashes, end to end, and their offsets, shape (documents + 1,)."""
    out = np.empty(len(texts.chars) + len(texts), np.uint32)
    offsets = np.zeros(len(texts) + 1, np.int64)
    _sets(texts.chars, texts.offsets, out, offsets)
    return out[: offsets[-1]].copy(), offsets


@compiled
def mask_for(count: int) -> int:
    """Return the mask of a hash table that ``count`` members leave at least half empty."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size - 1


@compiled
def enter(member: np.uint32, mark: int, mask: int, slots: NDArray[np.uint32], marks: NDArray[np.int64]) -> bool:
    """Put a member into the set ``mark``; return whether it is new there.

    Sets share one table: a slot is taken if it bears the present mark, so nothing is ever cleared.
    """
    at = np.int64(member) & mask
    while marks[at] == mark:
        if slots[at] == member:
            return False
        at = (at + 1) & mask
    slots[at] = member
    marks[at] = mark
    return True


@compiled
def is_in(member: np.uint32, mark: int, mask: int, slots: NDArray[np.uint32], marks: NDArray[np.int64]) -> bool:
    """Return whether a member is in the set ``mark``."""
    at = np.int64(member) & mask
    while marks[at] == mark:
        if slots[at] == member:
            return True
        at = (at + 1) & mask
    return False


@compiled
def longest(offsets: Offsets) -> int:
    """Return the size of the largest document or set."""
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@compiled
def _sets(chars: CodePoints, offsets: Offsets, out: NDArray[np.uint32], set_offsets: Offsets) -> None:
    size = mask_for(longest(offsets)) + 1
    slots, marks = np.empty(size, np.uint32), np.zeros(size, np.int64)
    total = 0
    for i in range(len(offsets) - 1):
        n = _hash_shingles(chars, offsets[i], offsets[i + 1], out[total:])
        mask, kept = mask_for(n), 0
        for k in range(total, total + n):
            if enter(out[k], i + 1, mask, slots, marks):
                out[total + kept] = out[k]
                kept += 1
        total += kept
        set_offsets[i + 1] = total


@compiled
def jaccard(hashes: NDArray[np.uint32], offsets: Offsets, i: int, j: int) -> float:
    """Return the Jaccard similarity of two sets of ``shingle_sets``; two empty sets are alike."""
    mask = mask_for(offsets[i + 1] - offsets[i])
    slots, marks = np.empty(mask + 1, np.uint32), np.zeros(mask + 1, np.int64)
    for k in range(offsets[i], offsets[i + 1]):
        enter(hashes[k], 1, mask, slots, marks)
    return similarity(hashes, offsets, i, j, 1, mask, slots, marks)


@compiled
def similarity(
    hashes: NDArray[np.uint32],
    offsets: Offsets,
    i: int,
    j: int,
    mark: int,
    mask: int,
    slots: NDArray[np.uint32],
    marks: NDArray[np.int64],
) -> float:
    """Return the Jaccard similarity of set i, which is in the table as ``mark``, and set j."""
    size = (offsets[i + 1] - offsets[i]) + (offsets[j + 1] - offsets[j])
    if size == 0:
        return 1.0
    common = 0
    for k in range(offsets[j], offsets[j + 1]):
        common += is_in(hashes[k], mark, mask, slots, marks)
    return float(common / (size - common))
