"""Exact duplicates: documents whose text is the same to the letter; the first one read stays.

The key is xxh3's 128 bits of the text (1.3 GB a second). Documents meet by the first 64 bits and are equal if the other
64 agree too: at 100 million documents the chance of one false removal is 1e-23.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import xxhash

from corpus.stages.base import Survivors


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
    writes: ClassVar[tuple[str, ...]] = ("exact_of",)

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
            "doc", "exact_of"
        )
        found.sort("doc").write_ipc(desk / "verdicts.arrow")

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``exact_of``: the id of the document that this one repeats, else null."""
        return batch.join(pl.read_ipc(desk / "verdicts.arrow"), on="doc", how="left", maintain_order="left")
