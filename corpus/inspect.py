"""Look into a built corpus from the terminal: one document, some by their ids, the rejects by reason, the funnel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from corpus.rows import MADE_BY
from workbench import manifest
from workbench.command import did_you_mean
from workbench.console import emit_json, table
from workbench.errors import ConfigError, InputError


def print_summary(corpus: Path) -> None:
    """Print the funnel and the totals of a corpus."""
    made = manifest.read(corpus, "corpus", MADE_BY)
    rows = [
        (
            s["name"],
            s["rows_in"],
            s["rows_out"],
            ", ".join(f"{k} {v:,}" for k, v in s["reasons"].items()),
            s["cpu_seconds"],
        )
        for s in made.steps
    ]
    table(("step", "in", "out", "rejected for", "CPU s"), rows, f"{corpus} · recipe {made.config['name']}")
    total = made.results
    rate = total["bytes_read"] / 1e6 / max(1e-9, total["cpu_seconds"])
    print(
        f"{total['records']:,} records: {total['kept']:,} kept, {total['rejected']:,} rejected, "
        f"{total['unreadable']:,} unreadable; {rate:.1f} MB per CPU-second -> {corpus}/report.html"
    )
    for entry in total["unreadable_records"][:5]:
        print(f"unreadable: {entry['file']} at byte {entry['offset']:,}: {entry['cause']}")


def rejected(corpus: Path, reason: str | None, n: int, *, as_json: bool) -> None:
    """Print how often each reason struck, or documents of one reason.

    Raises:
        ConfigError: If no document was rejected for that reason.
    """
    manifest.read(corpus, "corpus", MADE_BY)
    files = sorted((corpus / "rejected").glob("*.parquet"))
    if not files:
        print("nothing was rejected")
        return
    rows = pl.scan_parquet(files)
    if reason is None:
        counts = rows.group_by("stage", "reason").len("documents").sort("documents", "reason", descending=[True, False])
        found = counts.collect()
        if as_json:
            emit_json(found.to_dicts())
        else:
            table(found.columns, found.rows())
        return
    columns = ["id", "domain", "stage", "reason", "detail", "duplicate_of", "text"]
    chosen = rows.filter(pl.col("reason") == reason).select(columns).head(n).collect()
    if chosen.is_empty():
        known = rows.select(pl.col("reason").unique()).collect()["reason"].to_list()
        raise ConfigError(f"--reason {reason}", "no document was rejected for it", did_you_mean(reason, known))
    if as_json:
        emit_json(chosen.to_dicts())
        return
    for row in chosen.iter_rows(named=True):
        of = f" duplicate of {row['duplicate_of']}" if row["duplicate_of"] else ""
        print(f"── {row['id']} · {row['domain']} · {row['stage']}:{row['reason']} {row['detail'] or ''}{of}")
        print(row["text"][:300])


def show(corpus: Path, wanted: str) -> None:
    """Print one document and all its columns.

    Raises:
        InputError: If no document, or more than one, has that id.
    """
    manifest.read(corpus, "corpus", MADE_BY)
    found: list[dict[str, object]] = []
    for side in ("kept", "rejected"):
        for file in sorted((corpus / side).rglob("*.parquet")):
            rows = pl.scan_parquet(file, hive_partitioning=False).filter(pl.col("id").str.ends_with(wanted)).collect()
            found += [{"side": side, "part": str(file.relative_to(corpus)), **row} for row in rows.to_dicts()]
    if len(found) != 1:
        raise InputError(f"{corpus}: {wanted}", f"{len(found)} documents have that id", "give the whole id of one")
    for name, value in found[0].items():
        if name != "text":
            print(f"{name:20} {value}")
    print(f"\n{found[0]['text']}")


def texts_of(corpus: Path, ids: Iterable[str]) -> dict[str, str]:
    """Return the texts of documents of a corpus by id; those it does not have are left out. Cost: a scan of the ids.

    Raises:
        InputError: If the folder is no corpus.
    """
    manifest.read(corpus, "corpus", MADE_BY)
    parts = sorted((corpus / "kept").glob("bucket=*/part-*.parquet"))
    if not parts:
        raise InputError(corpus, "has no kept documents", "name the corpus that was packed")
    wanted = pl.scan_parquet(parts, hive_partitioning=False).select("id", "text").filter(pl.col("id").is_in(list(ids)))
    return dict(wanted.collect().iter_rows())
