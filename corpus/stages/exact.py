"""Exact duplicates: documents whose text is the same to the letter; the first one read stays.

The key is xxh3's 128 bits of the text (1.3 GB a second). Documents meet by the first 64 bits and are equal if the other
64 agree too: at 100 million documents the chance of one false removal is 1e-23. With ``against``, a document that an
earlier corpus has is a duplicate of that one, and ``exact_in`` says in which corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import xxhash

from corpus.stages.base import Survivors
from corpus.stages.earlier import texts_of
from workbench.config import setting


@dataclass(frozen=True)
class Fingerprint:
    """Give each text its 128-bit key, in two halves."""

    name: ClassVar[str] = "fingerprint"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("exact_key", "exact_check")

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add both halves of the key."""
        digests = b"".join(xxhash.xxh3_128_digest(text) for text in batch["text"].cast(pl.Binary).to_list())
        halves = np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)
        return batch.with_columns(
            pl.Series("exact_key", halves[:, 0], dtype=pl.UInt64),
            pl.Series("exact_check", halves[:, 1], dtype=pl.UInt64),
        )


@dataclass(frozen=True)
class Exact:
    """Find, for each document that repeats an earlier one, the id of the first."""

    name: ClassVar[str] = "exact"
    needs: ClassVar[tuple[str, ...]] = ("exact_key", "exact_check", "id")
    reads: ClassVar[tuple[str, ...]] = ("doc",)
    writes: ClassVar[tuple[str, ...]] = ("exact_of", "exact_in")

    against: Path | None = setting(None, "an earlier corpus: what it has is a duplicate")

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Bring equal keys together and write down who repeats whom."""
        pairs = [
            met.with_columns(first=pl.col("doc").first().over("key", "exact_check")).filter(
                pl.col("doc") != pl.col("first")
            )
            for met in survivors.meet("exact_key", ["exact_check"])
        ]
        found = (
            pl.concat(pairs).select("doc", "first")
            if pairs
            else pl.DataFrame(schema={"doc": pl.UInt64, "first": pl.UInt64})
        )
        ids = survivors.lookup(found["first"].unique(), ["id"])
        found = found.join(ids.rename({"doc": "first", "id": "exact_of"}), on="first", how="left").select(
            "doc", "exact_of", pl.lit(None, pl.String).alias("exact_in")
        )
        if self.against is not None:
            known = self._in_earlier(survivors, self.against)
            found = pl.concat([known, found.join(known, on="doc", how="anti")])
        found.sort("doc").write_ipc(desk / "verdicts.arrow")

    def _in_earlier(self, survivors: Survivors, corpus: Path) -> pl.DataFrame:
        """Return the documents that an earlier corpus has, with the id there."""
        keys = ["exact_key", "exact_check"]
        schema = {"doc": pl.UInt64, "exact_key": pl.UInt64, "exact_check": pl.UInt64}
        mine = pl.concat([pl.DataFrame(schema=schema), *(batch.select(list(schema)) for batch in survivors.each(keys))])
        found = [pl.DataFrame(schema={"doc": pl.UInt64, "exact_of": pl.String})]
        for batch in texts_of(corpus):
            met = mine.join(Fingerprint().mark(batch, Path()), on=keys, how="inner")
            found.append(met.select("doc", pl.col("id").alias("exact_of")))
        first = pl.concat(found).unique("doc", keep="first", maintain_order=True)
        return first.with_columns(pl.lit(str(corpus)).alias("exact_in"))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``exact_of``, the id of the document that this one repeats, and ``exact_in``; else null."""
        return batch.join(pl.read_ipc(desk / "verdicts.arrow"), on="doc", how="left", maintain_order="left")
