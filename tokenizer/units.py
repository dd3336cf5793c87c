"""The first half of a pack: some files of the corpus at a time, encoded and left as runs in the order of the shuffle.

A unit depends on the corpus and the settings alone. A document is held out by a hash of its id; the others are laid out
as often as their weights say, each copy with a place of its own in the shuffle. 41 MB of Chinese a CPU-second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from corpus.kept import read_part
from tokenizer import weights
from tokenizer.job import Job
from tokenizer.runs import ends, order_by_key, with_ends
from tokenizer.shards import SPLITS
from workbench.errors import InputError
from workbench.files import read_json, write_json

UNIT_BYTES = 16 << 20  # of parquet
SPLIT_SEED = 0  # of the hash that holds documents out: fixed, so that no seed moves a document into training
LEDGER = ("source", "domain", "bucket")
READ = ("id", "text", *LEDGER)


@dataclass(frozen=True)
class Unit:
    """Some files of the corpus, to be encoded at once."""

    job: Job
    number: int
    files: tuple[Path, ...]


def group(job: Job, corpus: Path, parts: Sequence[Any]) -> list[Unit]:
    """Return the units: files in the manifest's order, as many together as stay under ``UNIT_BYTES``.

    Raises:
        InputError: If a file is missing.
    """
    groups: list[list[Path]] = []
    size = UNIT_BYTES
    for part in parts:
        path = corpus / str(part["path"])
        if not path.is_file():
            raise InputError(path, "is missing", "build the corpus again")
        size += path.stat().st_size
        if size > UNIT_BYTES or not groups:
            groups.append([])
            size = path.stat().st_size
        groups[-1].append(path)
    return [Unit(job, number, tuple(files)) for number, files in enumerate(groups)]


def encode_unit(unit: Unit) -> dict[str, Any]:
    """Encode a unit and leave its runs. Returns (and leaves on disk) its account."""
    job, store = unit.job, unit.job.runs
    done = store.folder / f"{unit.number:06d}.json"
    if done.is_file():
        return dict(read_json(done))
    clock = time.process_time()
    frame = pl.concat([_read(path) for path in unit.files])
    encoded = job.encoder.encode(frame["text"])
    bos, eos = job.encoder.bos_id, job.encoder.eos_id
    ids = [name.encode() for name in frame["id"]]
    chance = np.fromiter((xxhash.xxh3_64_intdigest(name + b"/split", SPLIT_SEED) for name in ids), np.uint64, len(ids))
    held_out = chance < np.uint64(int(job.settings.validation_share * 2**64))
    times = weights.copies(weights.of_documents(frame, job.settings.weights), ids)
    laid, keys = places(ids, np.where(held_out, 1, times), job.settings.seed)  # held-out text is laid out once
    documents = frame.select(*LEDGER, "id", pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes")).with_columns(
        pl.Series("length", np.diff(encoded.offsets) + ends(bos))
    )
    ledger = {}
    for split, chosen in zip(SPLITS, (~held_out, held_out), strict=True):
        order = order_by_key(keys, chosen[laid])
        rows = laid[order]
        run = documents[rows].with_columns(pl.Series("key", keys[order], dtype=pl.UInt64))
        store.write(split, unit.number, run, with_ends(encoded, rows, bos, eos))
        sums = pl.len().alias("documents"), pl.sum("length").alias("tokens"), pl.sum("bytes")
        once = (
            documents.filter(pl.Series(chosen))
            .group_by(LEDGER)
            .agg(pl.len().alias("distinct_documents"), pl.sum("length").alias("distinct_tokens"))
        )
        totals = once.join(run.group_by(LEDGER).agg(sums), on=LEDGER, how="left").fill_null(0)
        ledger[split] = totals.to_dicts()
    account = {"documents": len(frame), "ledger": ledger, "cpu_seconds": time.process_time() - clock}
    write_json(done, account)
    return account


def places(ids: Sequence[bytes], times: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return which document each copy is of, and its key: a hash that is its place in the shuffle.

    Args:
        ids: Of the documents.
        times: How often each is laid out.
        seed: Of the shuffle.
    """
    laid = np.repeat(np.arange(len(ids)), times)
    if (times == 1).all():
        names = list(ids)
    else:
        nth = np.arange(len(laid)) - np.repeat(np.cumsum(times) - times, times)
        names = [ids[row] if n == 0 else ids[row] + b"/copy%d" % n for row, n in zip(laid, nth, strict=True)]
    return laid, np.fromiter((xxhash.xxh3_64_intdigest(name, seed) for name in names), np.uint64, len(names))


def _read(path: Path) -> pl.DataFrame:
    rows = read_part(path, READ, (weights.COLUMN,))
    weight = pl.col(weights.COLUMN).fill_null(1.0) if weights.COLUMN in rows.columns else pl.lit(1.0)
    return rows.with_columns(weight.cast(pl.Float64).alias(weights.COLUMN))
