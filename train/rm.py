"""Stage rm: a reward model, a language model whose head gives one number at the last id of a dialogue.

The loss is Bradley and Terry's on pairs, with a margin where the data give one (Touvron et al., 2023, section 3.2.2),
and a term that keeps rewards near zero (Eisenstein et al., 2023): only their differences are learnt otherwise.

    -log sigmoid(r_chosen - r_rejected - margin_scale * margin) + centre * (r_chosen + r_rejected)^2

It is TRL's RewardTrainer's, to the last bit on the same batch; decision 0006 says why it does not run on that class.
``reward-report.json`` judges the held-out pairs (``eval.reward``). Cost: a forward and backward pass of both answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.device import Machine
from train.instruct import PairSettings, make_job, open_model, run_on_rows, use_loss
from train.job import Job
from workbench.config import at_least, setting
from workbench.files import write_json
from workbench.runs.curves import PAIR_PANELS

if TYPE_CHECKING:
    import torch

    from eval.reward import Judged
    from tokenizer.dialogues import Material

REPORT = "reward-report.json"


@dataclass(frozen=True, kw_only=True)
class RmSettings(PairSettings):
    """Everything about a run that trains a reward model."""

    out: Path = setting(Path("data/runs/rm"), "the run's folder")
    centre: float = setting(0.01, "weight of (r_chosen + r_rejected)^2; 0: rewards may drift", check=at_least(0))
    margin_scale: float = setting(1.0, "times the data's margin, where they give one; 0: ignored", check=at_least(0))


def run(stage: str, settings: RmSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""
    return run_on_rows(stage, settings, partial(_prepare, settings), overwrite=overwrite)


def pair_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor, centre: float
) -> dict[str, torch.Tensor]:
    """Return the loss of pairs, and for the metrics how many are in order and by how much; tensors are (pairs,)."""
    from torch.nn.functional import logsigmoid

    apart = chosen - rejected
    loss = -logsigmoid(apart - margin).mean() + centre * ((chosen + rejected) ** 2).mean()
    return {"loss": loss, "pair_accuracy": (apart > 0).float().mean(), "reward_margin": apart.mean()}


def _prepare(settings: RmSettings, material: Material, machine: Machine) -> Job:
    from eval.bits import choose
    from eval.models import scoring
    from eval.pairs import batch, mean_length
    from eval.reward import accuracy, judge, report, rewards

    model, rows, parts = open_model(settings, machine, reward=True)
    samples, held = (material.pairs(part) for part in (material.train, material.held_out))
    ends = {int(answer[-1]) for pair in samples for answer in (pair.chosen, pair.rejected)}
    model.config.pad_token_id = min({0, 1, 2} - ends, default=0)  # those who batch with transformers find the last id

    def loss(input_ids: torch.Tensor, prompts: torch.Tensor, lengths: torch.Tensor, label: torch.Tensor) -> Any:
        chosen, rejected = rewards(model, input_ids, lengths).chunk(2)
        return pair_loss(chosen, rejected, settings.margin_scale * label, settings.centre)

    judged: list[Judged] = []

    def score() -> dict[str, float]:
        chosen = [held[n] for n in choose(len(held), settings.eval.sequences).tolist()]
        with scoring(model, machine.device, machine.autocast):
            judged[:] = judge(model, chosen, settings.eval.batch)
        return {"accuracy": accuracy(judged)} if judged else {}

    def results() -> dict[str, Any]:
        found = report(judged)
        write_json(settings.out / REPORT, found)
        kept = {"reward_report": str(settings.out / REPORT), "pad_token_id": model.config.pad_token_id}
        return {**kept, "told": found["told"]}

    return make_job(
        settings,
        material,
        samples,
        lambda pair: [pair.row.id],
        results,
        collate=lambda numbers: batch([samples[n] for n in numbers], rows),
        seq_len=mean_length(samples),
        score=score,
        figures=use_loss(model, loss),
        panels=PAIR_PANELS,
        **parts,
    )
