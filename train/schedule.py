"""The learning rate as a function of the step: warm-up, then cosine, WSD, linear or constant. Pure arithmetic.

WSD (warm-up, stable, decay; MiniCPM, 2024, section 4) holds the peak and decays in the last share of the steps, so that
a run can be prolonged from its stable part; its decay here is linear. Steps count from 0; step 0 has a rate above 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workbench.config import at_least, between, setting

Name = Literal["cosine", "wsd", "linear", "constant"]


@dataclass(frozen=True)
class OptimSettings:
    """AdamW and its schedule."""

    lr: float = setting(3e-4, "peak learning rate", check=at_least(0))
    schedule: Name = setting("cosine", "after the warm-up: cosine | wsd | linear | constant")
    warmup: int = setting(100, "steps of linear warm-up", check=at_least(0))
    min_lr_share: float = setting(0.1, "the last step's rate as a share of the peak", check=between(0, 1))
    decay_share: float = setting(0.2, "wsd: share of all steps that decay, at the end", check=between(0, 1))
    weight_decay: float = setting(0.1, "AdamW weight decay, not on norms and biases", check=at_least(0))
    beta1: float = setting(0.9, "AdamW beta1", check=between(0, 1))
    beta2: float = setting(0.95, "AdamW beta2", check=between(0, 1))
    epsilon: float = setting(1e-8, "AdamW epsilon", check=at_least(0))
    grad_clip: float | None = setting(1.0, "largest gradient norm; none: no clipping", check=at_least(0))


def share_of_peak(step: int, steps: int, settings: OptimSettings) -> float:
    """Return the rate of a step (from 0) of so many as a share of the peak."""
    warmup = min(settings.warmup, steps)
    if step < warmup:
        return (step + 1) / warmup
    left = steps - warmup
    done = min(1.0, (step - warmup + 1) / left) if left > 0 else 1.0
    low = settings.min_lr_share
    if settings.schedule == "cosine":
        return low + (1 - low) * (1 + math.cos(math.pi * done)) / 2
    stable = {"linear": 0.0, "wsd": 1 - settings.decay_share, "constant": 1.0}[settings.schedule]
    return 1.0 if done <= stable else 1 - (1 - low) * (done - stable) / (1 - stable)
