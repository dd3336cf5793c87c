"""Texts as spaced characters: what a character n-gram model and a character classifier read.

A token is a character that is neither white space (``str.isspace``) nor NUL: the definition of ``corpus.ngram``.
Spacing is a kernel over the flat buffer: 250 MB per CPU-second, where a regular expression gives 17.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled


def spaced(texts: FlatText, most: int | None = None) -> tuple[list[str], NDArray[np.int64]]:
    """Return each text as characters with one space between, and how many characters that is.

    Args:
        texts: The documents.
        most: Take at most so many tokens from the beginning; None: all.
    """
    flat, tokens = _spaced(texts, most)
    return flat.to_series().to_list(), tokens


def spaced_bytes(texts: FlatText) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return the same in UTF-8, which is what KenLM reads."""
    flat, tokens = _spaced(texts, None)
    return flat.to_bytes(), tokens


def _spaced(texts: FlatText, most: int | None) -> tuple[FlatText, NDArray[np.int64]]:
    chars = np.empty(2 * len(texts.chars), np.uint32)
    offsets = np.zeros(len(texts) + 1, np.int64)
    tokens = np.zeros(len(texts), np.int64)
    limit = len(texts.chars) + 1 if most is None else most
    _space(texts.chars, texts.offsets, _white(), limit, chars, offsets, tokens)
    return FlatText(chars[: offsets[-1]], offsets), tokens


@cache
def _white() -> NDArray[np.bool_]:
    table = np.zeros(0x3001, np.bool_)  # U+3000 is the last of them
    for code in range(len(table)):
        table[code] = code == 0 or chr(code).isspace()
    return table


@compiled
def _space(
    chars: CodePoints,
    offsets: Offsets,
    white: NDArray[np.bool_],
    limit: int,
    out: CodePoints,
    out_offsets: Offsets,
    tokens: NDArray[np.int64],
) -> None:
    n = 0
    for i in range(len(offsets) - 1):
        count = 0
        for k in range(offsets[i], offsets[i + 1]):
            c = chars[k]
            if count == limit:
                break
            if c < 0x3001 and white[c]:
                continue
            if count:
                out[n] = 32
                n += 1
            out[n] = c
            n += 1
            count += 1
        tokens[i] = count
        out_offsets[i + 1] = n
