"""Samples summed up: means over items and over subjects, their errors, second opinions, pass@k, bits per byte.

micro is the mean over items, macro the mean over subjects; ``value`` is the one that the task's own score is (micro
under protocol lm-eval, which weights by size). Of a limited run both are estimates for the whole benchmark: each
subject counts by its size. ``stderr`` is the error of the score as a measure of the model (items are a sample of what
could be asked); ``limit_stderr`` that of a limited run against the whole file (0 if all items were taken). All in
percent.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from eval.plan import Planned
from eval.samples import Sample
from eval.tasks.base import Asked, Task

READINGS = ("strict", "flexible", "is_equiv", "math_verify", "by_sum")
KS = (1, 10, 100)


@dataclass(frozen=True)
class Mean:
    """A mean and its errors, as shares."""

    value: float
    stderr: float
    limit_stderr: float


def sum_up(task: Task, asked: Asked, planned: Planned, samples: Sequence[Sample], drawn: int = 1) -> dict[str, Any]:
    """Return a task's entry of ``scores.json``.

    Args:
        task: The task.
        asked: How it was asked.
        planned: What was asked.
        samples: One a question.
        drawn: Texts a question.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.subject].append(sample)
    sizes = planned.sizes
    micro = mean({s: [one.correct for one in g] for s, g in groups.items()}, sizes)
    macro = mean({s: [one.correct for one in g] for s, g in groups.items()}, sizes, by_subject=True)
    kind = "micro" if asked.protocol == "lm-eval" else task.mean
    head = micro if kind == "micro" else macro
    out: dict[str, Any] = {
        "value": _percent(head.value),
        "mean": kind,
        "shots": asked.shots,
        "protocol": asked.protocol,
        "format": asked.format,
        "mode": asked.mode,
        "split": asked.split,
        "n": len(samples),
        "stderr": _percent(head.stderr),
        "micro": _percent(micro.value),
        "macro": _percent(macro.value),
    }
    if planned.limited:
        out |= {"limit": len(samples), "of": sum(sizes.values()), "limit_stderr": _percent(head.limit_stderr)}
    readings = [name for name in READINGS if any(name in (one.verdicts or {}) for one in samples)]
    if readings:
        out["readings"] = {name: _percent(_weighted(groups, sizes, name)) for name in readings}
    if asked.format == "cf":
        out["bits_per_byte"] = bits_per_byte(samples)
    if task.code:
        out["pass_at"] = {str(k): _percent(value) for k, value in passes(samples, drawn).items()}
    if asked.format == "generate" and not task.code:
        out["nothing_extracted"] = sum(all(one is None for one in s.extracted) for s in samples)
    short = [one.dropped_shots for one in samples if one.dropped_shots]
    out["dropped_shots"] = {"items": len(short), "shots": sum(short)}
    out["subjects"] = {
        subject: {"value": _percent(fmean(one.correct for one in group)), "n": len(group), "of": sizes[subject]}
        for subject, group in sorted(groups.items())
    }
    return out


def mean(groups: Mapping[str, Sequence[float]], sizes: Mapping[str, int], *, by_subject: bool = False) -> Mean:
    """Return a mean over subjects' verdicts.

    Args:
        groups: The verdicts, 0 to 1, of each subject.
        sizes: How many items each subject has, answered or not.
        by_subject: Whether each subject counts the same, else by its size.
    """
    total = sum(sizes[subject] for subject in groups)
    everyone = [value for values in groups.values() for value in values]
    spread = _variance(everyone, 0.0)
    alike = spread == 0 and len(everyone) < total
    if alike:  # a few items that all went one way do not mean that all would: one more of each (Laplace)
        likely = (sum(everyone) + 1) / (len(everyone) + 2)
        spread = likely * (1 - likely)
    found = error = part = 0.0
    for subject, values in groups.items():
        weight = 1 / len(groups) if by_subject else sizes[subject] / total
        found += weight * fmean(values)
        variance = weight**2 * (spread if alike else _variance(values, spread)) / len(values)
        error += variance
        part += variance * (1 - len(values) / sizes[subject])
    if not by_subject and all(len(values) == sizes[subject] for subject, values in groups.items()):
        error = spread / len(everyone)  # all items: the plain error of a mean, as lm-eval gives it
    return Mean(found, math.sqrt(error), math.sqrt(part))


def _variance(values: Sequence[float], otherwise: float) -> float:
    """Return the variance of a sample; of one value alone, ``otherwise``."""
    if len(values) < 2:
        return otherwise
    middle = fmean(values)
    return sum((value - middle) ** 2 for value in values) / (len(values) - 1)


def _weighted(groups: Mapping[str, Sequence[Sample]], sizes: Mapping[str, int], name: str) -> float:
    values = {s: [float((one.verdicts or {}).get(name, 0.0)) for one in group] for s, group in groups.items()}
    return mean(values, sizes).value


def bits_per_byte(samples: Sequence[Sample]) -> float | None:
    """Return the bits a byte of the right answers' texts."""
    known = [one.verdicts for one in samples if one.verdicts and "gold_bits" in one.verdicts]
    size = sum(one["gold_bytes"] for one in known)
    return round(sum(one["gold_bits"] for one in known) / size, 4) if size else None


def passes(samples: Sequence[Sample], drawn: int) -> dict[int, float]:
    """Return pass@k, the mean of the unbiased estimator over items, for each k that the number of programs allows."""
    from eval.passk import pass_at_k

    counts = [int((one.verdicts or {}).get("passed", 0)) for one in samples]
    return {k: fmean(pass_at_k(drawn, count, k) for count in counts) for k in KS if k <= drawn}


def submission(samples: Sequence[Sample]) -> dict[str, dict[str, str]]:
    """Return C-Eval's submission: by subject, each item's number and the letter chosen."""
    out: dict[str, dict[str, str]] = defaultdict(dict)
    for sample in samples:
        out[sample.subject][sample.key.rpartition("/")[2]] = sample.extracted[0] or ""
    return dict(out)


def _percent(share: float) -> float:
    return round(100 * share, 3)
