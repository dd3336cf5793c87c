"""Rows of several sets: stands in, to be replaced by branch instruct's module of this name, which also cleans them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.instructions.rows import Faulty, Row
from corpus.instructions.sets import copies, parse, readings
from workbench.errors import InputError


@dataclass(frozen=True)
class SetCounts:
    """What was found in one of the given sets."""

    data: str
    rows: int
    faulty: int
    weight: float
    rows_per_pass: int


@dataclass
class Gathered:
    """Rows to train on, and what was left out and why."""

    rows: list[Row] = field(default_factory=list)  # each once
    times: list[int] = field(default_factory=list)  # how often each is laid out in a pass
    faulty: list[Faulty] = field(default_factory=list)
    removed: list[Any] = field(default_factory=list)
    sets: list[SetCounts] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def gather(
    data: Sequence[str], stage: str, *, benchmarks: Path | None = None, min_jaccard: float | None = 0.8
) -> Gathered:
    """Return the rows of given sets."""
    out = Gathered()
    for given, reading in readings([parse(word) for word in data], stage):
        first, bad = len(out.rows), len(out.faulty)
        for row in reading:
            (out.faulty if isinstance(row, Faulty) else out.rows).append(row)  # type: ignore[arg-type]
        times = [copies(row, given.weight) for row in out.rows[first:]]
        out.times += times
        out.sets.append(SetCounts(given.word, len(times), len(out.faulty) - bad, given.weight, sum(times)))
    if not out.rows:
        cause = out.faulty[0].cause if out.faulty else "the files are empty"
        raise InputError(", ".join(data), f"no row is left of {len(out.faulty)}", f"the first: {cause}")
    return out
