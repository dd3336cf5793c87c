"""Measure a corpus: counts by source, domain and bucket, the distribution of every signal, examples of every reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

BINS = 40
EXAMPLES = 3
EXAMPLE_CHARS = 240
NOT_SIGNALS = frozenset({"near_jaccard"})


def measure(out: Path, recipe: str, steps: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report as plain values.

    Args:
        out: The corpus folder.
        recipe: The recipe's name.
        steps: The steps' accounts.
        results: Totals of the build.
    """
    kept, rejected = _scan(out / "kept"), _scan(out / "rejected")
    return {
        "recipe": recipe,
        "results": {key: value for key, value in results.items() if key != "unreadable_records"},
        "unreadable": list(results["unreadable_records"])[:20],
        "steps": list(steps),
        "kept": _amounts(kept),
        "rejected": _amounts(rejected),
        "by_source": _by(kept, rejected, ["source"]),
        "by_domain": _by(kept, rejected, ["source", "domain"]),
        "by_bucket": _buckets(kept),
        "reasons": _reasons(rejected),
        "signals": _signals(kept),
        "samples": _samples(kept),
    }


def _scan(folder: Path) -> pl.LazyFrame | None:
    files = sorted(folder.rglob("*.parquet"))
    return pl.scan_parquet(files, hive_partitioning=False) if files else None


_AMOUNTS = (
    pl.len().alias("documents"),
    pl.col("text").str.len_chars().sum().alias("chars"),
    pl.col("text").str.len_bytes().sum().alias("bytes"),
)


def _amounts(rows: pl.LazyFrame | None) -> dict[str, int]:
    if rows is None:
        return {"documents": 0, "chars": 0, "bytes": 0}
    return rows.select(_AMOUNTS).collect().row(0, named=True)


def _by(kept: pl.LazyFrame | None, rejected: pl.LazyFrame | None, names: list[str]) -> list[dict[str, Any]]:
    parts = []
    for rows, side in ((kept, "kept"), (rejected, "rejected")):
        if rows is not None:
            parts.append(rows.group_by(names).agg(_AMOUNTS).with_columns(pl.lit(side).alias("side")))
    found = pl.concat(parts).collect()
    out: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in found.sort([*names, "side"]).iter_rows(named=True):
        key = tuple(row[name] for name in names)
        entry = out.setdefault(key, {**dict(zip(names, key, strict=True)), "kept": 0, "rejected": 0, "kept_chars": 0})
        entry[row["side"]] = row["documents"]
        if row["side"] == "kept":
            entry["kept_chars"] = row["chars"]
    return list(out.values())


def _buckets(kept: pl.LazyFrame | None) -> list[dict[str, Any]]:
    if kept is None:
        return []
    medians = [pl.col(name).median().alias(name) for name in ("perplexity", "quality") if name in kept.collect_schema()]
    order = pl.col("bucket").replace_strict({"head": 0, "middle": 1, "tail": 2}, return_dtype=pl.Int8)
    return kept.group_by("bucket").agg(*_AMOUNTS, *medians).sort(order).collect().to_dicts()


def _reasons(rejected: pl.LazyFrame | None) -> list[dict[str, Any]]:
    if rejected is None:
        return []
    shown = pl.struct(
        "id",
        "detail",
        "duplicate_of",
        pl.col("text").str.slice(0, EXAMPLE_CHARS).alias("text"),
    )
    grouped = rejected.group_by("stage", "reason").agg(
        pl.len().alias("documents"), shown.head(EXAMPLES).alias("examples")
    )
    return grouped.sort("documents", "stage", "reason", descending=[True, False, False]).collect().to_dicts()


def _signals(kept: pl.LazyFrame | None) -> list[dict[str, Any]]:
    if kept is None:
        return []
    out = []
    for name, kind in kept.collect_schema().items():
        if not kind.is_numeric() or name in NOT_SIGNALS:
            continue
        values = kept.select(pl.col(name).cast(pl.Float64)).collect()[name].drop_nulls()
        if values.is_empty():
            continue
        quantiles = {f"p{q}": values.quantile(q / 100, "nearest") for q in (1, 5, 25, 50, 75, 95, 99)}
        low, high = float(quantiles["p1"] or 0), float(quantiles["p99"] or 0)
        counts: list[int] = []
        if high > low:
            edges = [low + (high - low) * n / BINS for n in range(1, BINS)]
            inside = values.filter((values >= low) & (values <= high))
            cut = inside.to_frame().select(pl.lit(pl.Series(edges)).search_sorted(pl.col(name)).alias("bin"))
            found = dict(cut["bin"].value_counts().iter_rows())
            counts = [int(found.get(n, 0)) for n in range(BINS)]
        out.append({"signal": name, "mean": values.mean(), **quantiles, "low": low, "high": high, "counts": counts})
    return out


def _samples(kept: pl.LazyFrame | None) -> list[dict[str, Any]]:
    """Return a few documents of each bucket, the first by hash of the id: the same on every run."""
    if kept is None:
        return []
    shown = pl.struct("id", "domain", pl.col("text").str.slice(0, EXAMPLE_CHARS).alias("text"))
    rows = kept.group_by("bucket").agg(shown.sort_by(pl.col("id").str.reverse()).head(EXAMPLES).alias("examples"))
    return rows.sort("bucket").collect().to_dicts()
