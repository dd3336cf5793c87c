"""Writing a model: ARPA text byte for byte as lmplz does, and KenLM's binary where its ``build_binary`` is installed.

A line is log10 of the probability, the tokens with spaces between, log10 of the backoff (not in the highest order);
numbers are the shortest decimals that read back as the same float32. 6.6 million n-grams (217 MB) take
1.5 CPU-s.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets, utf8_buffers
from corpus.ngram.counts import SPECIALS
from corpus.ngram.smoothing import Floats, Smoothed
from corpus.ngram.trie import Trie, kept
from workbench.compiled import compiled
from workbench.errors import OutputError
from workbench.files import atomic_path

BLOCK = 1 << 18  # n-grams formatted at a time

Bytes = NDArray[np.uint8]


class Strings(NamedTuple):
    """Strings end to end: number i is ``utf8[offsets[i]:offsets[i + 1]]``."""

    utf8: Bytes
    offsets: Offsets


Form = Literal["probing", "trie"]
FORMS: dict[Form, tuple[str, ...]] = {
    "probing": ("probing",),  # fastest to query
    "trie": ("-q", "8", "-b", "8", "-a", "64", "trie"),  # 8-bit numbers, compressed pointers: smallest
}


def write_arpa(
    path: Path, trie: Trie, smoothed: Sequence[Smoothed], prune: Sequence[int], vocabulary: CodePoints
) -> None:
    """Write a model as ARPA text (UTF-8), complete or not at all.

    Args:
        path: The file.
        trie: The n-grams.
        smoothed: The estimates of each order.
        prune: For each order, the raw count up to which an n-gram is left out.
        vocabulary: Code point of each id, shape (ids,).

    Raises:
        OutputError: If it cannot be written.
    """
    kept = kept_counts(trie, prune)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"\\data\\\n")
        file.writelines(b"ngram %d=%d\n" % (k, n) for k, n in enumerate(kept, start=1))
        words = Strings(*utf8_buffers(_spellings(vocabulary)))
        for k in range(trie.order):
            file.write(b"\n\\%d-grams:\n" % (k + 1))
            for block in _lines(trie, smoothed[k], k, prune[k], words):
                file.write(block)
        file.write(b"\n\\end\\\n")


def kept_counts(trie: Trie, prune: Sequence[int]) -> tuple[int, ...]:
    """Return how many n-grams of each order are not pruned; order 1 never is."""
    levels = enumerate(zip(trie.levels, prune, strict=True))
    return tuple(int(np.count_nonzero(level.raw > limit)) if k else level.size for k, (level, limit) in levels)


def write_binary(arpa: Path, path: Path, form: Form = "probing") -> None:
    """Turn an ARPA file into KenLM's binary with its ``build_binary``.

    Args:
        arpa: The model as text.
        path: The binary.
        form: ``probing`` (fastest) or ``trie`` (quantised, about a fifth of the size; half as fast).

    Raises:
        OutputError: If ``build_binary`` is not on the PATH, or fails.
    """
    program = shutil.which("build_binary")
    if program is None:
        remedy = "query the ARPA file itself, or build KenLM from source (cmake and Boost) and put it on the PATH"
        raise OutputError(path, "KenLM's build_binary is not on the PATH", remedy)
    with atomic_path(path) as temporary:
        command = [program, "-T", str(temporary), *FORMS[form], str(arpa), str(temporary)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not temporary.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise OutputError(path, f"build_binary failed: {said}", "check the ARPA file and the space on the disk")


def _spellings(vocabulary: CodePoints) -> pl.Series:
    characters = FlatText(vocabulary[SPECIALS:], np.arange(len(vocabulary) - SPECIALS + 1, dtype=np.int64))
    return pl.concat([pl.Series("text", ["<unk>", "<s>", "</s>"]), characters.to_series()])


def _lines(trie: Trie, smoothed: Smoothed, k: int, limit: int, words: Strings) -> Iterator[memoryview]:
    """Yield the lines of order k + 1, a block at a time."""
    level = trie.levels[k]
    longest = int(np.diff(words.offsets).max()) + 1
    out = np.empty(BLOCK * (longest * (k + 1) + 2 * 24), np.uint8)  # a float32 takes at most 15 characters
    for rows, tokens in kept(trie, k, limit, BLOCK):
        probability = _decimals(smoothed.probability[rows])
        backoff = _decimals(np.empty(0, np.float32) if level.highest else smoothed.backoff[rows])
        length = join(tokens, words, probability, backoff, out)
        yield out[:length].data


def _decimals(linear: Floats) -> Strings:
    return Strings(*utf8_buffers(pl.Series(logarithms(linear)).cast(pl.String)))


def logarithms(linear: Floats) -> Floats:
    """Return log10 of probabilities or backoffs, as lmplz writes it."""
    logs = np.empty_like(linear)
    log10(linear, logs)
    return logs


@compiled
def log10(linear: Floats, logs: Floats) -> None:
    """Take log10 in single precision with the C library's function, as lmplz does; never above zero."""
    for i in range(len(linear)):
        logs[i] = min(np.float32(0), np.float32(math.log10(linear[i])))


@compiled
def append_number(numbers: Strings, row: int, out: Bytes, n: int) -> int:
    """Copy a decimal without a trailing ``.0``; return the new length."""
    begin, end = numbers.offsets[row], numbers.offsets[row + 1]
    if end - begin > 2 and numbers.utf8[end - 1] == 48 and numbers.utf8[end - 2] == 46:
        end -= 2
    for i in range(begin, end):
        out[n] = numbers.utf8[i]
        n += 1
    return n


@compiled
def join(tokens: NDArray[np.uint32], words: Strings, probability: Strings, backoff: Strings, out: Bytes) -> int:
    """Join numbers and tokens into lines, without backoffs if there are none; return the bytes written."""
    tab, space, newline = np.uint8(9), np.uint8(32), np.uint8(10)
    n = 0
    for row in range(len(tokens)):
        n = append_number(probability, row, out, n)
        for d in range(tokens.shape[1]):
            out[n] = space if d else tab
            n += 1
            for i in range(words.offsets[tokens[row, d]], words.offsets[tokens[row, d] + 1]):
                out[n] = words.utf8[i]
                n += 1
        if len(backoff.offsets) > 1:
            out[n] = tab
            n = append_number(backoff, row, out, n + 1)
        out[n] = newline
        n += 1
    return n
