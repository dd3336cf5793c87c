"""Scoring with a character n-gram model: KenLM's ``score``, to the last bit, twice as many characters a second.

KenLM's Python entry takes one document at a time, splits it at spaces and hashes each token's spelling; its query then
waits for memory once an n-gram. Here a batch of documents is one stream of ids, and a block of it is looked up an order
at a time: all look-ups of an order are independent, so their waits overlap. What KenLM does is kept (Heafield 2011,
"KenLM: Faster and Smaller Language Model Queries"): one open-addressing table of 64-bit hashes for the orders from 2
on, and a sign bit that tells whether a longer n-gram exists to the left (of a probability) or to the right (of a
backoff), so that hopeless look-ups are not made; sums are taken in its order and in single precision.

A bucket of four n-grams is a line of the processor's cache, hashes before numbers: a look-up waits for one line, and
compares its four hashes without a branch. 16 bytes an n-gram, at most 0.4 of the places filled; a table of 1.3 million
n-grams is made in 0.4 CPU-s. 35 MB of Chinese per CPU-second where KenLM gives 15 in the same run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from corpus.ngram.counts import BOS, EOS, MAX_ORDER, SPECIALS, UNICODE, UNK, WHITE_SPACE, Ids
from corpus.ngram.smoothing import Floats
from corpus.ngram.trie import Tokens
from workbench.compiled import compiled
from workbench.errors import InputError
from workbench.files import atomic_path

SUFFIX = ".ngrams"  # of a file that ``QueryTable.save`` writes
DROPPED = -1  # the id of what is no token
MOST_FILLED = 0.4  # of the table: above, buckets that overflow cost more than memory
LINE = 8  # 64-bit words of a bucket: four hashes, then probability and backoff of each as single precision
SLOTS = 4  # n-grams of a bucket
BLOCK = 1024  # tokens looked up at a time: what they touch fits the second-level cache
PADDING = 8  # ids before the stream, so that the first token has a (hopeless) context
FACTOR = np.uint64(0x9E3779B97F4A7C15)
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)
PROBABILITY, BACKOFF = np.uint64(2 * SLOTS), np.uint64(2 * SLOTS + 1)  # of the first n-gram of a bucket, in ``numbers``

Hashes = NDArray[np.uint64]


class Places(NamedTuple):
    """The open-addressing table, as the kernels see it."""

    hashes: Hashes  # of n-grams, their lowest bit set, 0 for an empty place; the words of all buckets end to end
    numbers: Floats  # the same memory: the probability of the hash at ``a`` is at ``2 a + 8``, its backoff behind it
    shift: np.uint64  # of a 64-bit product, which leaves the bucket's number


class Ngrams(NamedTuple):
    """Some n-grams of one order."""

    tokens: Tokens  # ids, the first token first
    probability: Floats  # log10, shape (n-grams,)
    backoff: Floats  # log10, shape (n-grams,); in the highest order (0,)


@dataclass(frozen=True)
class QueryTable:
    """A model, ready to score."""

    order: int
    vocabulary: CodePoints  # of each id; the first three are <unk>, <s> and </s>; shape (ids,)
    unigrams: Floats  # log10 of probability and backoff, above zero if nothing extends it; shape (ids, 2)
    buckets: Hashes  # what ``Places`` reads, shape (buckets, LINE)

    @classmethod
    def of(cls, vocabulary: CodePoints, orders: Sequence[Iterable[Ngrams]]) -> QueryTable:
        """Make the table.

        Args:
            vocabulary: Code point of each id; the first three are ``<unk>``, ``<s>`` and ``</s>``.
            orders: The n-grams of each order from 1 on, in blocks; order 1 in the order of the ids.

        Raises:
            ValueError: For a model that this table cannot hold: a backoff above 1, an n-gram whose suffix or context
                is missing.
        """
        single, *longer = [list(blocks) for blocks in orders]
        if any((block.backoff > 0).any() for blocks in (single, *longer) for block in blocks):
            raise ValueError("a backoff is above 1")
        number = sum(len(block.tokens) for blocks in longer for block in blocks)
        bits = max(4, math.ceil(math.log2(max(1, number) / MOST_FILLED / SLOTS)))
        unigrams = np.abs(np.concatenate([np.stack(block[1:], axis=1) for block in single]))
        table = cls(len(orders), vocabulary, unigrams, _in_lines(np.zeros((1 << bits, LINE), np.uint64)))
        for block in (block for blocks in longer for block in blocks):
            insert(*block, table.places)
        for block in (block for blocks in longer for block in blocks):
            if not mark(block.tokens, unigrams, table.places):
                raise ValueError("an n-gram lacks its suffix or its context")
        return table

    @cached_property
    def places(self) -> Places:
        """Return the table as the kernels see it."""
        words, bits = self.buckets.reshape(-1), len(self.buckets).bit_length() - 1
        return Places(words, words.view(np.float32), np.uint64(64 - bits))

    @cached_property
    def ids(self) -> Ids:
        """Return the id of each code point, shape (UNICODE,)."""
        ids = ids_by_code(self.vocabulary, UNK)
        ids[list(WHITE_SPACE)] = DROPPED
        return ids

    def score(self, texts: FlatText) -> tuple[Floats, Offsets]:
        """Score documents, each a sentence with its begin and end.

        Args:
            texts: The documents; white space is dropped.

        Returns:
            log10 of the probability of each, what ``kenlm.Model.score`` gives of the spaced text; and its characters.
        """
        scores, counts = np.zeros(len(texts), np.float32), np.zeros(len(texts), np.int64)
        stream = np.zeros(PADDING + len(texts.chars) + 2 * len(texts), np.int32)
        length = to_stream(texts.chars, texts.offsets, self.ids, stream, counts)
        look_up(stream, length, self.unigrams, self.places, self.order, scores)
        return scores, counts

    def save(self, path: Path) -> None:
        """Write the model, complete or not at all: numpy's npy four times (npz would sum 130 MB up with a CRC).

        Raises:
            OutputError: If it cannot be written.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for part in (np.array(self.order), self.vocabulary, self.unigrams, self.buckets):
                np.save(file, part, allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> QueryTable:
        """Read a model that ``save`` wrote.

        Raises:
            InputError: If the file is not one.
        """
        try:
            with path.open("rb") as file:
                order, vocabulary, unigrams, buckets = (np.load(file, allow_pickle=False) for _ in range(4))
            if buckets.shape[1:] != (LINE,):
                raise ValueError("of another version")
            return cls(int(order), vocabulary, unigrams, _in_lines(buckets))
        except (OSError, ValueError, EOFError) as error:
            raise InputError(path, f"is no query table ({error})", "delete it and run the command again") from error


def _in_lines(buckets: Hashes) -> Hashes:
    """Return the same where each bucket is one line of the cache: numpy begins an array at any 16 bytes."""
    if buckets.ctypes.data % 64 == 0:
        return buckets
    room = np.empty(buckets.size + LINE, np.uint64)
    begin = -room.ctypes.data % 64 // 8
    out = room[begin : begin + buckets.size].reshape(buckets.shape)
    out[:] = buckets
    return out


def ids_by_code(vocabulary: CodePoints, unknown: int) -> Ids:
    """Return the id of each code point, shape (UNICODE,); ``unknown`` for what the vocabulary lacks."""
    ids = np.full(UNICODE, unknown, np.int32)
    ids[vocabulary[SPECIALS:]] = np.arange(SPECIALS, len(vocabulary), dtype=np.int32)
    return ids


@compiled
def extended(ngram: np.uint64, token: np.uint64) -> np.uint64:
    """Return the hash of an n-gram with one more token before it."""
    mixed = (ngram ^ (token + np.uint64(1))) * FACTOR
    return mixed ^ mixed >> np.uint64(29)


@compiled
def first_bucket(places: Places, ngram: np.uint64) -> np.uint64:
    """Return where the first bucket to look at begins; unsigned, for a sign would be looked at with each load."""
    return (((ngram | np.uint64(1)) * FACTOR) >> places.shift) * np.uint64(LINE)


@compiled
def next_bucket(places: Places, bucket: np.uint64) -> np.uint64:
    """Return where the bucket begins that takes what does not fit in one."""
    return (bucket + np.uint64(LINE)) & np.uint64(len(places.hashes) - 1)


@compiled
def find(places: Places, ngram: np.uint64) -> np.uint64:
    """Return where a hash is, or the empty place where it would be."""
    key = ngram | np.uint64(1)  # zero is an empty place
    bucket = first_bucket(places, ngram)
    while True:
        for at in range(bucket, bucket + np.uint64(SLOTS)):
            if places.hashes[at] == key or places.hashes[at] == 0:
                return np.uint64(at)
        bucket = next_bucket(places, bucket)


@compiled
def hash_of(tokens: Tokens, row: int, begin: int, end: int) -> np.uint64:
    """Return the hash of a part of an n-gram."""
    ngram = np.uint64(0)
    for d in range(end - 1, begin - 1, -1):
        ngram = extended(ngram, np.uint64(tokens[row, d]))
    return ngram


@compiled
def insert(tokens: Tokens, probability: Floats, backoff: Floats, places: Places) -> None:
    """Enter n-grams of an order from 2 on; a number above zero is one that nothing extends, as yet."""
    for row in range(len(tokens)):
        ngram = hash_of(tokens, row, 0, tokens.shape[1])
        at = find(places, ngram)
        places.hashes[at] = ngram | np.uint64(1)
        places.numbers[PROBABILITY + 2 * at] = abs(probability[row])
        places.numbers[BACKOFF + 2 * at] = abs(backoff[row]) if len(backoff) else np.float32(0)


@compiled
def mark(tokens: Tokens, unigrams: Floats, places: Places) -> bool:
    """Mark the suffix and the context of each n-gram as extended; tell whether all were there."""
    order = tokens.shape[1]
    for row in range(len(tokens)):
        if order == 2:
            unigrams[tokens[row, 1], 0] = -abs(unigrams[tokens[row, 1], 0])
            unigrams[tokens[row, 0], 1] = -abs(unigrams[tokens[row, 0], 1])
            continue
        suffix = find(places, hash_of(tokens, row, 1, order))
        context = find(places, hash_of(tokens, row, 0, order - 1))
        if places.hashes[suffix] == 0 or places.hashes[context] == 0:
            return False
        suffix, context = PROBABILITY + 2 * suffix, BACKOFF + 2 * context
        places.numbers[suffix] = -abs(places.numbers[suffix])
        places.numbers[context] = -abs(places.numbers[context])
    return True


@compiled
def to_stream(chars: CodePoints, offsets: Offsets, ids: Ids, stream: Ids, counts: Offsets) -> int:
    """Write documents as ids, each between ``<s>`` and ``</s>``; return how many ids there are."""
    n = PADDING
    for i in range(len(offsets) - 1):
        stream[n] = BOS
        n += 1
        begin = n
        for k in range(offsets[i], offsets[i + 1]):
            stream[n] = ids[chars[k]]
            n += stream[n] != DROPPED
        counts[i] = n - begin
        stream[n] = EOS
        n += 1
    return n - PADDING


@compiled
def look_up(stream: Ids, length: int, unigrams: Floats, places: Places, order: int, scores: Floats) -> np.uint64:
    """Fill the score of each document of a stream; the value means nothing, it keeps the loads in the program.

    For each token of a block: ``matched``, the length of the longest n-gram of the model that ends with it, and its
    probability; the backoffs of all that end with it; and ``extends``, the length of the longest that is a context.
    """
    hashes, at = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint64)
    still = np.empty(BLOCK, np.int64)  # the tokens that a longer n-gram may end with
    probability, matched = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.int64)
    backoffs, extends = (
        np.zeros((BLOCK + 1, MAX_ORDER), np.float32),
        np.zeros(BLOCK + 1, np.int64),
    )  # [0]: last of before
    size, document, score, touched = 0, 0, np.float32(0), np.uint64(0)
    for begin in range(PADDING, PADDING + length, BLOCK):
        backoffs[0], extends[0] = backoffs[size], extends[size]
        size = min(BLOCK, PADDING + length - begin)
        n = 0
        for i in range(size):
            token = stream[begin + i]
            hashes[i] = extended(np.uint64(0), np.uint64(token))
            probability[i], backoffs[i + 1, 0] = -abs(unigrams[token, 0]), -abs(unigrams[token, 1])
            matched[i], extends[i + 1] = 1, unigrams[token, 1] <= 0
            still[n] = i
            n += unigrams[token, 0] <= 0
        for k in range(1, order):
            m = 0
            for j in range(n):
                i = still[j]
                hashes[i] = extended(hashes[i], np.uint64(stream[begin + i - k]))
                still[m] = i
                at[m] = first_bucket(places, hashes[i])
                m += extends[i] >= k
            for j in range(m):
                touched += places.hashes[at[j]]  # nothing waits for it: these loads are under way together
            n = 0
            for j in range(m):
                i, bucket = still[j], at[j]
                key = hashes[i] | np.uint64(1)
                while True:  # all four compared at once: which one it is, a branch would guess wrong
                    second, third = places.hashes[bucket + ONE] == key, places.hashes[bucket + TWO] == key
                    fourth, last = places.hashes[bucket + THREE] == key, places.hashes[bucket + THREE]
                    hit = (places.hashes[bucket] == key) | second | third | fourth
                    if hit | (last == 0):
                        break
                    bucket = next_bucket(places, bucket)
                place = np.uint64(2) * (bucket + ONE * second + TWO * third + THREE * fourth)
                probable, backoff = places.numbers[PROBABILITY + place], places.numbers[BACKOFF + place]
                probability[i] = -abs(probable) if hit else probability[i]
                matched[i] = k + 1 if hit else matched[i]
                backoffs[i + 1, k] = -abs(backoff)
                extends[i + 1] = k + 1 if hit and backoff <= 0 and k + 1 < order else extends[i + 1]
                still[n] = i
                n += hit and probable <= 0
        for i in range(size):
            token = stream[begin + i]
            total = probability[i]
            for k in range(MAX_ORDER - 1):
                total += backoffs[i, k] if matched[i] - 1 <= k < extends[i] else np.float32(0)
            score = np.float32(0) if token == BOS else score + total
            if token == EOS:
                scores[document] = score
                document += 1
    return touched
