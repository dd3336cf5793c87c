"""The distribution of every signal, over all documents for which it is known: the kept and the rejected.

A threshold shows only against what it cut, so the rejected are counted beside the kept, in the same bins. The bins
reach from the 1st to the 99th percentile and over every threshold; the outermost hold all that lies beyond. Counts and
lengths that spread over more than an order of magnitude are binned by their logarithm.

Labels (language, kinds of boilerplate, sensitive category) are counted by value.
Cost: 19 million values per CPU-second; no text is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS = 48
MARGIN = 0.05  # of the range, beyond an outermost threshold
AT_ONCE = 12  # columns read together: memory stays bounded, and files are opened seldom
LABELS = 12  # values shown of a label
NO_SIGNALS = frozenset(
    {"id", "text", "title", "source", "domain", "bucket", "stage", "reason", "detail", "duplicate_of"}
    | {"exact_of", "near_of", "benchmark_item", "sensitive_terms"}  # they name documents, items, words
)

Values = NDArray[np.float64]


def measure_signals(
    kept: list[Path], rejected: list[Path], thresholds: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the distribution of every numeric signal and label, in the order of the columns.

    Args:
        kept: The parquet files of the kept documents.
        rejected: Those of the rejected.
        thresholds: By signal: op, value, stage, reason, condition, alone.
    """
    out = []
    for name, columns in _columns((kept, rejected)):
        if columns[0].dtype.is_numeric():
            whole = columns[0].dtype.is_integer()
            one = _distribution(_numbers(columns[0]), _numbers(columns[1]), whole, thresholds.get(name, []))
        else:
            one = _labels(columns)
        if one:
            out.append({"signal": name, **one})
    return out


def _columns(sides: Sequence[list[Path]]) -> Iterator[tuple[str, list[pl.Series]]]:
    """Yield each signal with its values that are known, on every side; some columns are read at a time."""
    scans = [pl.scan_parquet(files, hive_partitioning=False) if files else pl.LazyFrame() for files in sides]
    schemas = [scan.collect_schema() for scan in scans]
    kinds = {name: kind for schema in schemas for name, kind in schema.items() if name not in NO_SIGNALS}
    names = list(kinds)
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        frames = [
            scan.select(name for name in some if name in schema).collect()
            for scan, schema in zip(scans, schemas, strict=True)
        ]
        for name in some:
            empty = pl.Series(name, [], dtype=kinds[name])
            yield name, [frame[name].drop_nulls() if name in frame.columns else empty for frame in frames]


def _numbers(column: pl.Series) -> Values:
    values: Values = column.cast(pl.Float64).to_numpy()
    finite: Values = values[np.isfinite(values)]
    return finite


def _distribution(
    kept: Values, rejected: Values, whole: bool, thresholds: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    known = np.concatenate([kept, rejected])
    if not len(known):
        return None
    levels = (1, 5, 25, 50, 75, 95, 99)
    quantiles = dict(zip((f"p{q}" for q in levels), np.percentile(known, levels, method="nearest"), strict=True))
    low, high = _range(known, quantiles["p1"], quantiles["p99"], [float(one["value"]) for one in thresholds])
    log = bool(low >= 0 and high > 20 and high > 8 * max(float(quantiles["p50"]), 1.0))
    bins = min(BINS, int(high - low) + 1) if whole and not log else BINS
    return {
        "known": len(known),
        "kept": len(kept),
        "rejected": len(rejected),
        "mean": float(known.mean()),
        **{name: float(value) for name, value in quantiles.items()},
        "low": low,
        "high": high,
        "scale": "log" if log else "linear",
        "kept_counts": _histogram(kept, low, high, log, bins) if high > low else [],
        "rejected_counts": _histogram(rejected, low, high, log, bins) if high > low else [],
        "thresholds": [dict(one) for one in thresholds],
    }


def _range(known: Values, p1: float, p99: float, marks: Sequence[float]) -> tuple[float, float]:
    """Return where the bins begin and end; beyond an outermost threshold there is a margin, if documents lie there."""
    low, high = min([p1, *marks]), max([p99, *marks])
    least, most, margin = float(known.min()), float(known.max()), MARGIN * (high - low)
    if low in marks and least < low:
        low = max(least, low - margin)
    if high in marks and most > high:
        high = min(most, high + margin)
    return float(low), float(high)


def _histogram(values: Values, low: float, high: float, log: bool, bins: int) -> list[int]:
    where = position(low, high, log, values)
    found = np.bincount(np.clip((where * bins).astype(np.int64), 0, bins - 1), minlength=bins)
    return [int(n) for n in found]


def position(low: float, high: float, log: bool, values: Any) -> Any:
    """Return where values lie between low (0) and high (1), linearly or by log(1 + value)."""
    if log:
        low, high, values = np.log1p(low), np.log1p(high), np.log1p(np.maximum(values, 0))
    return np.clip((values - low) / (high - low), 0, 1)


def _labels(columns: Sequence[pl.Series]) -> dict[str, Any] | None:
    counts: dict[str, list[int]] = {}
    for n, column in enumerate(columns):
        values = column
        if values.dtype == pl.Boolean:
            values = values.cast(pl.String)
        elif values.dtype != pl.String:
            return None
        elif values.name.endswith("_kinds"):  # several to a document: editor,source
            values = values.str.split(",").explode()
        for value, count in values.value_counts().iter_rows():
            if value:
                counts.setdefault(str(value), [0, 0])[n] = int(count)
    if not counts:
        return None
    ranked = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    rows = [{"value": value, "kept": kept, "rejected": rejected} for value, (kept, rejected) in ranked[:LABELS]]
    return {"values": rows, "others": len(ranked) - len(rows)}
