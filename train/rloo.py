"""Stage rloo: REINFORCE with the mean of the other answers to a prompt as baseline (Ahmadian et al., arXiv 2402.14740).

PPO's loop without a value head: the whole answer is one action, and the penalty for leaving the reference is in its
score. On a batch the loss is TRL's RLOOTrainer's, to 1e-6 (why not on that class: ``train.grpo``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.grpo import GrpoSettings, run
from workbench.config import setting

__all__ = ["RlooSettings", "run"]  # the loop is PPO's


@dataclass(frozen=True)
class RlooSettings(GrpoSettings):
    """Everything about an RLOO run."""

    out: Path = setting(Path("data/runs/rloo"), "the run's folder")
    estimator: Literal["gae", "grpo", "rloo"] = setting("rloo", "of advantages")
