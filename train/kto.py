"""Stage kto: a policy learns from answers rated good or bad on their own (Ethayarajh et al., 2024, equation 7).

With r = log p(answer) of the policy less the same of the reference, and z an estimate of the policy's divergence from
it, both in nats an answer,

    good:  good_weight * (1 - sigmoid(beta (r - z)))        bad:  bad_weight * (1 - sigmoid(beta (z - r)))

z is the mean of r over answers laid beside prompts that they do not belong to (the next row's), over the micro-batch on
all devices, not below zero and without gradient; a micro-batch should hold several rows. The reference is as in dpo.
The formula is TRL's too. Scored by how often a held-out good answer has a higher r than a bad one. Cost: as dpo.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval import parallel
from train.dpo import Ratios, ReferenceSettings, train_near
from workbench.config import at_least, setting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class KtoSettings(ReferenceSettings):
    """Everything about a run on rated answers."""

    out: Path = setting(Path("data/runs/kto"), "the run's folder")
    good_weight: float = setting(1.0, "of good answers; weigh up the rarer kind", check=at_least(0))
    bad_weight: float = setting(1.0, "of bad answers", check=at_least(0))


def run(stage: str, settings: KtoSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""

    def loss(own: torch.Tensor, other: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        return rated_loss(own, other, label, settings)

    def score(ratios: Ratios) -> dict[str, float]:
        good, bad = ([own for pair, own, _ in ratios if pair.label == sign] for sign in (1, -1))
        if not good or not bad:
            return {}
        better = sum((g > b) + (g == b) / 2 for g in good for b in bad) / (len(good) * len(bad))
        return {"accuracy": better, "margin": settings.beta * (sum(good) / len(good) - sum(bad) / len(bad))}

    return train_near(stage, settings, loss, score, overwrite=overwrite)


def rated_loss(
    own: torch.Tensor, other: torch.Tensor, label: torch.Tensor, settings: KtoSettings
) -> dict[str, torch.Tensor]:
    """Return the loss of rated answers, and what is logged.

    Log-ratios of the answers are ``own``, of answers to other prompts ``other``; labels are 1 for good and -1 for bad;
    each is of shape (rows,).
    """
    z = max(0.0, parallel.mean([float(other.detach().mean())])[0])
    weight = (label > 0) * settings.good_weight + (label < 0) * settings.bad_weight
    away = label * (own - z)
    return {
        "loss": (weight * (1 - (settings.beta * away).sigmoid())).mean(),
        "pair_accuracy": (away > 0).float().mean(),
        "reward_margin": settings.beta * (label * own).mean(),
        "kl": own.new_tensor(z),
    }
