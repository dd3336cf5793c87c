"""Stage grpo: PPO's loop without a value head; an answer is judged by the others to its prompt (arXiv 2402.03300).

Advantages are in standard deviations of the group, the penalty for leaving the reference is in the loss, and the loss
is a mean over tokens. On a batch the loss is TRL's GRPOTrainer's (``loss_type="bnpo"``), to 1e-6; it is not run on
that class, whose sampler and buffer of generations leave no place for the cursor, nor for draws of their own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.ppo import KlSettings, PpoSettings, run
from workbench.config import at_least, section, setting

__all__ = ["GrpoSettings", "run"]  # the loop is PPO's


@dataclass(frozen=True)
class GroupKlSettings(KlSettings):
    """A penalty that stays."""

    coefficient: float = setting(0.04, "beta: reward that a nat costs", check=at_least(0))
    target: float | None = setting(None, "nats an answer that beta is steered to; none: beta stays")


@dataclass(frozen=True)
class GrpoSettings(PpoSettings):
    """Everything about a GRPO run."""

    out: Path = setting(Path("data/runs/grpo"), "the run's folder")
    estimator: Literal["gae", "grpo", "rloo"] = setting("grpo", "of advantages")
    prompts: int = setting(8, "prompts a step, on all devices together", check=at_least(1))
    rollouts: int = setting(8, "answers to each prompt", check=at_least(2))
    epochs: int = setting(1, "passes over a step's answers", check=at_least(1))
    value_coefficient: float = setting(0.0, "weight of the value loss: there is none", check=at_least(0))
    whiten_advantages: bool = setting(False, "scale the batch's advantages too")
    kl: KlSettings = section(GroupKlSettings)
