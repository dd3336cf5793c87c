"""Counting: text becomes a stream of character ids, the stream becomes sorted runs of distinct n-grams with counts.

A token is a Unicode character that is not white space (``str.isspace``) and not NUL; white space is dropped. A document
is one sentence: ``order - 1`` times ``<s>``, its tokens, ``</s>``. Ids are given in order of first appearance after
``<unk>`` 0, ``<s>`` 1, ``</s>`` 2, as lmplz gives them, so that both sort alike.

A chunk is sorted by one counting pass a token: 5.3 million positions, order 5, take 0.7 CPU-s. Beyond one chunk, runs
go to disk and are merged; ids do not depend on the chunks, so neither does the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from corpus.ngram.runs import FIELD, RUN_BYTES, Run, merged
from corpus.ngram.scratch import Scratch
from workbench.compiled import compiled
from workbench.errors import InputError

UNK, BOS, EOS = 0, 1, 2
SPECIALS = 3  # ids below are no characters
MAX_ORDER = 5
UNICODE = 0x110000
BATCH_CHARS = 1 << 20  # strings are gathered to about this many characters before they are decoded
BYTES_PER_TOKEN = 128  # in memory at order 5 if every n-gram were distinct; 12 MB of Chinese take 42
MAX_RUNS = 32  # as many on disk are merged into one
MAX_TOKENS = 2**32 - 1  # counts are uint32

_NEW, _DROPPED = -1, -2
WHITE_SPACE = tuple(c for c in range(0x3001) if chr(c).isspace() or c == 0)  # none lies above U+3000

Ids = NDArray[np.int32]


class Vocabulary(NamedTuple):
    """Ids of characters and characters of ids."""

    ids: Ids  # by code point: an id, or _NEW, or _DROPPED; shape (UNICODE,)
    characters: CodePoints  # by id, shape (UNICODE + SPECIALS,)


class Counter:
    """Takes text, gives the sorted runs of its n-grams."""

    def __init__(self, order: int, memory_bytes: int, scratch: Scratch) -> None:
        """Start empty.

        Args:
            order: Length of the n-grams, 1 to 5.
            memory_bytes: What the whole estimation may take; it decides how many tokens are sorted at a time.
            scratch: Where runs go when there is more than one.
        """
        self.order = order
        self.memory_bytes = memory_bytes
        self.scratch = scratch
        self.runs: list[Run] = []
        self.tokens = 0  # characters and </s>
        self.documents = 0
        self._vocabulary = Vocabulary(np.full(UNICODE, _NEW, np.int32), np.zeros(UNICODE + SPECIALS, np.uint32))
        self._vocabulary.ids[list(WHITE_SPACE)] = _DROPPED
        self._size = SPECIALS
        self._ids: Ids = np.empty(memory_bytes // BYTES_PER_TOKEN + 4 * MAX_ORDER, np.int32)
        self._filled = 0
        self._begin = 0  # ids before it belong to the last chunk: they are context only

    @property
    def vocabulary(self) -> CodePoints:
        """Code point of each id, shape (ids,); zero for the three specials."""
        return self._vocabulary.characters[: self._size]

    def add(self, batch: FlatText) -> None:
        """Count documents.

        Args:
            batch: Documents as code points.

        Raises:
            InputError: Past 4,294,967,295 tokens.
        """
        document, at = 0, -1
        while document < len(batch):
            state = np.array([document, at, self._size, self._filled, self.order - 1], np.int64)
            fill(batch.chars, batch.offsets, self._vocabulary, self._ids, state)
            document, at, self._size, self._filled = (int(x) for x in state[:4])
            if document < len(batch):
                self.scratch.spill()
                self._flush()
        self.documents += len(batch)

    def finish(self) -> tuple[Iterator[Run], int]:
        """Return all n-grams in suffix order, block by block, and an upper bound of their number."""
        self._flush()
        self._ids = np.empty(0, np.int32)
        runs, self.runs = self.runs, []
        return self._merged(runs), sum(len(run.times) for run in runs)

    def _merged(self, runs: list[Run]) -> Iterator[Run]:
        return merged(runs, self.memory_bytes // 4 // RUN_BYTES // (len(runs) + 1))

    def _flush(self) -> None:
        positions, tokens = sort_positions(self._ids[: self._filled], self._begin, self.order, self._size)
        self.tokens += tokens
        if self.tokens > MAX_TOKENS:
            raise InputError("n-gram model", f"the text has more than {MAX_TOKENS:,} characters", "take a sample")
        if tokens:
            run = Run.zeros(tokens)
            run = run.part(0, collapse(self._ids, positions, self.order, run))
            if self.scratch.spilled:
                kept = Run.zeros(len(run.times), self.scratch)
                kept.put(0, run)
                run = kept
            self.runs.append(run)
            if len(self.runs) == MAX_RUNS:
                self.runs = [self._one_run()]
        context = min(self.order - 1, self._filled)
        self._ids[:context] = self._ids[self._filled - context : self._filled].copy()
        self._filled = self._begin = context

    def _one_run(self) -> Run:
        one = Run.zeros(sum(len(run.times) for run in self.runs), self.scratch)
        n = 0
        for block in self._merged(self.runs):
            one.put(n, block)
            n += len(block.times)
        return one.part(0, n)


def flat_batches(texts: Iterable[str] | Iterable[FlatText]) -> Iterator[FlatText]:
    """Gather strings into flat buffers; flat buffers pass.

    Raises:
        InputError: For a string with a lone surrogate, which UTF-8 does not have.
    """
    waiting: list[str] = []
    chars = number = 0
    each: Iterable[str | FlatText] = texts
    for number, text in enumerate(each):
        if isinstance(text, FlatText):
            yield text
            continue
        waiting.append(text)
        chars += len(text)
        if chars >= BATCH_CHARS:
            yield _flat(waiting, number)
            waiting, chars = [], 0
    if waiting:
        yield _flat(waiting, number)


def _flat(texts: list[str], last: int) -> FlatText:
    try:
        return FlatText.of(pl.Series(texts, dtype=pl.String))
    except UnicodeEncodeError as error:
        remedy = "decode the file as what it is, or drop the character"
        place = f"document {last - len(texts) + 1} to {last}"
        raise InputError(place, f"has half a surrogate pair ({error.object[error.start]!r})", remedy) from error


@compiled
def fill(chars: CodePoints, offsets: Offsets, vocabulary: Vocabulary, ids: Ids, state: NDArray[np.int64]) -> None:
    """Append ids of documents to ``ids`` until it is full or they end.

    ``state``, which is brought up to date: the next document, its next character (-1: not begun), the size of the
    vocabulary, how many ids there are, and how many ``<s>`` begin a document.
    """
    document, at, size, filled, padding = state[0], state[1], state[2], state[3], state[4]
    while document < len(offsets) - 1:
        if at < 0:
            if filled + padding >= len(ids):
                break
            for _ in range(padding):
                ids[filled] = BOS
                filled += 1
            at = offsets[document]
        while at < offsets[document + 1] and filled < len(ids):
            word = np.int64(vocabulary.ids[chars[at]])
            if word == _NEW:
                word = size
                vocabulary.ids[chars[at]] = size
                vocabulary.characters[size] = chars[at]
                size += 1
            if word != _DROPPED:
                ids[filled] = word
                filled += 1
            at += 1
        if filled == len(ids):
            break
        ids[filled] = EOS
        filled += 1
        document += 1
        at = -1
    state[0], state[1], state[2], state[3] = document, at, size, filled


@compiled
def sort_positions(ids: Ids, begin: int, order: int, size: int) -> tuple[NDArray[np.uint32], int]:
    """Return the positions from ``begin`` on of tokens (not ``<s>``), sorted by their n-grams, and how many."""
    positions = np.empty(len(ids) - begin, np.uint32)
    n = 0
    for p in range(begin, len(ids)):
        if ids[p] != BOS:
            positions[n] = p
            n += 1
    other = np.empty(n, np.uint32)
    positions = positions[:n]
    starts = np.empty(size + 1, np.int64)
    for back in range(order - 1, -1, -1):  # least significant token first: each pass is stable
        starts[:] = 0
        for p in range(begin, len(ids)):  # in reading order: how many there are of each does not depend on the order
            if ids[p] != BOS:
                starts[ids[p - back] + 1] += 1
        for word in range(size):
            starts[word + 1] += starts[word]
        for i in range(n):
            word = ids[np.int64(positions[i]) - back]
            other[starts[word]] = positions[i]
            starts[word] += 1
        positions, other = other, positions
    return positions, n


@compiled
def collapse(ids: Ids, positions: NDArray[np.uint32], order: int, run: Run) -> int:
    """Pack the n-grams at sorted positions, each distinct one once with its count; return how many."""
    n = -1
    for i in range(len(positions)):
        p = np.int64(positions[i])
        upper, lower = np.uint64(0), np.uint64(0)
        for back in range(3):
            word = np.uint64(ids[p - back]) if back < order else np.uint64(0)
            upper = upper << np.uint64(FIELD) | word
        for back in range(3, 5):
            word = np.uint64(ids[p - back]) if back < order else np.uint64(0)
            lower = lower << np.uint64(FIELD) | word
        if n >= 0 and run.high[n] == upper and run.low[n] == lower:
            run.times[n] += np.uint32(1)
        else:
            n += 1
            run.high[n], run.low[n], run.times[n] = upper, lower, 1
    return n + 1
