"""Answers already written down: ``samples-<task>.jsonl``, and a file a further process, until the first one joins them.

A portion is appended in one call and synced, so that an interruption leaves whole lines; a line that is none stops the
run that reads it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from eval.parallel import Ranks
from eval.plan import Planned
from eval.samples import Sample, line_of, read_samples
from eval.tasks.base import Asked, Task
from workbench.errors import InputError
from workbench.files import sync_folder


def own_file(out: Path, task: Task, ranks: Ranks) -> Path:
    """Return the file that a process appends to."""
    return out / (f"samples-{task.id}.jsonl" if ranks.first else f"samples-{task.id}.rank-{ranks.rank}.jsonl")


def _sample_files(out: Path, task: Task) -> list[Path]:
    return [out / f"samples-{task.id}.jsonl", *sorted(out.glob(f"samples-{task.id}.rank-*.jsonl"))]


def cached(task: Task, asked: Asked, planned: Planned, out: Path) -> dict[str, Sample]:
    """Return the samples of an interrupted run, by key.

    Raises:
        InputError: If one is not of this run.
    """
    wanted = {question.item.id for question in planned.questions}
    found: dict[str, Sample] = {}
    for path in _sample_files(out, task):
        for sample in read_samples(path) if path.is_file() else ():
            found_as = (sample.task, sample.format, sample.protocol, sample.shots)
            if found_as != (task.id, asked.format, asked.protocol, asked.shots):
                raise InputError(
                    path, f"{sample.key} was asked in another way", "delete the file, or name another --out"
                )
            if sample.key in wanted:
                found[sample.key] = sample
    return found


def collect(task: Task, asked: Asked, planned: Planned, out: Path) -> list[Sample]:
    """Return the samples of all processes, in the order of the questions.

    Raises:
        InputError: If a process has left some out.
    """
    found = cached(task, asked, planned, out)
    lost = sum(question.item.id not in found for question in planned.questions)
    if lost:
        raise InputError(out, f"{lost:,} answers of {task.id} were not written down", "run the same command again")
    return [found[question.item.id] for question in planned.questions]


def append(path: Path, samples: Sequence[Sample]) -> None:
    """Write lines in one call, and make them durable: an interruption leaves whole lines."""
    data = "".join(f"{line_of(sample)}\n" for sample in samples).encode()
    fresh = not path.is_file()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if fresh:
        sync_folder(path.parent)
