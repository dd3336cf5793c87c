"""Loss spikes: seen at the step that has one, before it is taken, and answered by a policy.

The detector watches the logarithm of loss and gradient norm. Over the last ``window`` accepted steps it lays a robust
line (Theil and Sen: the median of all pairwise slopes), so that a falling curve does not hide a spike, as it does
from a rolling median; the line is read at the last step, not beyond it, since a convex curve falls ever more slowly
and an extrapolation would cry wolf. A step is a spike if it stands more than ``deviations`` robust deviations *and* by
a factor over that line: noise has heavy tails, and a rise of a few per cent is no event, however improbable.

What is done (OLMo skips single steps; PaLM goes back some hundred steps and leaves out the batches around the spike):
``skip`` does not take the step; ``rollback`` goes back to the last complete checkpoint and leaves out that batch and
those before it; ``lower`` takes it, and the next ones, at a lower rate. Each event is in ``metrics.jsonl`` with the
documents of the batch. Cost: 60 µs a step.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.config import at_least, between, setting
from workbench.errors import GateFailed

NORMAL = 1.4826  # times the median absolute deviation is the standard deviation of a normal distribution
LEAST_LOSS_DEVIATION = 0.02  # of the logarithm: a smoother curve is not taken at its word
LEAST_NORM_DEVIATION = 0.15
NOT_TAKEN = "the step is not taken"
Span = tuple[int, int]  # samples of the order of the data, from and up to


@dataclass(frozen=True)
class SpikeSettings:
    """When a step is a spike, and what is done about it."""

    action: Literal["skip", "rollback", "lower"] | None = setting("skip", "what is done; none: nothing is watched")
    window: int = setting(12, "accepted steps that the trend is laid over", check=at_least(6))
    deviations: float = setting(6.0, "robust deviations over the trend", check=at_least(1))
    loss_factor: float = setting(1.2, "and at least so many times the trend of the loss", check=at_least(1))
    norm_factor: float = setting(10.0, "or so many times that of the gradient norm", check=at_least(1))
    in_a_row: int = setting(
        5, "spikes one after another; then the level is taken for the new normal", check=at_least(1)
    )
    skip_before: int = setting(
        2, "rollback: steps before the spike whose batches are left out with it", check=at_least(0)
    )
    rollbacks: int = setting(10, "rollback: times in one process; after them steps are skipped", check=at_least(0))
    lower_to: float = setting(0.5, "lower: the rate's factor", check=between(0, 1))
    lower_steps: int = setting(50, "lower: for so many steps", check=at_least(1))


def over_trend(history: Sequence[float], value: float, least: float) -> tuple[float, float]:
    """Return how far a value stands over the trend of those before it.

    Args:
        history: Earlier values, at least three.
        value: The new one.
        least: A deviation that is not undercut.

    Returns:
        The trend at the last earlier value, and the distance from it in robust deviations.
    """
    y = np.asarray(history)
    x = np.arange(len(y))
    first, second = np.triu_indices(len(y), 1)
    slope = float(np.median((y[second] - y[first]) / (second - first)))
    level = float(np.median(y - slope * x))
    rest = y - (level + slope * x)
    # half the standard deviation beside it: the median of a dozen residuals is small by chance now and then
    deviation = max(NORMAL * float(np.median(np.abs(rest))), 0.5 * float(rest.std()), least)
    trend = level + slope * (len(y) - 1)
    return trend, (value - trend) / deviation


class NotFinite(GateFailed):
    """The loss or a gradient became NaN or infinite: nothing after that step would mean anything."""


class Watch:
    """The detector's memory and what the policy decided: all of it goes into the checkpoint."""

    def __init__(self, settings: SpikeSettings) -> None:
        """Begin with an empty memory; nothing is judged until it is full."""
        self.settings, self.in_a_row = settings, 0
        self.loss, self.norm = (deque[float](maxlen=settings.window) for _ in range(2))
        self.skipped: list[Span] = []  # left out by rollbacks
        self.lowered: list[Span] = []  # steps at a lower rate

    def judge(self, loss: float, norm: float) -> tuple[Literal["loss", "grad_norm"], float, float, float] | None:
        """Say whether a step is a spike; one that is not joins the memory.

        Args:
            loss: The step's, nats a token.
            norm: Its gradient's, before clipping; one that is not finite (fp16's loss scaling) is passed over.

        Returns:
            Cause, value, expected value and deviations, or None.
        """
        if self.settings.action is None:
            return None
        pairs = (
            ("loss", loss, self.loss, LEAST_LOSS_DEVIATION, self.settings.loss_factor),
            ("grad_norm", norm, self.norm, LEAST_NORM_DEVIATION, self.settings.norm_factor),
        )
        logs = {}
        for cause, value, history, least, factor in pairs:
            if not math.isfinite(value) or value <= 0:
                continue
            logs[cause] = math.log(value)
            if len(history) < self.settings.window:
                continue
            trend, deviations = over_trend(history, logs[cause], least)
            if deviations > self.settings.deviations and logs[cause] - trend >= math.log(factor):
                self.in_a_row += 1
                if self.in_a_row > self.settings.in_a_row:
                    self.loss.clear()
                    self.norm.clear()
                    break
                return ("loss" if cause == "loss" else "grad_norm"), value, math.exp(trend), deviations
        self.in_a_row = 0
        self.loss.extend([logs["loss"]] if "loss" in logs else [])
        self.norm.extend([logs["grad_norm"]] if "grad_norm" in logs else [])
        return None

    def rate_factor(self, step: int) -> float:
        """Return what the rate of a step (from 0) is multiplied with."""
        times = sum(low <= step < high for low, high in self.lowered)
        return float(self.settings.lower_to**times)

    def told(self, action: str, target: str) -> str:
        """Return what is said of an action: skip, lower, or rollback to a target."""
        if action == "lower":
            return f"the rate is x {self.settings.lower_to} for {self.settings.lower_steps} steps"
        return NOT_TAKEN if action == "skip" else f"back to {target}, its batch is left out"

    def lower(self, step: int) -> float:
        """Lower the rate from the step that is being taken on; returns the factor of that step's own."""
        self.lowered.append((step, step + self.settings.lower_steps))
        return self.settings.lower_to

    def leave_out(self, samples: Span) -> None:
        """Leave out a step's samples and those of the steps before it."""
        size = samples[1] - samples[0]
        low = max(0, samples[0] - self.settings.skip_before * size)
        self.skipped = sorted([*self.skipped, (low, samples[1])])

    def state(self) -> dict[str, Any]:
        """Return the memory for a checkpoint."""
        return {
            "loss": list(self.loss),
            "norm": list(self.norm),
            "in_a_row": self.in_a_row,
            "skipped": [list(span) for span in self.skipped],
            "lowered": [list(span) for span in self.lowered],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take a checkpoint's memory; what this process has left out since then stays left out."""
        for memory, kept in ((self.loss, state["loss"]), (self.norm, state["norm"])):
            memory.clear()
            memory.extend(kept)
        self.in_a_row = int(state["in_a_row"])
        known = {(int(low), int(high)) for low, high in state["skipped"]}
        self.skipped = sorted(known | set(self.skipped))
        self.lowered = [(int(low), int(high)) for low, high in state["lowered"]]


def next_sample(k: int, skipped: Sequence[Span]) -> int:
    """Return the first sample from k on that is not left out; the spans are sorted."""
    for low, high in skipped:
        if low <= k < high:
            k = high
    return k
