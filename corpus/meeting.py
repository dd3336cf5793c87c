"""Bring equal 64-bit keys of documents together, a part of the key space at a time, so that memory is bounded.

About 50 million (key, document) pairs at once, 0.8 GB. Only keys and document numbers move, never text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import polars as pl

PAIRS_AT_ONCE = 50_000_000


class Each(Protocol):
    """Something that yields ``doc`` and named columns of all documents, a shard at a time."""

    def each(self, names: Sequence[str], *, said: str = "") -> Iterator[pl.DataFrame]:
        """Yield ``doc`` and the named columns."""
        ...


def meet(documents: Each, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the keys that at least two documents have, a part of the key space at a time.

    Args:
        documents: All of them; they are read once, and once more a part if one part cannot hold them.
        key: A column of 64-bit keys, or of lists of them.
        names: Further columns to carry.

    Yields:
        Columns ``key``, ``doc`` and the named ones, sorted by key and document.
    """
    first: list[pl.DataFrame] = []  # what the count has read, as long as one part may hold all
    pairs = 0
    for frame in documents.each([key, *names], said=f"shuffle {key}"):
        flat = _pairs(frame, key, names)
        pairs += len(flat)
        first = [*first, flat] if pairs <= PAIRS_AT_ONCE else []
    parts = max(1, -(-pairs // PAIRS_AT_ONCE))
    for part in range(parts):
        if parts == 1:
            frames = first
        else:
            every = documents.each([key, *names], said=f"shuffle {key}, part {part + 1} of {parts}")
            frames = [_pairs(frame, key, names).filter(pl.col("key") % parts == part) for frame in every]
        if frames:
            every_key = pl.concat(frames).sort("key")  # neighbours tell which are alike sooner than a hash table does
            alike = pl.col("key") == pl.col("key").shift(1)
            met = alike.fill_null(value=False) | alike.shift(-1).fill_null(value=False)
            yield every_key.filter(met).sort("key", "doc")


def _pairs(frame: pl.DataFrame, key: str, names: Sequence[str]) -> pl.DataFrame:
    """Return a row a key: ``key``, ``doc`` and the named columns."""
    flat = frame.rename({key: "key"})
    if isinstance(flat.schema["key"], pl.Array | pl.List):
        flat = flat.explode("key").drop_nulls("key")
    return flat.select("key", "doc", *names)
