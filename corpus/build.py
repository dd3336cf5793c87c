"""The story of a build, top to bottom.

    plan      which files, cut into which spans; the fingerprint of recipe and inputs decides what is still to do
    read      pass 0: a worker reads a span, and takes its documents through the first steps
    pass      a step that must see all documents looks at them; then the workers take each shard through the next steps
    write     kept/bucket=…/part-*.parquet and rejected/part-*.parquet, every document in exactly one of them
    report    report.json, report.html, the dataset card; at last manifest.json, which means complete

The unit of work is a shard (a chunk of a span, 16 MB of raw input). A finished shard is a file, so an interrupted build
goes on from it, and since shards depend on the inputs alone, the result is the same to the byte.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.engine.local import Local
from corpus.engine.shuffle import StoredSurvivors
from corpus.ledger import Amount, Ledger
from corpus.recipe import Recipe
from corpus.report import write_report
from corpus.rows import BUCKETS
from corpus.sources import Source, configure, plan
from corpus.stages.base import Preparing
from corpus.tally import Tally
from corpus.tokens import load_counter, tokenizer_file
from corpus.work import CHUNKS_PER_SPAN, Job, SpanJob, pass_shard, read_span, write_shard
from workbench import manifest
from workbench.console import note, progress
from workbench.errors import InputError
from workbench.files import make_folder, read_json, remove, sha256_file, write_json

READY = "ready.json"  # in the folder of a step that has prepared


@dataclass(frozen=True)
class Input:
    """One ``--src``: a source's name and where its files are."""

    source: str
    path: Path
    options: Mapping[str, str] = field(default_factory=dict)  # of the source: text=…, document=chapter
    weight: float = 1.0  # in the mix; the corpus keeps each document once and notes it, tokenizer pack lays it out

    @cached_property
    def reader(self) -> Source:
        """Return the source with its options."""
        return configure(self.source, self.options)

    @cached_property
    def files(self) -> list[Path]:
        """Return the files below the path; a source looks for them, and tells its column map, once."""
        return self.reader.files(self.path)


def build(
    inputs: Sequence[Input],
    recipe: Recipe,
    out: Path,
    *,
    workers: int,
    overwrite: bool = False,
    tokenizer: Path | None = None,
    proxy: bool = True,
) -> dict[str, Any]:
    """Build a corpus, or finish an interrupted build, or find that there is nothing to do.

    Args:
        inputs: The sources, in order; of two equal documents the one of the earlier source stays.
        recipe: The steps.
        out: The corpus folder.
        workers: Processes.
        overwrite: Whether a corpus made of other inputs or another recipe may be replaced.
        tokenizer: A tokenizer's folder or file, whose tokens the ledger counts; None: it has no token column.
        proxy: Whether the report judges the buckets by a model trained on each.

    Returns:
        The manifest's results.

    Raises:
        UserError: For inputs that are missing or hold no record, or an output that cannot be written.
    """
    started = time.monotonic()
    files = [(one.source, file) for one in inputs for file in one.files]
    carried = carried_signals(inputs)
    if tokenizer is not None:
        tokenizer = tokenizer_file(tokenizer)
        load_counter(str(tokenizer))  # a broken one is found before a document is read
    ours = {name for step in recipe.steps for name in step.stage.writes} | ({"tokens"} if tokenizer else set())
    if clash := sorted(ours & set(carried)):
        note(f"the input's own {', '.join(clash)}: not carried, the recipe's steps write columns of that name")
    carried = {name: kind for name, kind in carried.items() if name not in ours}
    with Local(workers) as engine:
        hashes = _run(engine, sha256_file, [file for _, file in files], "hash the inputs", "files")
        read = [
            {"source": source, "path": str(file), "bytes": file.stat().st_size, "sha256": digest}
            for (source, file), digest in zip(files, hashes, strict=True)
        ]
        resources = _resources([*recipe.resources(), *([tokenizer] if tokenizer else [])])
        spans = [(one, span) for one in inputs for span in plan(one.reader, one.path, one.files)]
        names = [piece.name for _, span in spans for piece in span.pieces()]  # ids are made of them
        options = [[one.weight, *sorted(one.options.items())] for one in inputs]
        parts_of_mark = [[r["source"], r["sha256"]] for r in read], [r["sha256"] for r in resources], names, options
        mark = manifest.fingerprint("corpus", recipe.resolved(), parts_of_mark)
        state = manifest.claim(out, "corpus", mark, overwrite=overwrite)
        if state == "complete":
            note(f"{out}: complete, made of the same inputs by the same recipe; nothing to do")
            return dict(manifest.read(out, "corpus", "corpus build").results)
        job = Job(out, recipe, carried, tokenizer)
        span_jobs = [
            SpanJob(job, one.source, one.weight, one.reader, number, span) for number, (one, span) in enumerate(spans)
        ]
        _prepare(job, 0, ())
        accounts = _run(engine, read_span, span_jobs, "read and clean", "spans")
        unreadable = [entry for account in accounts for entry in account["unreadable"]]
        skipped = [entry for account in accounts for entry in account["skipped"]]
        if not sum(account["records"] for account in accounts):
            remove(out)
            why = f"no record could be read ({unreadable[0]['cause']})" if unreadable else "no record was found"
            raise InputError(inputs[0].path, why, f"see that its files are {inputs[0].source} records")
        shards = job.store.shards()
        for number in range(1, recipe.passes):
            _pass(engine, job, number, shards)
        kept_dirs = [make_folder(out / "kept" / f"bucket={bucket}") for bucket in BUCKETS]
        make_folder(out / "rejected")
        parts, tally = _write(engine, job, shards)
        for folder in kept_dirs:
            if not any(folder.iterdir()):
                folder.rmdir()
    sources = {shard: span_jobs[int(shard) // CHUNKS_PER_SPAN].source for shard in shards}
    steps, ledger = _sum_accounts(job, sources, tally)
    results: dict[str, Any] = {
        "records": sum(account["records"] for account in accounts),
        "kept": sum(part["rows"] for part in parts if part["path"].startswith("kept/")),
        "rejected": sum(part["rows"] for part in parts if part["path"].startswith("rejected/")),
        "unreadable": len(unreadable),
        "unreadable_records": unreadable,
        "skipped": sum(entry["count"] for entry in skipped),
        "skipped_by_source": skipped,
        "bytes_read": sum(entry["bytes"] for entry in read),
        "cpu_seconds": round(sum(step["cpu_seconds"] for step in steps), 3),
        "seconds": round(time.monotonic() - started, 3),
    }
    assert results["kept"] + results["rejected"] == results["records"], "a document was lost"
    if tokenizer is not None:
        results["token_cpu_seconds"] = round(sum(step["token_seconds"] for step in steps), 3)
    results |= write_report(out, recipe, steps, results, tally, ledger, proxy=proxy)
    manifest.write(out, manifest.Manifest("corpus", mark, recipe.resolved(), read + resources, steps, parts, results))
    remove(job.store.folder)
    return results


def carried_signals(inputs: Sequence[Input]) -> dict[str, str]:
    """Return the numeric and label columns that the inputs bring of their own, with their kinds."""
    carried: dict[str, str] = {}
    for one in inputs:
        carried |= one.reader.signals(one.files)
    return carried


def _run(engine: Local, function: Callable[[Any], Any], units: Sequence[Any], said: str, unit: str) -> list[Any]:
    """Map with a progress line; results in the order of the units."""
    out: list[Any] = [None] * len(units)
    with progress(said, len(units), unit) as count:
        for index, result in engine.map(function, units):
            out[index] = result
            count.advance()
    return out


def _resources(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the manifest's entries of the files and folders that settings name.

    Raises:
        InputError: If one is not there.
    """
    entries = []
    for path in paths:
        if not path.exists():
            raise InputError(
                path, "no such file or folder", "mend the setting of the recipe or the command that names it"
            )
        made = path / manifest.NAME
        files = (
            [path]
            if path.is_file()
            else [made]
            if made.is_file()
            else sorted(f for f in path.rglob("*") if f.is_file())
        )
        digests = [(str(file.relative_to(path)), sha256_file(file)) for file in files]
        digest = digests[0][1] if path.is_file() else manifest.fingerprint("folder", None, digests)
        entries.append({"path": str(path), "bytes": sum(file.stat().st_size for file in files), "sha256": digest})
    return entries


def _prepare(job: Job, number: int, shards: Sequence[str]) -> None:
    """Let the steps of a pass that must see all documents look at them."""
    survivors = StoredSurvivors(job.store, number, tuple(shards), tuple(int(shard) for shard in shards))
    for step in job.recipe.of_pass(number):
        ready = job.desk(step) / READY
        if isinstance(step.stage, Preparing) and not ready.is_file():
            clock = time.process_time()
            remove(job.desk(step))
            step.stage.prepare(survivors, make_folder(job.desk(step)))
            write_json(ready, {"cpu_seconds": round(time.process_time() - clock, 3)})


def _pass(engine: Local, job: Job, number: int, shards: Sequence[str]) -> None:
    """Prepare a pass, then run it over the shards."""
    _prepare(job, number, shards)
    steps = job.recipe.of_pass(number)
    names = " ".join(step.stage.name for step in steps if step.stage.name != "gate")
    _run(engine, pass_shard, [(job, number, shard) for shard in shards], names, "shards")


def _write(engine: Local, job: Job, shards: Sequence[str]) -> tuple[list[dict[str, Any]], Tally]:
    """Write all shards; return the parts' entries in their order, and the tally of all."""
    parts: list[list[dict[str, Any]]] = [[] for _ in shards]
    tally = Tally()
    units = [(job, number, shard) for number, shard in enumerate(shards)]
    with progress("write", len(units), "shards") as count:
        for index, (entries, of_shard) in engine.map(write_shard, units):
            parts[index] = entries
            tally.add(of_shard)
            count.advance()
    return [part for entries in parts for part in entries], tally


def _sum_accounts(job: Job, sources: Mapping[str, str], tally: Tally) -> tuple[list[dict[str, Any]], Ledger]:
    """Add the shards' accounts up: rows, reasons and CPU seconds of every step, by source too; and the ledger.

    Args:
        job: The build.
        sources: The source of each shard: a span, and so a shard, is of one.
        tally: What was written.
    """
    recipe, store = job.recipe, job.store
    ledger = Ledger(recipe, None if job.tokenizer is None else str(job.tokenizer))
    labels = ["00-read", *(step.label for step in recipe.steps)]
    rows: dict[str, Counter[str]] = {label: Counter() for label in labels}  # by source
    reasons: dict[str, dict[str, Counter[str]]] = {label: {} for label in labels}
    seconds: Counter[str] = Counter()
    token_seconds: Counter[str] = Counter()
    for shard, source in sources.items():
        for number in range(recipe.passes):
            for entry in store.account(number, shard):
                label = entry["step"]
                rows[label][source] += entry["rows"]
                reasons[label].setdefault(source, Counter()).update(entry.get("reasons", {}))
                seconds[label] += entry["cpu_seconds"]
                token_seconds[label] += entry.get("token_seconds", 0)
                if "raw" in entry:
                    ledger.read(source, Amount(**entry["raw"]))
                if "inside" in entry:
                    ledger.inside(source, label, entry["inside"])
    for (source, stage, reason), amount in tally.by(["source", "stage", "reason"]).items():
        ledger.left(source, None if stage is None else (stage, reason), amount)
    for step in recipe.steps:
        if isinstance(step.stage, Preparing):
            seconds[step.label] += read_json(job.desk(step) / READY)["cpu_seconds"]
    steps: list[dict[str, Any]] = []
    for label in labels:
        total: Counter[str] = sum(reasons[label].values(), Counter())
        by_source = {source: _flow(rows[label][source], reasons[label].get(source, Counter())) for source in ledger.raw}
        cost = {"cpu_seconds": round(seconds[label], 3)}
        if job.tokenizer is not None:
            cost["token_seconds"] = round(token_seconds[label], 3)
        steps.append({"name": label, **_flow(rows[label].total(), total), **cost, "by_source": by_source})
    return steps, ledger


def _flow(rows: int, reasons: Counter[str]) -> dict[str, Any]:
    """Return how many documents came to a step, how many went on, and why the others did not."""
    return {"rows_in": rows, "rows_out": rows - reasons.total(), "reasons": dict(reasons.most_common())}
