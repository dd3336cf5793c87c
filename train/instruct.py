"""What the stages on instruction and preference data share: their settings, their data, and the loss put on a model.

They go on from the weights of the stage before, with the tokenizer that lies beside those. What the readers and the
window leave out is told line by line or counted, and kept in the run's results. Cost: a hash and an encoding a row.
"""

from __future__ import annotations

import math
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from corpus.instructions.mix import Mix, parse_set, read_mix
from train import parallel
from train.data import Order, accumulation
from train.stage import Job, RunSettings, check_run, weights_inputs
from workbench import manifest
from workbench.config import at_least, between, section, setting
from workbench.console import note
from workbench.errors import ConfigError, InputError
from workbench.files import sha256_file

if TYPE_CHECKING:
    from tokenizer.dialogues import Encode

SHOWN = 3  # faulty rows told one by one; the run's results count them all
Part = TypeVar("Part")
Template = Literal["own", "ziya", "llama2", "chatml", "qwen", "alpaca", "vicuna"]


@dataclass(frozen=True)
class StartSettings:
    """What is trained further."""

    weights: Path = setting(doc="the run of the stage before, or a model folder (safetensors)")


@dataclass(frozen=True, kw_only=True)
class InstructSettings(RunSettings):
    """What the stages on instruction and preference data can be told."""

    data: tuple[str, ...] = setting(doc="files or folders, each perhaps with @WEIGHT: a.jsonl,b.json@2")
    tokenizer: Path | None = setting(None, "a tokenizer folder; none: the one beside the weights")
    template: Template = setting("own", "chat template; own: the tokenizer's")
    window: int = setting(512, "most ids of a dialogue or of a prompt with its answer", check=at_least(8))
    held_out: float = setting(0.05, "share of the rows that is scored and not trained on", check=between(0, 0.9))
    epochs: float = setting(1.0, "passes over the data, where steps=none", check=at_least(0.001))
    steps: int | None = setting(None, "optimizer steps; none: as many as epochs are", check=at_least(1))
    batch: int = setting(16, "samples a step on all devices: packed sequences (sft) or pairs", check=at_least(1))
    micro_batch: int = setting(4, "samples a device at once", check=at_least(1))
    model: StartSettings = section(StartSettings)

    @property
    def weights(self) -> Path:
        """Where the model comes from."""
        return self.model.weights


@dataclass
class Data:
    """The rows of a run, and what became of those that it does not use."""

    mix: Mix
    tokenizer: Path
    encode: Encode
    left_out: Counter[str] = field(default_factory=Counter)


def open_data(stage: str, settings: InstructSettings) -> tuple[Data, list[dict[str, Any]]]:
    """Check the settings and read the rows.

    Returns:
        The data, and the run's inputs for its manifest.

    Raises:
        UserError: If weights, tokenizer or data are not what they should be.
    """
    from eval.models import model_folder
    from tokenizer.chat import encode, open_tokenizer

    check_run(settings)
    beside = model_folder(settings.weights)
    tokenizer = settings.tokenizer or beside
    for name in ("tokenizer.model", "tokenizer.json"):
        ours, theirs = tokenizer / name, beside / name
        if ours.is_file() and theirs.is_file() and sha256_file(ours) != sha256_file(theirs):
            found = f"is another tokenizer than the one of the weights ({theirs})"
            raise InputError(ours, found, "leave tokenizer= out, or extend the model to it: tokenizer embed")
    if not any((tokenizer / name).is_file() for name in ("tokenizer.model", "tokenizer.json")):
        raise InputError(tokenizer, "has no tokenizer", "name its folder with tokenizer=")
    mix = read_mix(settings.data, stage, settings.held_out)
    if parallel.first():
        for faulty in mix.faulty[:SHOWN]:
            note(f"{faulty.place}: {faulty.cause}; not used")
        if len(mix.faulty) > SHOWN:
            note(f"{len(mix.faulty):,} rows are not used; train data check FILE --stage {stage} prints them all")
    files = [
        file for word in settings.data for path in [parse_set(word)[0]] for file in sorted([path, *path.rglob("*")])
    ]
    inputs = [manifest.describe_file(path) for path in files if path.is_file()]
    if settings.tokenizer is not None:
        inputs += [manifest.describe_file(path) for path in sorted(tokenizer.glob("tokenizer.*"))]
    opened = open_tokenizer(tokenizer)
    encoder = partial(_encode, encode, opened, settings.template)
    return Data(mix, tokenizer, encoder), inputs + weights_inputs(settings.weights)


def _encode(encode: Callable[..., Any], tokenizer: Any, template: str, turns: Any, tools: str | None) -> Any:
    return encode(tokenizer, turns, template, tools)


def make_job(
    settings: InstructSettings,
    data: Data,
    samples: Sequence[Part],
    *,
    name_of: Callable[[Part], list[str]],
    results: Callable[[dict[str, float]], dict[str, Any]] = lambda before: {},
    **parts: Any,
) -> Job:
    """Complete a job from the settings that these stages share.

    Args:
        settings: The run's.
        data: Its rows.
        samples: What is trained on.
        name_of: The ids of what is in a sample.
        results: The stage's own.
        parts: The other fields of the job: model, shape, adapter, collate, seq_len, score, …

    Raises:
        InputError: If the data do not fill one batch.
        ConfigError: If the batch cannot be divided.
    """
    if len(samples) < settings.batch:
        found = f"{len(samples):,} samples do not fill one batch of {settings.batch}"
        raise InputError(", ".join(settings.data), found, "give a smaller batch=, or more data")
    world = parallel.world()
    unit = settings.micro_batch * world
    if settings.batch % unit:
        found = f"{settings.batch} is no multiple of {settings.micro_batch} samples x {world} devices"
        raise ConfigError("batch", found, f"give {max(1, round(settings.batch / unit)) * unit}, or another micro_batch")
    steps = settings.steps or max(1, math.ceil(settings.epochs * len(samples) / settings.batch))
    if parallel.first():
        for reason, count in data.left_out.most_common():
            note(f"{count:,} rows: {reason}")

    def all_results(before: dict[str, float]) -> dict[str, Any]:
        passes = steps * settings.batch / len(samples)
        about: dict[str, Any] = {"samples": len(samples), "passes": passes, "template": settings.template}
        about |= {"sets": data.mix.counts, "left_out": dict(data.left_out), "faulty": len(data.mix.faulty)}
        sets = [f"`{word}`: {c['rows']:,} rows, {c['held_out']:,} held out" for word, c in data.mix.counts.items()]
        left = [f"{count:,} {reason}" for reason, count in data.left_out.most_common()]
        left += [f"{len(data.mix.faulty):,} faulty rows"] if data.mix.faulty else []
        lines = [["data", "; ".join(sets), f"{passes:.2f} passes over {len(samples):,} samples"]]
        lines += [["template", settings.template, ""], ["cut or left out", "; ".join(left) or "nothing", ""]]
        own = results(before)
        return {**about, **own, "told": [*lines, *own.get("told", [])]}

    return Job(
        tokenizer=data.tokenizer,
        vocabulary=parts["model"].get_input_embeddings().num_embeddings,
        samples=len(samples),
        order=Order(len(samples), settings.seed),
        steps=steps,
        micro_batch=settings.micro_batch,
        accumulation=accumulation(settings.batch, 1, settings.micro_batch, world),
        results=all_results,
        documents=lambda number: name_of(samples[number]),
        **parts,
    )


def use_loss(model: Any, loss: Callable[..., Mapping[str, Any]], figures: dict[str, list[Any]]) -> None:
    """Make the model's forward, given a batch, return a stage's loss; what else the loss finds goes to ``figures``."""

    def forward(self: Any, **batch: Any) -> dict[str, Any]:
        found = loss(**batch)
        for name, value in found.items():
            if name != "loss":
                figures.setdefault(name, []).append(value.detach().float())
        return {"loss": found["loss"]}

    model.forward = types.MethodType(forward, model)
