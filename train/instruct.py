"""What the stages on instruction and preference data share: their settings, their data, and the loss put on a model.

They go on from the weights of the stage before, with the tokenizer that lies beside those. What the readers and the
window leave out is told, and kept in the run's results.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from eval import parallel
from eval.device import Machine
from train.data import Order, accumulation
from train.job import Job, RunSettings
from train.lora import place
from train.spikes import SpikeSettings
from train.stage import check_run, finished, run_stage, tuned
from workbench import manifest
from workbench.config import at_least, between, section, setting
from workbench.errors import InputError
from workbench.files import sha256_file

if TYPE_CHECKING:
    from tokenizer.dialogues import Material

Part = TypeVar("Part")
TemplateName = Literal["own", "ziya", "llama2", "chatml", "qwen", "alpaca", "vicuna"]


@dataclass(frozen=True)
class StartSettings:
    """What is trained further."""

    weights: Path = setting(doc="the run of the stage before, or a model folder (safetensors)")


@dataclass(frozen=True, kw_only=True)
class InstructSettings(RunSettings):
    """What the stages on instruction and preference data can be told."""

    data: tuple[str, ...] = setting(doc="files or folders, each perhaps with @WEIGHT: a.jsonl,b.json@2")
    tokenizer: Path | None = setting(None, "a tokenizer folder; none: the one beside the weights")
    template: TemplateName = setting("own", "chat template; own: the tokenizer's")
    window: int = setting(512, "most ids of a dialogue, or of a prompt with its answer", check=at_least(8))
    held_out: float = setting(0.05, "share of the questions that is scored, not trained on", check=between(0, 0.9))
    min_jaccard: float | None = setting(0.8, "rows as similar as this are one; none: all stay", check=between(0, 1))
    benchmarks: Path | None = setting(None, "a folder of benchmarks whose items are not trained on")
    epochs: float = setting(1.0, "passes over the data, where steps=none", check=at_least(0.001))
    steps: int | None = setting(None, "optimizer steps; none: as many as epochs are", check=at_least(1))
    batch: int = setting(16, "samples a step on all devices: packed sequences (sft) or pairs", check=at_least(1))
    micro_batch: int = setting(4, "samples a device at once", check=at_least(1))
    model: StartSettings = section(StartSettings)


@dataclass(frozen=True)
class PairSpikes(SpikeSettings):
    """A hard pair is no spike: the loss of pairs goes to nothing, and its logarithm jumps. NaN still ends the run."""

    action: Literal["skip", "rollback", "lower"] | None = setting(None, "what is done; none: nothing is watched")


@dataclass(frozen=True, kw_only=True)
class PairSettings(InstructSettings):
    """What the stages on preference pairs can be told."""

    spikes: PairSpikes = section(PairSpikes)


def run_on_rows(
    stage: str, settings: InstructSettings, prepare: Callable[[Material, Machine], Job], *, overwrite: bool
) -> dict[str, Any]:
    """Read the rows and run a stage on them; see ``train.stage.run_stage``.

    Raises:
        UserError: If weights, tokenizer, rows or settings are not what they should be.
    """
    from eval.models import model_folder, weights_inputs
    from tokenizer.dialogues import files_of, read_material

    check_run(stage, settings, settings.model.weights)
    _micro_steps(settings)
    beside = model_folder(settings.model.weights)
    tokenizer = settings.tokenizer or beside
    ours, theirs = tokenizer / "tokenizer.json", beside / "tokenizer.json"
    if ours.is_file() and theirs.is_file() and sha256_file(ours) != sha256_file(theirs):
        found = f"is another tokenizer than the one of the weights ({theirs})"
        raise InputError(ours, found, "leave tokenizer= out, or extend the model to it: tokenizer embed")
    inputs = [manifest.describe_file(path) for path in files_of(settings.data)]
    inputs += [manifest.describe_file(ours)] if settings.tokenizer and ours.is_file() else []
    inputs += weights_inputs(settings.model.weights)
    if (done := finished(settings, inputs)) is not None:
        return done  # before the rows are read
    rows = read_material(
        settings.data,
        stage,
        tokenizer=tokenizer,
        template=settings.template,
        window=settings.window,
        held_out=settings.held_out,
        min_jaccard=settings.min_jaccard,
        benchmarks=settings.benchmarks,
    )
    return run_stage(stage, settings, inputs, lambda machine: prepare(rows, machine), overwrite=overwrite)


def _micro_steps(settings: InstructSettings) -> int:
    return accumulation("batch", settings.batch, {"samples": settings.micro_batch, "devices": parallel.world()})


def open_model(
    settings: InstructSettings, machine: Machine, *, reward: bool = False
) -> tuple[Any, int, dict[str, Any]]:
    """Return the model on its device, the rows of its embedding, and its parts of a job: model, shape, adapter."""
    from train.model import open_weights

    model = open_weights(settings.model.weights, settings.window, settings.seed, reward=reward)
    model = place(model, settings.tune, machine.precision, machine.home)
    rows = model.get_input_embeddings().num_embeddings
    task = "SEQ_CLS" if reward else "CAUSAL_LM"
    shape, adapter = tuned(settings, model, rows, settings.model.weights, task=task)
    return model, rows, {"model": model, "shape": shape, "adapter": adapter, "vocabulary": rows}


def make_job(
    settings: InstructSettings,
    rows: Material,
    samples: Sequence[Part],
    name_of: Callable[[Part], list[str]],
    results: Callable[[], dict[str, Any]],
    **parts: Any,
) -> Job:
    """Complete a job from the settings that these stages share; ``name_of`` gives the ids of the rows in a sample.

    Raises:
        InputError: If the data do not fill one batch.
    """
    from eval.models import model_folder

    if parallel.first():
        rows.tell()
    if len(samples) < settings.batch:
        found = f"{len(samples):,} samples do not fill one batch of {settings.batch:,}"
        raise InputError(", ".join(settings.data), found, "give a smaller batch=, or more data")
    steps = settings.steps or max(1, math.ceil(settings.epochs * len(samples) / settings.batch))
    passes = steps * settings.batch / len(samples)
    used = f"{passes:.2f} passes over {len(samples):,} samples"
    about = {"samples": len(samples), "passes": passes, **rows.about(used)}
    lines = about.pop("told")

    def all_results(before: dict[str, float]) -> dict[str, Any]:
        own = results()
        return {**about, **own, "told": [*lines, *own.get("told", [])]}

    return Job(
        tokenizer=settings.tokenizer or model_folder(settings.model.weights),
        samples=len(samples),
        order=Order(len(samples), settings.seed),
        steps=steps,
        micro_batch=settings.micro_batch,
        accumulation=_micro_steps(settings),
        results=all_results,
        documents=lambda number: name_of(samples[number]),
        chat_template=getattr(rows.template, "jinja", None),
        **parts,
    )


def use_loss(model: Any, loss: Callable[..., Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Make the model's forward, given a batch, return a stage's loss; returns where all else that it finds is kept."""
    figures: dict[str, list[Any]] = {}

    def forward(self: Any, **batch: Any) -> dict[str, Any]:
        found = loss(**batch)
        for name, value in found.items():
            if name != "loss":
                figures.setdefault(name, []).append(value.detach().float())
        return {"loss": found["loss"]}

    model.forward = types.MethodType(forward, model)
    return figures
