"""The story of a pack: a corpus in, token shards out.

    units     the corpus's parquet files, in groups of 16 MB
    encode    a worker encodes a unit, adds bos and eos, and leaves a run for each split, ordered by the shuffle's key
    shards    a worker merges one shard from all runs and packs it: documents end to end and cut where a sequence ends,
              or whole where they fit best, with padding (``--packing best-fit``)
    manifest  what came from where, and what the packing cost; written last

Units depend on the corpus alone and shards on the runs alone, so an interrupted pack goes on from the files it
finished, and any number of workers gives the same bytes. Nothing is dropped: what the corpus has in documents and
bytes, the splits have together, and the pack fails if they have not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.engine.local import Local
from corpus.kept import kept_parts, kept_paths
from tokenizer import weights
from tokenizer.best_fit import best_fit
from tokenizer.job import Job, PackSettings
from tokenizer.model import vocabulary_file
from tokenizer.open import describe_tokenizer, load_encoder
from tokenizer.packing import cut_end_to_end, end_to_end, lay
from tokenizer.shards import KIND, PIECES, SPLITS, id_type, shard_path, write_shard
from tokenizer.totals import of_split, print_summary
from tokenizer.units import LEDGER, encode_unit, group
from workbench import manifest
from workbench.console import note, progress
from workbench.errors import ConfigError, InputError
from workbench.files import read_json, remove, sha256_file, write_json

__all__ = ["PackSettings", "pack", "print_summary"]


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
        tokenizer: A folder with a ``tokenizer.model``, or a byte-level ``tokenizer.json``.
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
    model = vocabulary_file(tokenizer)
    carried = describe_tokenizer(tokenizer)
    digest = carried["sha256"]
    encoder = load_encoder(model, digest)
    if encoder.eos_id < 0:
        raise InputError(model, "has no eos, so documents could not be told apart", "name a model that has one")
    parts = kept_parts(made)
    if not parts:
        raise InputError(corpus, "has no kept documents", "see: corpus report DIR")
    weights.check_names(settings.weights, kept_paths(corpus, made))
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
    splits = {split: of_split(split, accounts, written, settings.seq_len) for split in SPLITS}
    results: dict[str, Any] = {
        "dtype": id_type(encoder.vocab_size).str,
        "seq_len": settings.seq_len,
        "packing": settings.packing,
        "vocab_size": encoder.vocab_size,
        "eos_id": encoder.eos_id,
        "bos_id": encoder.bos_id,
        "tokenizer_file": model.name,
        "tokenizer_sha256": digest,
        "splits": {split: about for split, about in splits.items() if about["documents"]},
        "cpu_seconds": round(sum(account["cpu_seconds"] for account in (*accounts, *written)), 3),
        "seconds": round(time.monotonic() - clock, 3),
    }
    for name in ("tokens", "bytes"):
        laid, encoded = sum(shard[name] for shard in written), sum(about[name] for about in splits.values())
        assert laid == encoded, f"{encoded - laid:,} {name} were lost between the runs and the shards"
    if many := weights.many_epochs(splits["train"]["ledger"]):
        note(f"{out}: more than four epochs of {many}: repetition beyond that teaches little")
    if not splits["train"]["documents"]:
        note(f"{out}: no document is laid out for training; see --weight and --validation-share")
    if settings.validation_share and not splits["validation"]["documents"]:
        note(f"{out}: no document fell into the validation split; try a larger --validation-share")
    inputs = [
        {"path": str(corpus), "fingerprint": made.fingerprint, "sha256": sha256_file(corpus / manifest.NAME)},
        carried,
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
    encoder = job.encoder
    begin = shard.number * settings.window
    if settings.packing == "best-fit":  # a document belongs to the shard that it would begin in
        documents, names = store.window(shard.split, shard.units, begin, begin + settings.window, whole=True)
        parts = best_fit(documents.lengths, settings.seq_len)
    else:
        end = min(begin + settings.window, -(-shard.split_ids // settings.seq_len) * settings.seq_len)
        documents, names = store.window(shard.split, shard.units, begin, end)
        parts = end_to_end(documents, (begin, end), settings.seq_len)
    prefix_at = int(encoder.bos_id is not None) if encoder.dummy_prefix else -1
    laid = lay(documents, parts, encoder.surface_bytes, prefix_at, encoder.eos_id)
    named = names.select("id", *LEDGER)[laid.documents].to_arrow()
    columns = {"start": laid.starts, "length": laid.lengths, "bytes": laid.sizes, "lead_bytes": laid.lead_sizes}
    arrays = {name: pa.array(column) for name, column in columns.items()}
    arrays |= {name: named.column(name).cast(pa.string()) for name in named.column_names}
    pieces = pa.table({field.name: arrays[field.name] for field in PIECES}).cast(PIECES)
    files = write_shard(
        job.out, shard.split, shard.number, laid.ids, pieces, seq_len=settings.seq_len, vocab_size=job.vocab_size
    )
    beginning = documents.positions >= begin  # of a document that two shards share, the first counts the cut
    would_cut = int(cut_end_to_end(documents, settings.seq_len)[beginning].sum())
    cuts = would_cut if settings.packing == "concat" else int((documents.lengths > settings.seq_len).sum())
    account = {
        "split": shard.split,
        "files": files,
        "documents_cut": cuts,
        "documents_cut_end_to_end": would_cut,
        "tokens": int(laid.lengths.sum()),
        "bytes": int(laid.sizes.sum()),
        "cpu_seconds": time.process_time() - clock,
    }
    write_json(done, account)
    return account
