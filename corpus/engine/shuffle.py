"""The view of all surviving documents that a step's ``prepare`` works with (``corpus.stages.base.Survivors``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from corpus.engine.store import Store
from corpus.meeting import meet
from corpus.rows import DOCS_PER_SHARD
from workbench.console import progress


@dataclass(frozen=True)
class StoredSurvivors:
    """The documents still in before a pass (``corpus.stages.base.Survivors``)."""

    store: Store
    before: int
    shard_names: tuple[str, ...]  # in order
    shard_numbers: tuple[int, ...]  # doc // 2**32 of each

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        """Yield ``doc`` and the named columns, a shard at a time."""
        wanted = None if only is None else set((only // DOCS_PER_SHARD).unique().to_list())
        with progress(said or "read", len(self.shard_names), "shards") as count:
            for name, number in zip(self.shard_names, self.shard_numbers, strict=True):
                count.advance()
                if wanted is not None and number not in wanted:
                    continue
                frame = self.store.survivors(name, names, self.before)
                if only is not None:
                    frame = frame.join(only.to_frame("doc"), on="doc", how="semi", maintain_order="left")
                yield frame

    def lookup(self, docs: pl.Series, names: Sequence[str]) -> pl.DataFrame:
        """Return ``doc`` and the named columns of some documents, sorted by number."""
        parts = list(self.each(names, only=docs.alias("doc"), said="look up"))
        if not parts:
            return pl.DataFrame(schema={"doc": pl.UInt64, **dict.fromkeys(names, pl.String)})
        return pl.concat(parts).sort("doc")

    def meet(self, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the keys that at least two documents have, a part of the key space at a time."""
        return meet(self, key, names)
