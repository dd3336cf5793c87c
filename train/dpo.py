"""Stage dpo: direct preference optimisation. A policy learns from pairs, held near a reference: itself at the start.

With h = log p(chosen) - log p(rejected) of the policy less the same of the reference, answers as sums over their ids:

    sigmoid   -log sigmoid(beta h)          Rafailov et al., 2023, equation 7
    ipo       (h - 1 / (2 beta))^2          Azar et al., 2023, equation 17; per_token=true takes means over ids, as TRL
    hinge     max(0, 1 - beta h)            Zhao et al., 2023 (SLiC), on the same ratio

Label smoothing e is the belief that a label is wrong: (1 - e) L(h) + e L(-h). The reference needs no second model:
under LoRA it is the policy with its adapter switched off; else its log-probabilities are computed once, for the
pairs that this run will see, into ``reference.npy``. Cost: a forward and backward pass of both answers, and the
reference's forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eval import parallel
from eval.device import Machine
from train.instruct import PairSettings, make_job, open_model, run_on_rows, use_loss
from train.job import Job
from workbench.config import at_least, between, setting
from workbench.console import progress
from workbench.errors import ConfigError
from workbench.files import atomic_path
from workbench.runs.curves import PAIR_PANELS

if TYPE_CHECKING:
    import torch

    from tokenizer.dialogues import Material, Pair

REFERENCE = "reference.npy"
Ratios = Sequence[tuple["Pair", float, float]]  # pairs, with the log-ratios of both answers


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(PairSettings):
    """What the stages that hold a policy near a reference can be told."""

    beta: float = setting(0.1, "how strongly the reference holds", check=at_least(1e-6))
    per_token: bool = setting(False, "log-ratios as means over an answer's ids instead of sums")
    reference: Literal["auto", "adapter", "precomputed"] = setting(
        "auto", "adapter: switched off each step (LoRA); precomputed: once before; auto: adapter where there is one"
    )


@dataclass(frozen=True, kw_only=True)
class DpoSettings(ReferenceSettings):
    """Everything about a run of direct preference optimisation."""

    out: Path = setting(Path("data/runs/dpo"), "the run's folder")
    loss: Literal["sigmoid", "ipo", "hinge"] = setting("sigmoid", "of the log-ratio")
    label_smoothing: float = setting(0.0, "share of labels believed to be wrong", check=between(0, 0.5))


def run(stage: str, settings: DpoSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        ratio = chosen - rejected
        return {
            "loss": preference_loss(ratio, settings.beta, settings.loss, settings.label_smoothing).mean(),
            "pair_accuracy": ((ratio > 0).float() + (ratio >= 0).float()).mean() / 2,  # a tie counts half
            "reward_margin": settings.beta * ratio.mean(),
            "reward_chosen": settings.beta * chosen.mean(),
            "reward_rejected": settings.beta * rejected.mean(),
        }

    def score(ratios: Ratios) -> dict[str, float]:
        apart = [chosen - rejected for _, chosen, rejected in ratios]
        better = sum((h > 0) + (h == 0) / 2 for h in apart) / len(apart)  # before a step all are 0: a coin's throw
        return {"accuracy": better, "margin": settings.beta * sum(apart) / len(apart)}

    return train_near(stage, settings, loss, score, overwrite=overwrite)


def train_near(
    stage: str,
    settings: ReferenceSettings,
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]],
    score: Callable[[Ratios], dict[str, float]],
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Run a stage whose loss is one of log-ratios to a reference.

    ``loss`` takes those of chosen and rejected answers and the labels, each of shape (pairs,); ``score`` all held-out
    pairs with their ratios.
    """
    if settings.reference == "adapter" and settings.tune == "full":
        raise ConfigError("reference", "adapter, but tune=full has none", "use reference=precomputed")
    prepare = partial(_prepare, settings, loss, score)
    return run_on_rows(stage, settings, prepare, overwrite=overwrite)


def preference_loss(ratio: torch.Tensor, beta: float, kind: str, smoothing: float = 0.0) -> torch.Tensor:
    """Return the loss of each pair, shape (pairs,); ``ratio`` is h of the module's docstring, of the same shape."""
    from torch.nn.functional import logsigmoid

    def one(h: torch.Tensor) -> torch.Tensor:
        if kind == "sigmoid":
            return -logsigmoid(beta * h)
        return (1 - beta * h).relu() if kind == "hinge" else (h - 1 / (2 * beta)) ** 2

    return (1 - smoothing) * one(ratio) + smoothing * one(-ratio)


def _prepare(
    settings: ReferenceSettings,
    loss_of: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]],
    score_of: Callable[[Ratios], dict[str, float]],
    material: Material,
    machine: Machine,
) -> Job:
    import numpy as np
    import torch

    from eval.bits import choose
    from eval.models import scoring
    from eval.pairs import answer_log_probs, batch, mean_length

    model, rows, parts = open_model(settings, machine)
    adapter, size = parts["adapter"], settings.eval.batch
    switched = adapter is not None and settings.reference != "precomputed"
    samples, held = (material.compared(part) for part in (material.train, material.held_out))
    held = [held[n] for n in choose(len(held), settings.eval.sequences).tolist()]
    every, known = [*samples, *held], np.zeros((len(samples) + len(held), 2), np.float32)

    def put_together(numbers: Sequence[int]) -> dict[str, torch.Tensor]:
        out = batch([every[n] for n in numbers], rows)
        return out if switched else out | {"reference": torch.from_numpy(known[list(numbers)].T.reshape(-1))}

    def policy(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        on = {key: inputs[key].to(machine.device) for key in ("input_ids", "prompts", "lengths")}
        return answer_log_probs(model, **on, per_token=settings.per_token)

    def reference(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if not switched and "reference" in inputs:
            return inputs["reference"].to(machine.device)
        was_training = model.training
        model.eval()  # no dropout in the reference
        with torch.no_grad(), adapter.disable_adapter() if adapter is not None else nullcontext():
            found = policy(inputs)
        model.train(was_training)
        return found

    def log_ratios(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        known = reference(inputs)
        chosen, rejected = (policy(inputs) - known).chunk(2)
        return chosen, rejected

    def loss(**inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return loss_of(*log_ratios(inputs), inputs["label"])

    def score() -> dict[str, float]:
        ratios: list[tuple[Pair, float, float]] = []
        with scoring(model, machine.device, machine.autocast):
            for low in range(len(samples), len(every), size):
                numbers = range(low, min(low + size, len(every)))
                found = (side.tolist() for side in log_ratios(put_together(numbers)))
                ratios += zip([every[n] for n in numbers], *found, strict=True)
        return score_of(ratios) if ratios else {}

    def precompute() -> None:
        if (settings.out / REFERENCE).is_file():
            return
        wanted = job.steps * settings.batch
        seen = range(len(samples)) if wanted >= len(samples) else sorted(job.order[k] for k in range(wanted))
        numbers, found = [*seen, *range(len(samples), len(every))], np.full_like(known, np.nan)
        with scoring(model, machine.device, machine.autocast), progress("reference", len(numbers), "pairs") as bar:
            for low in range(0, len(numbers), size):
                part = numbers[low : low + size]
                found[part] = reference(batch([every[n] for n in part], rows)).reshape(2, -1).T.float().cpu().numpy()
                bar.advance(len(part))
        with atomic_path(settings.out / REFERENCE) as temporary, temporary.open("wb") as file:
            np.save(file, found)

    job = make_job(
        settings,
        material,
        samples,
        lambda pair: [pair.row.id],
        lambda: {"reference": "adapter switched off" if switched else "precomputed"},
        collate=put_together,
        seq_len=mean_length(samples),
        score=score,
        figures=use_loss(model, loss),
        panels=PAIR_PANELS,
        **parts,
    )
    if not switched:
        parallel.by_first(precompute)
        known[:] = np.load(settings.out / REFERENCE)
    return job
