"""A fixed pseudo-random sample of documents: by the hash of the id, so the same on every run and machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
import xxhash

if TYPE_CHECKING:  # the package of stages imports this module
    from corpus.stages.base import Survivors


def keys_of(ids: pl.Series) -> pl.Series:
    """Return a 64-bit key of each id; its order is the order of the sample, its lowest bit the half."""
    return pl.Series("key", [xxhash.xxh3_64_intdigest(one) for one in ids.cast(pl.Binary).to_list()], dtype=pl.UInt64)


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
    parts = []
    for batch in survivors.each(["id", "domain", "chars"], said="choose a sample"):
        inside = pl.col("domain").is_in(list(domains)) if domains else pl.lit(value=True)
        rows = batch.with_columns(keys_of(batch["id"])).filter(~inside if outside else inside)
        if half is not None:
            rows = rows.filter(pl.col("key") % 2 == half)
        parts.append(rows.select("doc", "key", "chars"))
    if not parts:
        return pl.Series("doc", [], dtype=pl.UInt64)
    ordered = pl.concat(parts).sort("key", "doc")
    return ordered.filter(pl.col("chars").cast(pl.Int64).cum_sum() <= chars)["doc"].sort()
