"""The work of one worker: read a span, take documents through the steps of a pass, write a shard.

Each function takes what it needs by value and leaves files; a finished file is a finished unit, so any of them may be
called again after an interruption.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from corpus.engine.store import Store
from corpus.flat import filtered
from corpus.ledger import Amount, taken_inside
from corpus.recipe import Recipe, Step
from corpus.rows import BUCKETS, DOCS_PER_SHARD, SOURCE, VERDICT
from corpus.sources import Chunk, Source, Span
from corpus.stages.gate import condition
from corpus.tally import Tally
from corpus.tokens import count_tokens
from workbench import manifest
from workbench.files import atomic_path, read_json, write_json

CHUNKS_PER_SPAN = 1 << 12
DROPPED_AT_LAST = ("doc", "exact_key", "exact_check", "bands", "line_keys", "chars_left")  # of use within a build alone


@dataclass(frozen=True)
class Job:
    """What a worker needs besides its shard."""

    out: Path
    recipe: Recipe
    carried: Mapping[str, str] = field(default_factory=dict)  # the inputs' own signals, with their kinds
    tokenizer: Path | None = None  # the file that counts tokens for the ledger; None: they are not counted

    @property
    def store(self) -> Store:
        """Return the column store of the build."""
        return Store(self.out / "work")

    def desk(self, step: Step) -> Path:
        """Return the folder of a step that prepares: verdicts, models, thresholds. It stays with the corpus."""
        return self.out / "steps" / step.label


@dataclass(frozen=True)
class SpanJob:
    """A span to read."""

    job: Job
    source: str
    weight: float
    reader: Source
    number: int
    span: Span


def read_span(work: SpanJob) -> dict[str, Any]:
    """Pass 0 of one span: read it, run the first steps, write its shards. Returns (and leaves on disk) its account."""
    store = work.job.store
    done = store.folder / "spans" / f"{work.number:06d}.json"
    if done.is_file():
        return dict(read_json(done))
    records, unreadable, n = 0, [], 0
    skipped: list[dict[str, Any]] = []
    clock = time.process_time()
    for chunk in work.reader.read(work.span):
        unreadable += [asdict(entry) for entry in chunk.unreadable]
        skipped += [asdict(entry) for entry in chunk.skipped]
        if not chunk.keys:
            continue
        number = work.number * CHUNKS_PER_SPAN + n
        n += 1
        assert n <= CHUNKS_PER_SPAN
        batch = _batch(chunk, work, number)
        records += len(batch)
        read_account = {"step": "00-read", "rows": len(batch), "cpu_seconds": time.process_time() - clock}
        batch = _with_tokens(batch, None, work.job, read_account)
        read_account["raw"] = asdict(Amount.of(batch))
        marked, steps = run_steps(batch, work.job, 0)
        store.write(0, f"{number:010d}", marked, [read_account, *steps])
        clock = time.process_time()
    account = {"records": records, "unreadable": unreadable, "skipped": skipped}
    write_json(done, account)
    return account


def _batch(chunk: Chunk, work: SpanJob, shard: int) -> pl.DataFrame:
    rows, carried = len(chunk.keys), work.job.carried
    columns = {
        "doc": pl.int_range(shard * DOCS_PER_SHARD, shard * DOCS_PER_SHARD + rows, dtype=pl.UInt64, eager=True),
        "id": pl.Series(chunk.keys, dtype=pl.String),
        "text": pl.Series(chunk.texts, dtype=pl.String),
        "title": pl.Series(chunk.titles, dtype=pl.String),
        "source": pl.repeat(work.source, rows, dtype=pl.String, eager=True),
        "domain": pl.Series(chunk.domains, dtype=pl.String),
        "weight": pl.repeat(work.weight, rows, dtype=pl.Float32, eager=True),
    }
    for name, kind in carried.items():  # every shard has all of them, null where the input has none
        values = chunk.signals.get(name, [None] * rows)
        columns[name] = pl.Series(values, dtype=pl.Float64 if kind == "number" else pl.String)
    frame = pl.DataFrame({name: columns[name] for name in (*SOURCE, *carried)})
    return frame.with_columns(pl.format("{}/{}", "source", "id").alias("id"))


def run_steps(batch: pl.DataFrame, job: Job, number: int) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Take documents through the steps of a pass; those that a gate rejects sit out the rest.

    Returns:
        All documents in their order, with the columns that were known at the start and those of the pass; and an
        account of each step: rows in, reasons, CPU seconds, and what it took inside texts if it rewrites them.
    """
    out: list[pl.DataFrame] = []
    accounts = []
    for step in job.recipe.of_pass(number):
        clock = time.process_time()
        rows, reasons = len(batch), {}
        before = batch
        batch = take(step, batch, job.desk(step))
        assert len(batch) == rows, f"{step.label} changed the number of rows"
        if step.stage.name == "gate":
            kept = batch["stage"].is_null()
            gone = batch.filter(~kept)
            reasons = {str(reason): count for reason, count in gone["reason"].value_counts().iter_rows()}
            out.append(gone)
            batch = batch.filter(kept)
            if "text" in batch.columns:
                filtered(before["text"], kept, batch["text"])
        seconds = time.process_time() - clock
        account: dict[str, Any] = {"step": step.label, "rows": rows, "reasons": reasons, "cpu_seconds": seconds}
        if "text" in step.stage.writes:
            changed = before["text"].ne_missing(batch["text"])
            batch = _with_tokens(batch, changed, job, account)
            account["inside"] = taken_inside(before, batch, int(changed.sum()))
        accounts.append(account)
    if "stage" not in batch.columns:
        batch = batch.with_columns(pl.lit(None, kind).alias(name) for name, kind in VERDICT.items())
    return pl.concat([*out, batch], how="diagonal").select(batch.columns).sort("doc"), accounts


def _with_tokens(batch: pl.DataFrame, changed: pl.Series | None, job: Job, account: dict[str, Any]) -> pl.DataFrame:
    """Count the tokens of all texts, or anew of those that changed; the account keeps what that cost."""
    if job.tokenizer is None:
        return batch
    clock = time.process_time()
    if changed is None:
        tokens = count_tokens(job.tokenizer, batch["text"])
    else:
        rows = changed.arg_true()
        tokens = batch["tokens"].clone().scatter(rows, count_tokens(job.tokenizer, batch["text"].gather(rows)))
    account["token_seconds"] = time.process_time() - clock
    return batch.with_columns(tokens.alias("tokens"))


def take(step: Step, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
    """Mark the documents that a step is for; the others keep what they have, and null in its new columns."""
    if step.when is None:
        return step.stage.mark(batch, desk)
    concerned = condition(step.when).fill_null(value=False)
    marked = step.stage.mark(batch.filter(concerned), desk)
    return pl.concat([marked, batch.filter(~concerned)], how="diagonal").sort("doc")


def pass_shard(work: tuple[Job, int, str]) -> None:
    """Take the surviving documents of a shard through the steps of a pass."""
    job, number, shard = work
    if job.store.done(number, shard):
        return
    steps = job.recipe.of_pass(number)
    written = {name for step in steps for name in step.stage.writes}
    before = {name for n in range(number) for step in job.recipe.of_pass(n) for name in step.stage.writes}
    before |= set(SOURCE) | set(job.carried)
    needed = {name for step in steps for name in step.reads} & before - set(VERDICT)
    if job.tokenizer is not None and "text" in written:
        needed, written = needed | {"tokens"}, written | {"tokens"}
    clock = time.process_time()
    batch = job.store.survivors(shard, sorted(needed), number)
    loading = {"step": "00-read", "rows": 0, "reasons": {}, "cpu_seconds": time.process_time() - clock}
    marked, accounts = run_steps(batch, job, number)
    clock = time.process_time()
    columns = [name for name in marked.columns if name in written or name in VERDICT]
    job.store.write(number, shard, marked.select(columns), [loading, *accounts])


def write_shard(work: tuple[Job, int, str]) -> tuple[list[dict[str, Any]], Tally]:
    """Write a shard as parquet, the kept by bucket and the rejected; return the parts' entries, and a tally."""
    job, number, shard = work
    *gone, kept = job.store.everything(shard, job.recipe.passes)
    name, entries, tally = f"part-{number:05d}.parquet", [], Tally()
    rejected = pl.concat([*gone, kept.clear()], how="diagonal").sort("doc")  # kept has the columns of all passes
    places = [(job.out / "rejected" / name, _columns(rejected, job, verdict=True))]
    for bucket in BUCKETS:
        rows = _columns(kept.filter(pl.col("bucket") == bucket), job, verdict=False)
        places.append((job.out / "kept" / f"bucket={bucket}" / name, rows))
    for path, rows in places:
        if rows.is_empty():
            continue
        with atomic_path(path) as temporary:
            rows.write_parquet(temporary, compression="zstd", compression_level=2, statistics=True)
        entries.append(manifest.describe_file(path, job.out, rows=len(rows)))
        tally.add(Tally.of(rows))
    return entries, tally


def _columns(rows: pl.DataFrame, job: Job, *, verdict: bool) -> pl.DataFrame:
    """Select a corpus's columns, the same in every part: identity, language, bucket, then signals, then the verdict.

    ``bucket`` is written in the file as well as in the folder's name, so that a single part can be read by itself.
    """
    first = ["id", "text", "title", "source", "domain", "weight", "lang", "bucket"]
    signals = [*job.carried, *(name for step in job.recipe.steps for name in step.stage.writes)]
    if job.tokenizer is not None:
        signals.append("tokens")
    names = [*first, *(n for n in dict.fromkeys(signals) if n not in first and n not in VERDICT)]
    if verdict:
        names += list(VERDICT)
    wanted = [name for name in names if name not in DROPPED_AT_LAST]
    return rows.select(wanted)
