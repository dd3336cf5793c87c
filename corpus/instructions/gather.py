"""All rows of what a user named as data, ready for a stage: read, cleaned, weighted, with all that was left out.

    found = gather(["数据/问答.json@2", "alpaca-zh"], "sft", benchmarks=Path("benchmarks"))
    for row in found.laid_out(): …

Duplicates are looked for before weights are laid out, so a weight of 2 does give a row twice. The rows are held in
memory: 1 GB for half a million of Belle's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpus.instructions.clean import MIN_JACCARD, Removed, clean
from corpus.instructions.rows import Axis, Faulty, Row
from corpus.instructions.sets import contained, copies, known_sets, name_of, parse, readings
from workbench.errors import InputError


@dataclass(frozen=True)
class SetCounts:
    """What was found in one of the given sets."""

    data: str
    files: int
    forms: dict[str, int]  # records by form
    records: int
    rows: int
    faulty: int
    weight: float
    rows_per_pass: int  # after cleaning, as often as the weight says
    stated: int | None  # rows, by the source of a known set
    stated_by: str | None

    def said(self) -> str:
        """Return what was found in one line."""
        forms = ", ".join(f"{count:,} {form}" for form, count in self.forms.items())
        stated = f"; {self.stated:,} rows stated by {self.stated_by}" if self.stated else ""
        return f"{self.data}: {self.records:,} records ({forms}), {self.rows:,} rows, {self.faulty:,} bad{stated}"


@dataclass
class Gathered:
    """Rows to train on, and what was left out and why."""

    rows: list[Row] = field(default_factory=list)  # each once
    times: list[int] = field(default_factory=list)  # how often each is laid out in a pass
    faulty: list[Faulty] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    sets: list[SetCounts] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def laid_out(self) -> Iterator[Row]:
        """Yield the rows of a pass, each as often as its set's weight says."""
        for row, times in zip(self.rows, self.times, strict=True):
            for _ in range(times):
                yield row


def gather(
    data: Sequence[str],
    stage: str,
    *,
    axis: Axis | None = None,
    hub: str | None = None,
    store: Path | None = None,
    benchmarks: Path | None = None,
    min_jaccard: float | None = MIN_JACCARD,
) -> Gathered:
    """Return the rows of given sets.

    Args:
        data: Paths and short names, perhaps with weights (``PATH@2``).
        stage: The stage that reads them.
        axis: What preferences were judged by, where the data do not say.
        hub: ``hf`` or ``modelscope``, for names.
        store: Where sets of hubs are kept; none: ``data/hub``.
        benchmarks: The folder of the benchmarks; none: contamination is not looked for.
        min_jaccard: The similarity from which two rows are one; none: duplicates are not looked for.

    Raises:
        ConfigError: If there is no such stage or hub, or a weight is out of range.
        InputError: If a set is not there, has no form that serves the stage, or no row is left of all.
    """
    givens = [parse(word) for word in data]
    out = Gathered(warnings=contained(givens))
    rows: list[Row] = []
    parts = []
    for given, reading in readings(givens, stage, axis=axis, hub=hub, store=store):
        first, bad = len(rows), len(out.faulty)
        for piece in reading:
            (out.faulty if isinstance(piece, Faulty) else rows).append(piece)  # type: ignore[arg-type]
        parts.append((given, reading, len(rows) - first, len(out.faulty) - bad))
    if not rows:
        cause = out.faulty[0].cause if out.faulty else "the files are empty"
        raise InputError(", ".join(data), f"no row is left of {len(out.faulty)}", f"the first: {cause}")
    cleaned = clean(rows, benchmarks=benchmarks, min_jaccard=min_jaccard)
    out.rows, out.removed = cleaned.kept, cleaned.removed
    stays, at = set(cleaned.places), 0
    for given, reading, count, bad in parts:
        kept = [rows[place] for place in range(at, at + count) if place in stays]
        at += count
        times = [copies(row, given.weight) for row in kept]
        out.times += times
        known = known_sets().get(name_of(given.word) or "")
        stated = (None, None) if known is None else (known.stated, known.said_by)
        made = (len(reading.files), dict(reading.forms), reading.records, count, bad, given.weight, sum(times))
        out.sets.append(SetCounts(given.word, *made, *stated))
    return out
