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
        documents: All of them; they are read once to count and once a part.
        key: A column of 64-bit keys, or of lists of them.
        names: Further columns to carry.

    Yields:
        Columns ``key``, ``doc`` and the named ones, sorted by key and document.
    """
    pairs, lists = 0, False
    for frame in documents.each([key], said=f"count {key}"):
        kind = frame.schema[key]
        lists = isinstance(kind, pl.Array | pl.List)
        pairs += int(frame[key].list.len().sum()) if isinstance(kind, pl.List) else len(frame) * _width(kind)
    parts = max(1, -(-pairs // PAIRS_AT_ONCE))
    for part in range(parts):
        frames = []
        for frame in documents.each([key, *names], said=f"shuffle {key}"):
            flat = frame.rename({key: "key"})
            if lists:
                flat = flat.explode("key").drop_nulls("key")
            if parts > 1:
                flat = flat.filter(pl.col("key") % parts == part)
            frames.append(flat.select("key", "doc", *names))
        if frames:
            yield pl.concat(frames).filter(pl.col("key").is_duplicated()).sort("key", "doc")


def _width(kind: pl.DataType) -> int:
    return kind.size if isinstance(kind, pl.Array) else 1
