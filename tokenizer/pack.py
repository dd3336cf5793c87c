"""The story of a pack: a corpus in, token shards out.

    units     the corpus's parquet files, in groups of 16 MB
    encode    a worker encodes a unit, adds bos and eos, and leaves a run for each split, ordered by the shuffle's key
    shards    a worker merges one shard from all runs: documents end to end, cut into sequences, the last one padded
    manifest  what came from where; written last

Units depend on the corpus alone and shards on the runs alone, so an interrupted pack goes on from the files it
finished, and any number of workers gives the same bytes. Nothing is dropped: what the corpus has in documents and
bytes, the splits have together, and the pack fails if they have not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpus.engine.local import Local
from tokenizer.encode import Encoder
from tokenizer.packing import lay
from tokenizer.runs import RunStore, ends, order_by_key, with_ends
from tokenizer.shards import KIND, PIECES, SPLITS, id_type, shard_path, write_shard
from workbench import manifest
from workbench.console import note, progress, table
from workbench.errors import ConfigError, InputError
from workbench.files import read_json, remove, sha256_file, write_json

UNIT_BYTES = 16 << 20  # of parquet
SHARD_IDS = 1 << 26  # 128 MB of uint16; a worker needs about three times that
SPLIT_SEED = (
    0  # of the hash that chooses the validation documents: fixed, so that no seed moves a document into training
)
READ = ("id", "text", "source", "domain", "bucket")
WEIGHT = "weight"  # how often a document is laid out; corpora have it from corpus build --src NAME=PATH@WEIGHT
LEDGER = ("source", "domain", "bucket")


@dataclass(frozen=True)
class PackSettings:
    """What decides the shards, besides the corpus and the tokenizer."""

    seq_len: int
    validation_share: float = 0.01
    seed: int = 0
    shard_ids: int = SHARD_IDS

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one makes no sense.
        """
        if self.seq_len < 2:
            raise ConfigError("--seq-len", f"{self.seq_len} is less than two", "a sequence predicts its second id")
        if not 0 <= self.validation_share < 1:
            raise ConfigError("--validation-share", f"{self.validation_share} is not in [0, 1)", "give 0.01, or 0")
        if self.seed < 0:
            raise ConfigError("--seed", f"{self.seed} is negative", "give a number from 0")

    @property
    def window(self) -> int:
        """Return the ids of a full shard: a whole number of sequences."""
        return max(1, self.shard_ids // self.seq_len) * self.seq_len


@dataclass(frozen=True)
class Job:
    """What a worker needs besides its unit or shard."""

    out: Path
    model: Path
    model_sha256: str  # a changed model is another job, also for a worker's cache
    settings: PackSettings
    vocab_size: int

    @property
    def runs(self) -> RunStore:
        """Return the runs."""
        return RunStore(self.out / "work", id_type(self.vocab_size))


@dataclass(frozen=True)
class Unit:
    """Some files of the corpus, to be encoded at once."""

    job: Job
    number: int
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Shard:
    """A shard to write."""

    job: Job
    split: str
    number: int
    units: int  # runs to merge it from
    split_ids: int  # ids of the whole split


def pack(
    corpus: Path, tokenizer: Path, out: Path, settings: PackSettings, *, workers: int, overwrite: bool = False
) -> dict[str, Any]:
    """Pack a corpus into token shards, or finish an interrupted pack, or find that there is nothing to do.

    Args:
        corpus: A built corpus.
        tokenizer: A folder with a ``tokenizer.model``.
        out: The tokens folder.
        settings: Sequence length, split and seed.
        workers: Processes.
        overwrite: Whether tokens of other inputs or settings may be replaced.

    Returns:
        The manifest's results.

    Raises:
        UserError: For a corpus or tokenizer that is none, or an output that cannot be written.
    """
    if workers < 1:
        raise ConfigError("--workers", f"{workers} is less than one", "give the number of processes")
    clock = time.monotonic()
    made = manifest.read(corpus, "corpus", "corpus build --src NAME --out DIR")
    model = tokenizer / "tokenizer.model"
    if not model.is_file():
        raise InputError(tokenizer, "holds no tokenizer.model", "make one with: tokenizer extend --add zh7k --out DIR")
    digest = sha256_file(model)
    encoder = _encoder(model, digest)
    if encoder.eos_id < 0:
        raise InputError(model, "has no eos, so documents could not be told apart", "name a model that has one")
    parts = [entry for entry in made.files if str(entry["path"]).startswith("kept/")]
    if not parts:
        raise InputError(corpus, "has no kept documents", "see: corpus report DIR")
    mark = manifest.fingerprint(KIND, asdict(settings), [digest, [[part["path"], part["sha256"]] for part in parts]])
    if manifest.claim(out, KIND, mark, overwrite=overwrite) == "complete":
        remove(out / "work")
        note(f"{out}: complete, made of the same corpus and tokenizer; nothing to do")
        return dict(manifest.read(out, KIND, "tokenizer pack").results)
    job = Job(out, model, digest, settings, encoder.vocab_size)
    units = group(job, corpus, parts)
    with Local(min(workers, len(units))) as engine:
        accounts = _run(engine, encode_unit, units, "encode", "units")
        cuts = [cut for split in SPLITS for cut in plan(job, split, len(units))]
        written = _run(engine, merge_shard, cuts, "pack", "shards")
    documents = sum(account["documents"] for account in accounts)
    kept = sum(int(part["rows"]) for part in parts)
    if documents != kept:
        raise InputError(corpus, f"has {documents:,} documents, its manifest says {kept:,}", "build it again")
    files = [entry for shard in written for entry in shard["files"]]
    splits = {split: _split_results(split, accounts, files) for split in SPLITS}
    results: dict[str, Any] = {
        "dtype": id_type(encoder.vocab_size).str,
        "seq_len": settings.seq_len,
        "vocab_size": encoder.vocab_size,
        "eos_id": encoder.eos_id,
        "bos_id": encoder.bos_id,
        "tokenizer_sha256": digest,
        "splits": {split: about for split, about in splits.items() if about["documents"]},
        "cpu_seconds": round(sum(account["cpu_seconds"] for account in (*accounts, *written)), 3),
        "seconds": round(time.monotonic() - clock, 3),
    }
    for name in ("tokens", "bytes"):
        laid, encoded = sum(shard[name] for shard in written), sum(about[name] for about in splits.values())
        assert laid == encoded, f"{encoded - laid:,} {name} were lost between the runs and the shards"
    many = sorted({f"{row['source']} {row['epochs']:.1f}" for row in splits["train"]["ledger"] if row["epochs"] > 4})
    if many:
        note(f"{out}: more than four epochs of {', '.join(many)}: repetition beyond that teaches little")
    if settings.validation_share and not splits["validation"]["documents"]:
        note(f"{out}: no document fell into the validation split; try a larger --validation-share")
    inputs = [
        {"path": str(corpus), "fingerprint": made.fingerprint, "sha256": sha256_file(corpus / manifest.NAME)},
        {"path": str(tokenizer), "sha256": digest},
    ]
    steps = [
        {"step": "encode", "rows_in": kept, "rows_out": documents, "cpu_seconds": _cpu(accounts)},
        {"step": "pack", "rows_in": documents, "rows_out": documents, "cpu_seconds": _cpu(written)},
    ]
    manifest.write(out, manifest.Manifest(KIND, mark, asdict(settings), inputs, steps, files, results))
    remove(out / "work")
    return results


def _cpu(accounts: Sequence[dict[str, Any]]) -> float:
    return round(sum((float(account["cpu_seconds"]) for account in accounts), 0.0), 3)


def _run(engine: Local, function: Callable[[Any], Any], units: Sequence[Any], said: str, unit: str) -> list[Any]:
    out: list[Any] = [None] * len(units)
    with progress(said, len(units), unit) as count:
        for index, result in engine.map(function, units):
            out[index] = result
            count.advance()
    return out


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


@cache
def _encoder(model: Path, _sha256: str) -> Encoder:
    return Encoder(model)


def encode_unit(unit: Unit) -> dict[str, Any]:
    """Encode a unit and leave its runs. Returns (and leaves on disk) its account."""
    job, store = unit.job, unit.job.runs
    done = store.folder / f"{unit.number:06d}.json"
    if done.is_file():
        return dict(read_json(done))
    clock = time.process_time()
    encoder = _encoder(job.model, job.model_sha256)
    frame = pl.concat([_read_part(path) for path in unit.files])
    encoded = encoder.encode(frame["text"])
    ids = [name.encode() for name in frame["id"]]
    chance = np.fromiter((xxhash.xxh3_64_intdigest(name + b"/split", SPLIT_SEED) for name in ids), np.uint64, len(ids))
    held_out = chance < np.uint64(int(job.settings.validation_share * 2**64))
    times = np.where(held_out, 1, copies(frame[WEIGHT].to_numpy(), ids))  # held-out text is laid out once
    laid = np.repeat(np.arange(len(ids)), times)
    nth = np.arange(len(laid)) - np.repeat(np.cumsum(times) - times, times)
    names = [ids[row] if n == 0 else ids[row] + b"/copy%d" % n for row, n in zip(laid, nth, strict=True)]
    keys = np.fromiter((xxhash.xxh3_64_intdigest(n, job.settings.seed) for n in names), np.uint64, len(names))
    documents = frame.select(*LEDGER, "id", pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes")).with_columns(
        pl.Series("length", np.diff(encoded.offsets) + ends(encoder.bos_id))
    )
    ledger = {}
    for split, chosen in zip(SPLITS, (~held_out, held_out), strict=True):
        order = order_by_key(keys, chosen[laid])
        rows = laid[order]
        run = documents[rows].with_columns(pl.Series("key", keys[order], dtype=pl.UInt64))
        store.write(split, unit.number, run, with_ends(encoded, rows, encoder.bos_id, encoder.eos_id))
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


def _read_part(path: Path) -> pl.DataFrame:
    try:
        weighted = WEIGHT in pl.read_parquet_schema(path)
        names = [*READ, WEIGHT] if weighted else list(READ)
        frame = pl.read_parquet(path, columns=names, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(path, f"is not a part of a corpus ({str(error).splitlines()[0]})", "build it again") from error
    weight = pl.col(WEIGHT).fill_null(1.0) if weighted else pl.lit(1.0)
    words = [pl.col(name).cast(pl.String).fill_null("") for name in READ]
    return frame.with_columns(*words, weight.cast(pl.Float64).alias(WEIGHT)).select(*READ, WEIGHT)


def copies(weights: NDArray[np.float64], ids: Sequence[bytes]) -> NDArray[np.int64]:
    """Return how often each document is laid out: its weight's whole part, and once more by chance for the rest.

    Args:
        weights: Of each document.
        ids: Whose hashes are the chance, so that it is the same on every run.
    """
    whole = np.floor(weights)
    chance = np.fromiter((xxhash.xxh3_64_intdigest(name + b"/weight", SPLIT_SEED) for name in ids), np.uint64, len(ids))
    times: NDArray[np.int64] = (whole + (chance / 2.0**64 < weights - whole)).astype(np.int64)
    return times


def plan(job: Job, split: str, units: int) -> list[Shard]:
    """Return the shards of a split."""
    ids = job.runs.count(split, units)
    return [Shard(job, split, number, units, ids) for number in range(-(-ids // job.settings.window))]


def merge_shard(shard: Shard) -> dict[str, Any]:
    """Merge one shard from all runs. Returns (and leaves on disk) its account."""
    job, store, settings = shard.job, shard.job.runs, shard.job.settings
    done = store.folder / f"{shard.split}-{shard.number:05d}.json"
    if done.is_file() and shard_path(job.out, shard.split, shard.number, ".bin").is_file():
        return dict(read_json(done))
    clock = time.process_time()
    encoder = _encoder(job.model, job.model_sha256)
    begin = shard.number * settings.window
    end = min(begin + settings.window, -(-shard.split_ids // settings.seq_len) * settings.seq_len)
    documents, names = store.window(shard.split, shard.units, begin, end)
    prefix_at = int(encoder.bos_id is not None) if encoder.dummy_prefix else -1
    laid = lay(documents, (begin, end), settings.seq_len, encoder.surface_bytes, prefix_at, encoder.eos_id)
    named = names.select("id", *LEDGER)[laid.documents].to_arrow()
    columns = {"start": laid.starts, "length": laid.lengths, "bytes": laid.sizes, "lead_bytes": laid.lead_sizes}
    arrays = {name: pa.array(column) for name, column in columns.items()}
    arrays |= {name: named.column(name).cast(pa.string()) for name in named.column_names}
    pieces = pa.table({field.name: arrays[field.name] for field in PIECES}).cast(PIECES)
    files = write_shard(
        job.out, shard.split, shard.number, laid.ids, pieces, seq_len=settings.seq_len, vocab_size=job.vocab_size
    )
    account = {
        "files": files,
        "tokens": int(laid.lengths.sum()),
        "bytes": int(laid.sizes.sum()),
        "cpu_seconds": time.process_time() - clock,
    }
    write_json(done, account)
    return account


def _split_results(split: str, accounts: Sequence[dict[str, Any]], files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a split's numbers: sequences, tokens, padding, documents, bytes, and its ledger."""
    rows = [row for account in accounts for row in account["ledger"][split]]
    amounts = ("documents", "tokens", "bytes", "distinct_documents", "distinct_tokens")
    sums = {name: sum(row[name] for row in rows) for name in amounts}
    ledger: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in LEDGER)
        total = ledger.setdefault(key, {**dict(zip(LEDGER, key, strict=True)), **dict.fromkeys(amounts, 0)})
        for name in amounts:
            total[name] += row[name]
    for total in ledger.values():
        total["epochs"] = total["tokens"] / max(1, total["distinct_tokens"])
    sequences = sum(entry.get("sequences", 0) for entry in files if entry["split"] == split)
    return {"sequences": sequences, **sums, "ledger": [ledger[key] for key in sorted(ledger)]}


def print_summary(results: dict[str, Any]) -> None:
    """Print a table of the splits, and what came from where, on stdout."""
    rows = []
    for split, about in results["splits"].items():
        ids = about["sequences"] * results["seq_len"]
        rows.append(
            (split, about["documents"], about["tokens"], about["sequences"], ids - about["tokens"], about["bytes"])
        )
    table(("split", "documents", "tokens", "sequences", "padding", "bytes"), rows)
    rows = [
        (*(row[name] for name in LEDGER), split, row["documents"], row["tokens"], _ratio(row), row["epochs"])
        for split, about in results["splits"].items()
        for row in about["ledger"]
    ]
    table((*LEDGER, "split", "documents", "tokens", "bytes per token", "epochs"), rows)


def _ratio(row: dict[str, Any]) -> float:
    return float(row["bytes"] / max(1, row["tokens"]))
