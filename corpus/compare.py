"""What another threshold or recipe changes: the documents whose verdict differs between two builds, with examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from corpus.rows import MADE_BY
from workbench import manifest
from workbench.console import emit_json, table

EXAMPLE_CHARS = 160


def verdicts(corpus: Path) -> pl.DataFrame:
    """Return id, verdict (``kept`` or stage:reason), detail and the beginning of the text of every document."""
    manifest.read(corpus, "corpus", MADE_BY)
    kept = sorted((corpus / "kept").rglob("*.parquet"))
    rejected = sorted((corpus / "rejected").glob("*.parquet"))
    head = pl.col("text").str.slice(0, EXAMPLE_CHARS).alias("text")
    parts = []
    if kept:
        rows = pl.scan_parquet(kept, hive_partitioning=False)
        parts.append(rows.select("id", pl.lit("kept").alias("verdict"), pl.lit("").alias("detail"), head))
    if rejected:
        rows = pl.scan_parquet(rejected)
        why = pl.concat_str(["stage", "reason"], separator=":").alias("verdict")
        parts.append(rows.select("id", why, pl.col("detail").fill_null(""), head))
    return pl.concat(parts).collect()


def compare(one: Path, two: Path) -> list[dict[str, Any]]:
    """Return the changes of verdict from one build to another, most frequent first, with three examples each.

    Args:
        one: A corpus.
        two: Another, of the same documents or of some of them.
    """
    left, right = verdicts(one), verdicts(two)
    both = left.join(right, on="id", how="full", suffix="_two", coalesce=True).with_columns(
        pl.col("verdict", "verdict_two").fill_null("absent"), text=pl.coalesce("text_two", "text")
    )
    changed = both.filter(pl.col("verdict") != pl.col("verdict_two")).sort("id")
    example = pl.struct("id", "detail", "detail_two", "text").head(3).alias("examples")
    grouped = changed.group_by("verdict", "verdict_two").agg(pl.len().alias("documents"), example)
    order = ["documents", "verdict", "verdict_two"]
    return grouped.sort(order, descending=[True, False, False]).to_dicts()


def print_comparison(one: Path, two: Path, *, as_json: bool) -> None:
    """Print what changes from one corpus to another."""
    changes = compare(one, two)
    if as_json:
        emit_json(changes)
        return
    rows = [(c["verdict"], c["verdict_two"], c["documents"]) for c in changes]
    table((str(one), str(two), "documents"), rows, "verdicts that differ")
    for change in changes:
        print(f"── {change['verdict']} → {change['verdict_two']}")
        for example in change["examples"]:
            detail = " → ".join(d for d in (example["detail"], example["detail_two"]) if d)
            print(f"   {example['id']} {detail}\n      {' '.join((example['text'] or '').split())[:EXAMPLE_CHARS]}")
