"""The buckets by perplexity joined with quantiles of quality: which documents are good by both, and which by one alone.

Quality's quantiles are taken within each language over the kept documents, as the buckets' are over perplexity; the
table is of documents and characters (without white space), and names the quality at which each quantile begins, so that
a selection such as "head and the upper two fifths" is one filter over the columns. Cost: 7 million documents per
CPU-second, two columns of numbers and two of labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from corpus.rows import BUCKETS

QUANTILES = 5


def join_buckets(kept: list[Path]) -> dict[str, Any] | None:
    """Return the table bucket × quality quantile, and the quantiles by language; None where quality is not known.

    Args:
        kept: The parquet files of the kept documents.

    Returns:
        ``cells``: bucket, quantile (1 is the lowest), documents, chars; ``begins``: a row a language, with the lowest
        quality of each quantile; ``unknown``: kept documents without a quality.
    """
    if not kept:
        return None
    scan = pl.scan_parquet(kept, hive_partitioning=False)
    known = scan.collect_schema()
    if "quality" not in known:
        return None
    chars = pl.col("chars") if "chars" in known else pl.col("text").str.len_chars()
    rows = scan.select("lang", "bucket", "quality", chars.cast(pl.Int64).alias("chars")).collect()
    unknown = rows["quality"].null_count()
    rows = rows.drop_nulls("quality")
    if rows.is_empty():
        return None
    edges = [pl.col("quality").quantile(q / QUANTILES, "linear").alias(f"q{q + 1}") for q in range(1, QUANTILES)]
    begins = rows.group_by("lang").agg(
        pl.len().alias("documents"), pl.col("quality").min().cast(pl.Float64).alias("q1"), *edges
    )
    begins = begins.sort("documents", "lang", descending=[True, False])
    above = pl.sum_horizontal(pl.col("quality") >= pl.col(f"q{q}") for q in range(2, QUANTILES + 1))
    marked = rows.join(begins.drop("documents"), on="lang").with_columns((1 + above).alias("quantile"))
    sums = marked.group_by("bucket", "quantile").agg(pl.len().alias("documents"), pl.col("chars").sum())
    found = {(row["bucket"], row["quantile"]): row for row in sums.iter_rows(named=True)}
    cells = [
        {
            "bucket": bucket,
            "quantile": quantile,
            "documents": found[bucket, quantile]["documents"] if (bucket, quantile) in found else 0,
            "chars": found[bucket, quantile]["chars"] if (bucket, quantile) in found else 0,
        }
        for bucket in BUCKETS
        for quantile in range(1, QUANTILES + 1)
    ]
    return {"quantiles": QUANTILES, "unknown": unknown, "cells": cells, "begins": begins.to_dicts()}
