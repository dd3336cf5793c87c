"""A fixed pseudo-random sample of documents: by the hash of the id, so the same on every run and machine."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import Offsets, utf8_buffers
from workbench.compiled import compiled

if TYPE_CHECKING:  # the package of stages imports this module
    from corpus.stages.base import Survivors


def keys_of(ids: pl.Series) -> pl.Series:
    """Return a 64-bit key of each id; its order is the order of the sample, its lowest bit the half."""
    utf8, offsets = utf8_buffers(ids)
    keys = np.empty(len(ids), np.uint64)
    hash_each(utf8, offsets, keys)
    return pl.Series("key", keys)


@compiled
def hash_each(utf8: NDArray[np.uint8], offsets: Offsets, keys: NDArray[np.uint64]) -> None:
    """Hash strings: FNV-1a with the finaliser of MurmurHash3, so that every bit of a key depends on every byte."""
    for i in range(len(keys)):
        key = np.uint64(0xCBF29CE484222325)
        for k in range(offsets[i], offsets[i + 1]):
            key = (key ^ np.uint64(utf8[k])) * np.uint64(0x100000001B3)
        key = (key ^ key >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
        key = (key ^ key >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
        keys[i] = key ^ key >> np.uint64(33)


def half_of(ids: pl.Series) -> pl.Series:
    """Return 0 or 1 for each id."""
    return (keys_of(ids) % 2).rename("half")


def sample(
    survivors: Survivors, chars: int, *, domains: Sequence[str] = (), outside: bool = False, half: int | None = None
) -> pl.Series:
    """Choose documents until they hold so many characters.

    Args:
        survivors: The documents; earlier steps must have written ``chars``.
        chars: Characters of the sample, white space not counted.
        domains: Domains to choose from; empty: all.
        outside: Choose from all *but* those domains.
        half: Choose from one half of the documents (0 or 1); None: from all.

    Returns:
        Numbers of the chosen documents, sorted.
    """
    inside = pl.col("domain").is_in(list(domains)) if domains else pl.lit(value=True)
    rows = _in_order(survivors).filter(~inside if outside else inside)
    if half is not None:
        rows = rows.filter(pl.col("key") % 2 == half)
    return rows.filter(pl.col("chars").cast(pl.Int64).cum_sum() <= chars)["doc"].sort()


_LAST: list[tuple[weakref.ref[Survivors], pl.DataFrame]] = []


def _in_order(survivors: Survivors) -> pl.DataFrame:
    """Return ``doc``, ``key``, ``domain`` and ``chars`` of all documents by their keys; the last asked for is kept."""
    if _LAST and _LAST[0][0]() is survivors:
        return _LAST[0][1]
    parts = [
        batch.select("doc", keys_of(batch["id"]), pl.col("domain").cast(pl.Categorical), "chars")
        for batch in survivors.each(["id", "domain", "chars"], said="choose a sample")
    ]
    schema = {"doc": pl.UInt64, "key": pl.UInt64, "domain": pl.Categorical, "chars": pl.UInt32}
    rows = pl.concat(parts).sort("key", "doc") if parts else pl.DataFrame(schema=schema)
    _LAST[:] = [(weakref.ref(survivors), rows)]
    return rows
