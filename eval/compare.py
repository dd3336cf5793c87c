"""Is the difference of two runs real? Their answers to the same items, paired by key, resampled together.

For each task: the difference of the means, its 95 % interval and a two-sided p by the paired bootstrap over items
(Efron & Tibshirani 1993), and for right-or-wrong verdicts the exact McNemar test, which looks at the items that one run
alone got right. Pairing matters: two models of 60 % on 164 programs, taken apart, differ with a standard error of 5.4
points; if they disagree on a tenth of the programs, paired, with one of 2.5.

For all tasks together, items are resampled within each task: once as the mean of all items, once as the mean of the
tasks' means. Cost: a resample is one draw of how often each distinct difference occurs, so 10,000 take 5 ms a task,
whatever its number of items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.samples import Sample, read_samples
from workbench.errors import InputError

DRAWS = 10_000
_LEVEL = 0.95


@dataclass(frozen=True)
class McNemar:
    """How many items one run alone got right, and the exact two-sided p of their being equally many."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Difference:
    """The second run's mean minus the first's, in percentage points."""

    name: str
    n: int  # items paired
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    mcnemar: McNemar | None = None  # None: not every verdict is right or wrong, or several tasks weigh the same
    only_in_first: int = 0  # items that the other run has not answered
    only_in_second: int = 0
    other_gold: int = 0  # items whose gold answers differ: not the same item, left out
    settings: tuple[str, ...] = ()  # what else differs: "shots 5 | 0"


@dataclass(frozen=True)
class Comparison:
    """Two runs, task by task and together."""

    first: str
    second: str
    tasks: tuple[Difference, ...]
    together: tuple[Difference, ...]  # all items, mean of tasks; none where there is one task
    only_in_first: tuple[str, ...]  # tasks
    only_in_second: tuple[str, ...]
    draws: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def compare(first: Path, second: Path, *, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare two runs.

    Args:
        first: A folder with ``samples-<task>.jsonl`` files.
        second: Another.
        draws: Resamples.
        seed: Of the resampling; equal seeds give equal figures.

    Raises:
        InputError: If a folder has no samples, a file is none, a key is there twice, or no item is in both.
    """
    one, two = read_run(first), read_run(second)
    rng = np.random.default_rng(seed)
    tasks, drawn, values = [], [], []
    for task in sorted(one.keys() & two.keys()):
        found = _paired(task, one[task], two[task])
        if found is None:
            continue
        left, right, shell = found
        means = _resample(right - left, draws, rng)
        tasks.append(_difference(shell, left, right, means))
        drawn.append(means)
        values.append((left, right))
    if not tasks:
        raise InputError(second, f"has no item in common with {first}", "compare runs of the same benchmarks")
    return Comparison(
        str(first),
        str(second),
        tuple(tasks),
        _together(tasks, drawn, values) if len(tasks) > 1 else (),
        tuple(sorted(one.keys() - two.keys())),
        tuple(sorted(two.keys() - one.keys())),
        draws,
        seed,
    )


def read_run(folder: Path) -> dict[str, dict[str, Sample]]:
    """Return a run's samples by task and key.

    Raises:
        InputError: If there are none, a file is none, or a key is there twice.
    """
    files = sorted(folder.glob("samples-*.jsonl"))
    if not files:
        raise InputError(folder, "holds no samples-*.jsonl", "name a run of evaluate run or evaluate import")
    found: dict[str, dict[str, Sample]] = {}
    for file in files:
        for sample in read_samples(file):
            task = found.setdefault(sample.task, {})
            if sample.key in task:
                raise InputError(file, f"has {sample.key} twice", "delete one of the lines")
            task[sample.key] = sample
    return found


def _paired(
    task: str, one: Mapping[str, Sample], two: Mapping[str, Sample]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]] | None:
    """Return both runs' verdicts on the items they share, and what is said about the rest; None if they share none."""
    shared = sorted(one.keys() & two.keys())
    pairs = [(one[key], two[key]) for key in shared]
    same = [(a, b) for a, b in pairs if a.gold == b.gold or "mc" not in (a.format, b.format)]
    if not same:
        return None
    left, right = (np.array([pair[side].correct for pair in same]) for side in (0, 1))
    shell = {
        "name": task,
        "n": len(same),
        "only_in_first": len(one) - len(shared),
        "only_in_second": len(two) - len(shared),
        "other_gold": len(pairs) - len(same),
        "settings": tuple(_settings([a for a, _ in same], [b for _, b in same])),
    }
    return left, right, shell


def _settings(one: list[Sample], two: list[Sample]) -> list[str]:
    said = []
    for name in ("protocol", "format", "shots"):
        first, second = ("/".join(sorted({str(getattr(s, name)) for s in side})) for side in (one, two))
        if first != second:
            said.append(f"{name} {first} | {second}")
    return said


def _resample(differences: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return means of resamples of n items; how often each distinct value occurs in one is multinomial."""
    values, counts = np.unique(differences, return_counts=True)
    occur = rng.multinomial(len(differences), counts / len(differences), size=draws)
    return np.asarray(occur @ values / len(differences))


def _difference(shell: dict[str, Any], left: np.ndarray, right: np.ndarray, means: np.ndarray) -> Difference:
    binary = bool(np.isin(left, (0, 1)).all() and np.isin(right, (0, 1)).all())
    test = mcnemar(int((left > right).sum()), int((right > left).sum())) if binary else None
    return Difference(
        first=100 * float(left.mean()),
        second=100 * float(right.mean()),
        difference=100 * float((right - left).mean()),
        mcnemar=test,
        **_interval(means),
        **shell,
    )


def _interval(means: np.ndarray) -> dict[str, Any]:
    """Return the percentile interval, and p: twice the smaller share of resamples on either side of no difference."""
    edge = (1 - _LEVEL) / 2
    low, high = np.quantile(means, (edge, 1 - edge))
    tiny = 1e-12  # a mean of fractions that is zero but for rounding
    beyond = min(int((means <= tiny).sum()), int((means >= -tiny).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(means) + 1))  # + 1: no finite number of draws shows that p is 0
    return {"low": 100 * float(low), "high": 100 * float(high), "p": p}


def _together(
    tasks: list[Difference], drawn: list[np.ndarray], values: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[Difference, Difference]:
    weights = np.array([task.n for task in tasks]) / sum(task.n for task in tasks)
    left, right = (np.concatenate([pair[side] for pair in values]) for side in (0, 1))
    items = _difference({"name": "all items", "n": len(left)}, left, right, weights @ np.array(drawn))
    first, second = (float(np.mean([getattr(task, side) for task in tasks])) for side in ("first", "second"))
    means = Difference(
        name="mean of tasks",
        n=len(left),
        first=first,
        second=second,
        difference=second - first,
        **_interval(np.mean(drawn, axis=0)),
    )
    return items, means


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Return the exact test: of the items that one run alone got right, is each as likely to be either run's?

    Args:
        only_first: Items that the first run alone got right.
        only_second: Items that the second run alone got right.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**n))
