"""New rows behind a matrix's old ones, in four ways; in both matrices each by its own rows.

    mean          the mean of all base rows: each new piece begins as likely as the average one (the default)
    subword-mean  the mean of the base rows of the pieces that the new piece used to split into
    random        normal numbers
    zero          zeros

``mean`` is the default because it was measured far ahead at step 0 and close behind later (docs/benchmarks/embed.md).
What a hanzi used to split into is bytes, the likeliest pieces of Chinese text: thousands of new rows like theirs take
the probability from what is there, until training has put them down; then subword-mean is a little ahead.

Those of subword-mean and random are then rescaled to the median norm of the base rows: a mean of rows is shorter than
a row, and the model has seen none so short. The mean of all rows is not: scaled up to a row's length it would be the
common direction of all rows, and likelier than any. Padding rows are the mean of all base rows, so that they are never
likely; zeros for zero. Rows come in chunks of 512, whatever the matrix's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tokenizer.tensors import Raw, Tensor, from_float, to_float

Init = Literal["subword-mean", "mean", "random", "zero"]
INITS: tuple[Init, ...] = get_args(Init)
CHUNK_ROWS = 512


@dataclass(frozen=True)
class Growth:
    """A tokenizer's pieces beside a model's rows."""

    base_pieces: int  # rows that stay
    subwords: tuple[tuple[int, ...], ...]  # of each new piece: the base pieces it used to be
    rows: int  # of the grown matrices, padding included
    seed: int
    init: Init

    @property
    def pieces(self) -> int:
        """Return the pieces of the extended vocabulary."""
        return self.base_pieces + len(self.subwords)


def _chunks(raw: Raw, rows: int) -> Iterator[Raw]:
    for begin in range(0, rows, CHUNK_ROWS):
        yield raw[begin : min(begin + CHUNK_ROWS, rows)]


def median_norm(tensor: Tensor, rows: int) -> float:
    """Return the median Euclidean norm of a matrix's first rows."""
    norms = [np.linalg.norm(to_float(chunk, tensor.dtype), axis=1) for chunk in _chunks(tensor.raw(), rows)]
    return float(np.median(np.concatenate(norms)))


def mean_row(tensor: Tensor, rows: int) -> NDArray[np.float64]:
    """Return the mean of a matrix's first rows."""
    total = np.zeros(tensor.shape[1])
    for chunk in _chunks(tensor.raw(), rows):
        total += to_float(chunk, tensor.dtype).sum(axis=0, dtype=np.float64)
    return total / rows


def new_rows(tensor: Tensor, growth: Growth) -> Iterator[NDArray[np.float32]]:
    """Yield the rows behind the base's, padding included, in chunks of shape (rows, hidden)."""
    raw, width = tensor.raw(), tensor.shape[1]
    mean = mean_row(tensor, growth.base_pieces).astype(np.float32)
    padding = np.zeros(width, np.float32) if growth.init == "zero" else mean
    wanted = median_norm(tensor, growth.base_pieces) if growth.init in ("subword-mean", "random") else 0.0
    random = np.random.default_rng([growth.seed, *tensor.name.encode()])
    for begin in range(0, len(growth.subwords), CHUNK_ROWS):
        some = growth.subwords[begin : begin + CHUNK_ROWS]
        if growth.init == "subword-mean":
            sizes = np.array([len(ids) for ids in some])
            gathered = to_float(raw[np.concatenate(some)], tensor.dtype).astype(np.float64)
            begins = np.cumsum(sizes) - sizes
            rows = (np.add.reduceat(gathered, begins, axis=0) / sizes[:, None]).astype(np.float32)
        elif growth.init == "random":
            rows = random.standard_normal((len(some), width), np.float32)
        else:
            rows = np.tile(padding, (len(some), 1))
        if wanted:
            norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
            rows = (rows * (wanted / np.maximum(norms, 1e-30))).astype(np.float32)
        yield rows
    yield np.tile(padding, (growth.rows - growth.pieces, 1))


def blocks(tensor: Tensor, growth: Growth) -> Iterator[Raw]:
    """Yield a grown matrix as raw numbers: the base's rows as they are, then the new ones."""
    yield from _chunks(tensor.raw(), growth.base_pieces)
    for rows in new_rows(tensor, growth):
        yield from_float(rows, tensor.dtype)
