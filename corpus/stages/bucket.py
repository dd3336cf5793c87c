"""Head, middle, tail: thirds of perplexity within each language and domain.

A text in one domain is not harder than one in another because its domain is; so the quantiles are taken within language
and domain, and within the language alone where a domain has few documents. (Wenzek et al. 2020, CCNet, section 4.4.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from corpus.stages.base import Survivors
from workbench.config import at_least, between, setting


@dataclass(frozen=True)
class Bucket:
    """Name each document's bucket by its perplexity."""

    name: ClassVar[str] = "bucket"
    needs: ClassVar[tuple[str, ...]] = ("perplexity", "lang", "domain")
    reads: ClassVar[tuple[str, ...]] = ("perplexity", "lang", "domain")
    writes: ClassVar[tuple[str, ...]] = ("bucket",)

    head_share: float = setting(1 / 3, "share of documents, the least perplexing ones, in head", check=between(0, 1))
    tail_share: float = setting(1 / 3, "share of documents, the most perplexing ones, in tail", check=between(0, 1))
    min_documents: int = setting(200, "documents from which a domain has quantiles of its own", check=at_least(1))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Write the two thresholds of each language and domain."""
        schema = {"perplexity": pl.Float32, "lang": pl.String, "domain": pl.String}
        parts = [batch.select(list(schema)) for batch in survivors.each(list(schema), said="quantiles")]
        rows = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
        low = pl.col("perplexity").quantile(self.head_share, "linear").alias("head_below")
        high = pl.col("perplexity").quantile(1 - self.tail_share, "linear").alias("tail_above")
        by_domain = rows.group_by("lang", "domain").agg(low, high, pl.len().alias("documents"))
        by_lang = rows.group_by("lang").agg(low, high, pl.len().alias("documents"))
        own = by_domain.filter(pl.col("documents") >= self.min_documents)
        rest = by_domain.join(own, on=["lang", "domain"], how="anti").select("lang", "domain")
        table = pl.concat([own, rest.join(by_lang, on="lang").select(own.columns)])
        table.sort("lang", "domain").write_ipc(desk / "thresholds.arrow")

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``bucket``; a document without a perplexity is in the middle."""
        table = pl.read_ipc(desk / "thresholds.arrow").drop("documents")
        joined = batch.join(table, on=["lang", "domain"], how="left", maintain_order="left")
        value = pl.col("perplexity")
        name = (
            pl.when(value <= pl.col("head_below"))
            .then(pl.lit("head"))
            .when(value > pl.col("tail_above"))
            .then(pl.lit("tail"))
            .otherwise(pl.lit("middle"))
        )
        return joined.with_columns(name.alias("bucket")).drop("head_below", "tail_above")
