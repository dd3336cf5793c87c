"""Which documents are looked at: seeded, the same on every run and machine, in proportion to what the corpus holds.

A document's key is the hash of its id with the seed. Machines look at a share of each source, people at a fixed number,
spread over source and bucket by the largest remainder; of every stratum the documents with the lowest keys. Cost: 1
million documents per CPU-second to choose from; of the parquet files, ids and labels are read, then the chosen texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import xxhash

STRATA = ("source", "bucket")
LABELS = ("id", "source", "domain", "bucket", "title")


def index_of(files: Sequence[Path], seed: int, *, only: pl.Expr | None = None) -> pl.DataFrame:
    """Return a row a document: file and row (where it stands), id, source, bucket, key; in the order of the files.

    Args:
        files: Parquet files of a corpus.
        seed: Of the keys.
        only: Which documents, over the files' columns; all by default.
    """
    schema = {"file": pl.Int64, "row": pl.UInt32, "id": pl.String, "source": pl.String, "bucket": pl.String}
    parts = []
    for number, file in enumerate(files):
        scan = pl.scan_parquet(file, hive_partitioning=False).with_row_index("row")
        if only is not None:
            scan = scan.filter(only)
        rows = scan.select("row", "id", "source", pl.col("bucket").fill_null("")).collect()
        parts.append(rows.with_columns(pl.lit(number, pl.Int64).alias("file")).select(list(schema)))
    out = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    keys = [xxhash.xxh3_64_intdigest(one, seed=seed) for one in out["id"].cast(pl.Binary).to_list()]
    return out.with_columns(pl.Series("key", keys, dtype=pl.UInt64))


def a_share(index: pl.DataFrame, share: float) -> pl.DataFrame:
    """Return at least that share of every source's documents, those with the lowest keys."""
    wanted = {name: math.ceil(share * count) for name, count in index["source"].value_counts().iter_rows()}
    return _lowest(index, ["source"], {(name,): count for name, count in wanted.items()})


def a_number(index: pl.DataFrame, number: int) -> pl.DataFrame:
    """Return so many documents (all, if there are fewer), in proportion to source and bucket."""
    counts = {tuple(row[:-1]): row[-1] for row in index.group_by(STRATA).len().sort(STRATA).iter_rows()}
    return _lowest(index, STRATA, allocate(counts, number))


def allocate(counts: dict[tuple[str, ...], int], number: int) -> dict[tuple[str, ...], int]:
    """Divide a number over strata in proportion to their sizes, by the largest remainder.

    Args:
        counts: Documents of each stratum.
        number: Documents wanted.

    Returns:
        Documents to take of each; together the number, or all if there are fewer.
    """
    total = sum(counts.values())
    if number >= total:
        return dict(counts)
    exact = {stratum: number * count / total for stratum, count in counts.items()}
    out = {stratum: int(share) for stratum, share in exact.items()}
    ranked = sorted(exact, key=lambda stratum: (out[stratum] - exact[stratum], stratum))
    for stratum in ranked[: number - sum(out.values())]:
        out[stratum] += 1
    return out


def _lowest(index: pl.DataFrame, by: Sequence[str], wanted: dict[tuple[str, ...], int]) -> pl.DataFrame:
    table = pl.DataFrame(
        [(*stratum, count) for stratum, count in wanted.items()],
        schema={**dict.fromkeys(by, pl.String), "wanted": pl.Int64},
        orient="row",
    )
    ranked = index.sort("key", "id").with_columns(pl.int_range(pl.len()).over(list(by)).alias("rank"))
    chosen = ranked.join(table, on=list(by), maintain_order="left").filter(pl.col("rank") < pl.col("wanted"))
    return chosen.select(index.columns).sort("file", "row")


def texts_of(files: Sequence[Path], chosen: pl.DataFrame, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield columns of the chosen documents and their ``key``, a file at a time; a column that is not there is null."""
    for (number,), rows in chosen.sort("file", "row").group_by("file", maintain_order=True):
        scan = pl.scan_parquet(files[number], hive_partitioning=False)
        known = scan.collect_schema().names()
        whole = scan.select(name for name in columns if name in known).collect()
        some = whole[rows["row"].to_list()]
        missing = [pl.lit(None).alias(name) for name in columns if name not in known]
        yield some.with_columns(rows["key"], *missing)
