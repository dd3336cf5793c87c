"""``evaluate run``, the story: read the files, open the model, answer what is not answered yet, sum up, report.

    <out>/samples-<task>.jsonl   each item: prompt, output, what was read out of it, verdict (``eval.samples``)
    <out>/scores.json            what ``evaluate table`` reads, with subjects, second opinions, errors
    <out>/report.html            scores, subjects, wrong answers
    <out>/submission-ceval.json  with --split test
    <out>/manifest.json          last: settings, the files' hashes, the model's

Answers are written down a portion at a time, so that an interrupted run goes on where it was. A line that is damaged
stops the next run, which names it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval.answer import Drawing, answer
from eval.answered import append, cached, collect, own_file
from eval.backend import open_lm, quiet, see_tokenizer, uncollected
from eval.parallel import Ranks, by_first, join_ranks, wait
from eval.plan import Planned, plan, portions
from eval.samples import Sample, line_of
from eval.scores import submission, sum_up
from eval.tasks import TASKS, find_tasks
from eval.tasks.base import Asked, Judging, Mode, Question, Task
from eval.tasks.files import Loaded, Shelf, has_items, load
from workbench import manifest
from workbench.console import Progress, note, progress
from workbench.errors import ConfigError
from workbench.files import read_json, write_json, write_text

KIND = "scores"


@dataclass(frozen=True)
class RunSettings:
    """What a run was asked for."""

    model: Path
    tasks: str
    data: Path
    out: Path
    limit: int | None = None
    format: str | None = None
    protocol: str | None = None
    shots: int | None = None
    mode: Mode | None = None
    split: str | None = None
    batch: int = 16
    samples: int = 1
    temperature: float = 0.0
    seed: int = 0
    unsafe: bool = False
    backend: str = "hf"
    device: str | None = None
    kind: str | None = None  # base or chat, as scores.json says it
    overwrite: bool = False


@dataclass(frozen=True)
class Job:
    """A task of the run."""

    task: Task
    asked: Asked
    loaded: Loaded
    planned: Planned


def evaluate(settings: RunSettings) -> dict[str, Any]:
    """Run what is asked for, or go on with it, and return what ``scores.json`` holds.

    Raises:
        UserError: For whatever the user can mend: files, settings, a damaged cache.
    """
    quiet()
    with uncollected():
        tasks = chosen(settings)
        shelf = Shelf()
        jobs = [prepare(task, settings, shelf, alone=len(tasks) == 1) for task in tasks]
        model = see_tokenizer(settings.model)
        _see_sandbox(jobs, settings)
        with ThreadPoolExecutor(1) as pool:
            hashing = pool.submit(lambda: [manifest.describe_file(path, model) for path in _model_files(model)])
            import lm_eval.api.instance  # noqa: F401 - the second it takes passes while the weights are hashed

            weights = hashing.result()
    ranks = join_ranks()
    config = _config(settings, jobs)
    inputs = [*weights, *_unique(file for job in jobs for file in job.loaded.files)]
    mark = manifest.fingerprint(KIND, config, inputs)
    state = by_first(lambda: manifest.claim(settings.out, KIND, mark, overwrite=settings.overwrite))
    if state == "complete":
        note(f"{settings.out}: already complete; nothing was asked again")
        found: dict[str, Any] = read_json(settings.out / "scores.json")
        return found
    started = time.monotonic()
    answers = _answer(jobs, settings, ranks)
    wait()
    if not ranks.first:
        return {}
    if ranks.world > 1:
        answers = {job.task.id: collect(job.task, job.asked, job.planned, settings.out) for job in jobs}
    scores = _write(jobs, settings, answers, time.monotonic() - started)
    files = [manifest.describe_file(path, settings.out) for path in sorted(settings.out.iterdir()) if _is_result(path)]
    results = {"scores": {name: entry["value"] for name, entry in scores["tasks"].items()}}
    manifest.write(settings.out, manifest.Manifest(KIND, mark, config, inputs, files=files, results=results))
    return scores


def chosen(settings: RunSettings) -> list[Task]:
    """Return the tasks, MATH-500 in the place of MATH where only that is there."""
    out = []
    for task in find_tasks(settings.tasks):
        found = task
        if task.id == "math" and not has_items(task, settings.data, task.asked()):
            short = TASKS["math500"]
            if has_items(short, settings.data, short.asked()):
                note(f"math: {settings.data} has MATH-500 alone; it is scored as math500, which is not MATH")
                found = short
        if found not in out:
            out.append(found)
    return out


def prepare(task: Task, settings: RunSettings, shelf: Shelf, *, alone: bool) -> Job:
    """Read a task's files and make its questions.

    Args:
        task: The task.
        settings: What was asked for.
        shelf: What other tasks have read.
        alone: Whether it is the only one: else a split or mode that it does not have is meant for others.
    """
    asked = task.asked(
        split=settings.split if alone or settings.split in task.splits else None,
        shots=settings.shots,
        protocol=settings.protocol,
        form=settings.format,
        mode=settings.mode if alone or settings.mode in task.modes else None,
    )
    loaded = load(task, settings.data, asked, shelf)
    for remark in loaded.remarks:
        note(remark)
    if loaded.official is False and not loaded.remarks:
        note(f"{task.id}: {asked.split} has the official number of items, but other content than the official files")
    planned = plan(task, loaded, asked, settings.limit)
    if settings.limit is not None and settings.limit < len(planned.sizes):
        note(f"{task.id}: {settings.limit} items do not reach all {len(planned.sizes)} subjects; give a larger --limit")
    return Job(task, asked, loaded, planned)


def _see_sandbox(jobs: Sequence[Job], settings: RunSettings) -> None:
    if settings.unsafe or not any(job.task.code for job in jobs):
        return
    from eval.sandbox import available

    if (why := available()) is not None:
        names = ",".join(job.task.id for job in jobs if job.task.code)
        remedy = "mend that, leave these tasks out, or give --unsafe to run generated programs as yourself"
        raise ConfigError(f"--tasks {names}", f"there is no sandbox ({why})", remedy)


def _config(settings: RunSettings, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return what decides the answers; where they are written and how many at once does not."""
    drawn = {"samples": settings.samples, "temperature": settings.temperature, "seed": settings.seed}
    return {
        "tasks": {job.task.id: {**asdict(job.asked), "items": job.loaded.digest} for job in jobs},
        "limit": settings.limit,
        "backend": settings.backend,
        "unsafe": settings.unsafe,
        **drawn,
    }


def _unique(files: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({str(file["path"]): file for file in files}.values())


def _model_files(folder: Path) -> list[Path]:
    ends = (".safetensors", ".json", ".model")
    return sorted(path for path in folder.iterdir() if path.suffix in ends and path.name != manifest.NAME)


def _answer(jobs: Sequence[Job], settings: RunSettings, ranks: Ranks) -> dict[str, list[Sample]]:
    """Answer what is not answered yet; returns this process's samples of each task, in the order of the questions."""
    known: dict[tuple[str, str], Sample] = {}
    done = {job.task.id: cached(job.task, job.asked, job.planned, settings.out) for job in jobs}
    lm: Any = None
    drawing = Drawing(settings.samples if settings.temperature > 0 else 1, settings.temperature, settings.seed)
    out: dict[str, list[Sample]] = {}
    for job in jobs:
        task, have = job.task, done[job.task.id]
        with _bar(job, ranks) as bar:
            path = own_file(settings.out, task, ranks)
            if have:
                bar.advance(len(have), "(read from an earlier run)")
            missing = [question for question in _share(job, settings, ranks) if question.item.id not in have]
            for question in list(missing):  # the medical group's items may have been answered in their own benchmark
                sample = known.get((question.item.id, question.prompt.text))
                if sample is not None and ranks.world == 1 and sample.format == job.asked.format:
                    have[question.item.id] = replace(sample, task=task.id, subject=question.subject)
                    missing.remove(question)
                    bar.advance(1)
            for portion in portions(missing, settings.batch, ranks.world):
                if lm is None:
                    lm = open_lm(settings.model, backend=settings.backend, batch=settings.batch, device=settings.device)
                judging = Judging(unsafe=settings.unsafe)
                found = answer(lm, task, job.asked, portion, drawing, judging)
                append(path, found)
                have |= {sample.key: sample for sample in found}
                bar.advance(len(portion))
        known |= {(sample.key, sample.prompt): sample for sample in have.values()}
        order = [question.item.id for question in job.planned.questions]
        out[task.id] = [have[key] for key in order if key in have]
    return out


def _share(job: Job, settings: RunSettings, ranks: Ranks) -> Sequence[Question]:
    """Return this process's questions, whatever the others have written down by now."""
    if ranks.world == 1:
        return job.planned.questions
    every = enumerate(portions(job.planned.questions, settings.batch, ranks.world))
    return [question for number, portion in every if number % ranks.world == ranks.rank for question in portion]


def _bar(job: Job, ranks: Ranks) -> AbstractContextManager[Progress]:
    """Return the task's progress, of the first process alone: the others do as much in the same time."""
    total = -(-len(job.planned.questions) // ranks.world)
    return progress(job.task.id, total, "items", shown=ranks.first)


def _write(
    jobs: Sequence[Job], settings: RunSettings, answers: Mapping[str, Sequence[Sample]], seconds: float
) -> dict[str, Any]:
    """Write samples in order, scores, a submission and the page; returns the scores."""
    from eval.run_page import run_page

    scores: dict[str, Any] = {"model": _model_name(settings.model)}
    if settings.kind:
        scores["kind"] = settings.kind
    scores |= {"tasks": {}, "seconds": round(seconds, 1)}
    for job in jobs:
        samples = answers[job.task.id]
        write_text(settings.out / f"samples-{job.task.id}.jsonl", "".join(f"{line_of(one)}\n" for one in samples))
        for path in settings.out.glob(f"samples-{job.task.id}.rank-*.jsonl"):
            path.unlink()
        if not any(sample.gold for sample in samples) and not job.task.code and "mc" in job.task.formats:
            name = f"submission-{job.task.id}.json"
            write_json(settings.out / name, submission(samples))
            scores.setdefault("submissions", {})[job.task.id] = name
            continue
        drawn = settings.samples if settings.temperature > 0 else 1
        entry = sum_up(job.task, job.asked, job.planned, samples, drawn)
        if drawn > 1:
            entry |= {"samples": drawn, "temperature": settings.temperature}
        entry |= {"items_sha256": job.loaded.digest, "official_items": job.loaded.official}
        scores["tasks"][job.task.id] = entry
    write_json(settings.out / "scores.json", scores)
    questions = {q.item.id: q for job in jobs for q in job.planned.questions}
    write_text(settings.out / "report.html", run_page(scores, answers, questions))
    return scores


def _model_name(folder: Path) -> str:
    path = folder.resolve()
    return path.parent.name if path.name == "model" else path.name


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name not in (manifest.NAME, manifest.UNFINISHED)
