"""A stratified sample to label: ``corpus classifier label export``. As many of each stratum as the sizes allow.

A stratum is one combination of values of the columns ``--by`` (domain and bucket by default). Every stratum gets the
same number, so that small ones are seen too; each row carries its stratum's size, so that an estimate for the whole
corpus can be weighted (``corpus.models.labels`` does it). Which documents: by a seeded hash of the id, and in an order
that mixes the strata. Of the corpus only ids and those columns are read, of the chosen documents the text.
Cost: 1 CPU-second a million documents.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl
import xxhash

from corpus.models.documents import Choice, satisfying
from corpus.stages.gate import columns_of
from workbench.command import did_you_mean
from workbench.console import note, table
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import atomic_path, make_folder

SALT = 0x6C616265  # another order than that of the samples within a build
JOIN = " · "
RANK = pl.int_range(pl.len()).over("stratum")  # within its stratum, of rows that are sorted by key
NONE = "–"  # shown for a value that is absent
FORMULA = ("=", "+", "-", "@")  # a table program would run what begins so


@dataclass(frozen=True)
class SampleSettings:
    """What decides a sample, besides the corpus."""

    n: int
    by: tuple[str, ...] = ("domain", "bucket")
    where: str | None = None
    seed: int = 0
    chars: int = 300  # of the text that are shown


@dataclass(frozen=True)
class Stratum:
    """One stratum and its part of the sample."""

    name: str
    documents: int
    sampled: int


def export_sample(corpus: Path, out: Path, settings: SampleSettings, *, overwrite: bool = False) -> list[Stratum]:
    """Write a sample for people, or a model, to label.

    Args:
        corpus: A built corpus.
        out: A ``.jsonl`` or ``.csv`` file; the column ``label`` is empty.
        settings: How many, of which strata.
        overwrite: Whether the file may be replaced, labels and all.

    Returns:
        The strata.

    Raises:
        ConfigError: If the settings make no sense for this corpus.
        InputError: If it is no corpus, or no document satisfies the condition.
        OutputError: If the file is there already, or cannot be written.
    """
    if out.suffix not in (".jsonl", ".csv"):
        raise ConfigError(f"--out {out}", "is neither .jsonl nor .csv", "name a file that ends in one of them")
    if settings.n < 1 or settings.chars < 1:
        raise ConfigError("--n, --chars", "are less than one", "give positive numbers")
    if out.exists() and not overwrite:
        raise OutputError(out, "is there, perhaps with labels in it", "name another --out, or add --overwrite")
    files = kept_files(corpus)
    chosen, sizes = _choose(files, settings)
    if not sizes:
        raise InputError(corpus, "no document satisfies the condition", "see --where, and corpus report")
    names = sorted(sizes)
    if settings.n < len(names):
        remedy = f"give --n {len(names)} or more, or fewer columns in --by"
        raise ConfigError(f"--n {settings.n}", f"there are {len(names)} strata, and each needs a document", remedy)
    shares = dict(zip(names, allocate([sizes[name] for name in names], settings.n), strict=True))
    size = pl.col("stratum").replace_strict(sizes, return_dtype=pl.Int64)
    share = pl.col("stratum").replace_strict(shares, return_dtype=pl.Int64)
    taken = chosen.filter(share > RANK)
    if len(taken) < settings.n:
        note(f"the corpus has {len(taken):,} such documents, fewer than --n {settings.n:,}: all of them are taken")
    texts = texts_of(files, taken["id"], ["text"])
    head = pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars().str.slice(0, settings.chars)
    rows = taken.join(texts, on="id", how="left", maintain_order="left").select(
        "id",
        pl.lit("").alias("label"),
        head.alias("text"),
        *settings.by,
        "stratum",
        size.alias("stratum_documents"),
        share.alias("stratum_sample"),
    )
    _write(rows, out)
    return [Stratum(name, sizes[name], shares[name]) for name in names]


def kept_files(corpus: Path) -> list[Path]:
    """Return the kept parts of a built corpus.

    Raises:
        InputError: If it is none, or has kept nothing.
    """
    choice = Choice(corpus)
    if choice.corpus is None:
        raise InputError(corpus, "is no built corpus", "make one with: corpus build --src NAME")
    if not choice.files:
        raise InputError(corpus, "has kept no document", "see corpus rejected")
    return choice.files


def _choose(files: Sequence[Path], settings: SampleSettings) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the ``n`` documents with the lowest keys of each stratum, and all strata's sizes."""
    asked = columns_of(settings.where) if settings.where else ()
    columns = list(dict.fromkeys(["id", *settings.by, *asked]))
    sizes: dict[str, int] = {}
    kept: list[pl.DataFrame] = []
    seed = SALT + settings.seed
    for file in files:
        rows = read_part(file, columns)
        if settings.where:
            rows = satisfying(rows, settings.where)
        values = [pl.col(name).cast(pl.String).fill_null(NONE) for name in settings.by]
        keys = [xxhash.xxh3_64_intdigest(one.encode(), seed) for one in rows["id"]]
        rows = rows.select("id", *values, pl.concat_str(values, separator=JOIN).alias("stratum"))
        rows = rows.with_columns(pl.Series("key", keys, dtype=pl.UInt64))
        for name, count in rows["stratum"].value_counts().iter_rows():
            sizes[name] = sizes.get(name, 0) + count
        kept = [pl.concat([*kept, rows]).sort("key", "id").filter(settings.n > RANK)]
    return kept[0], sizes


def read_part(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of a part of a corpus.

    Raises:
        ConfigError: If one is not there.
    """
    known = pl.read_parquet_schema(file)
    for name in columns:
        if name not in known:
            raise ConfigError(f"column {name}", f"{file} has no such column", did_you_mean(name, known))
    return pl.read_parquet(file, columns=list(columns), hive_partitioning=False)


def texts_of(files: Sequence[Path], ids: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """Return ``id`` and the named columns of those documents of a corpus that have one of the ids."""
    wanted = ids.unique().implode()

    def parts() -> Iterator[pl.DataFrame]:
        for file in files:
            lazy = pl.scan_parquet(file, hive_partitioning=False).select("id", *columns)
            yield lazy.filter(pl.col("id").is_in(wanted)).collect()

    return pl.concat(parts())


def allocate(sizes: Sequence[int], n: int) -> list[int]:
    """Share ``n`` out evenly; what a small stratum cannot give, the others do, the first ones first.

    Args:
        sizes: Of the strata.
        n: The sample, at least one a stratum.
    """
    taken = [0] * len(sizes)
    left = min(n, sum(sizes))
    while left:
        open_ones = [i for i, size in enumerate(sizes) if taken[i] < size]
        each = max(1, left // len(open_ones))
        for i in open_ones:
            more = min(each, sizes[i] - taken[i], left)
            taken[i] += more
            left -= more
    return taken


def _write(rows: pl.DataFrame, out: Path) -> None:
    make_folder(out.parent)
    with atomic_path(out) as temporary:
        if out.suffix == ".jsonl":
            temporary.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows.iter_rows(named=True)))
            return
        table_text = io.StringIO()
        writer = csv.writer(table_text, lineterminator="\n")
        writer.writerow(rows.columns)
        for row in rows.iter_rows():
            writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
        temporary.write_text(table_text.getvalue(), encoding="utf-8-sig")  # with its mark, or Excel takes it for GBK


def inert(cell: str) -> str:
    """Return a cell that no table program runs as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def print_strata(strata: Sequence[Stratum], out: Path) -> None:
    """Print the strata of a sample."""
    rows = [(one.name, one.documents, one.sampled, one.documents / one.sampled) for one in strata]
    table(("stratum", "documents", "sampled", "documents a sampled one"), rows, f"sample to label → {out}")
    sampled, documents = sum(one.sampled for one in strata), sum(one.documents for one in strata)
    print(
        f"{sampled:,} of {documents:,} documents; fill the column label, then: corpus classifier label import {out} …"
    )
