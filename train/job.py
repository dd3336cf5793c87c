"""What a stage is told and what it brings: the settings that all share, the machine, and the job to be trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from train.checkpoint import CheckpointSettings
from train.data import Order
from train.lora import LoraSettings
from train.schedule import OptimSettings
from train.spikes import SpikeSettings
from workbench.config import at_least, section, setting
from workbench.runs.curves import PANELS

if TYPE_CHECKING:
    from workbench.model_size import Shape


@dataclass(frozen=True)
class EvalSettings:
    """The score on held-out data: before, after, and during the run."""

    sequences: int | None = setting(None, "held-out samples to score, spread evenly; none: all", check=at_least(1))
    every: int | None = setting(None, "steps between scores during the run; none: before and after", check=at_least(1))
    batch: int = setting(8, "samples in a forward pass", check=at_least(1))


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every stage but PPO's can be told; each adds ``model``, with ``model.weights``."""

    out: Path
    seed: int = setting(0, "of the initial weights and the order of the data", check=at_least(0))
    precision: Literal["auto", "bf16", "fp16", "fp32"] = setting(
        "auto", "of the products; the weights stay fp32; auto: bf16 where the device computes in it, else fp32"
    )
    recompute: Literal["none", "full"] = setting("none", "full: keep each layer's input alone, a third more FLOPs")
    compile: bool = setting(False, "torch.compile each layer (a minute at first); with parallel=ddp")
    tune: Literal["full", "lora", "qlora"] = setting(
        "full", "all weights; or an adapter over frozen ones; qlora: those in 4 bits, needs bitsandbytes"
    )
    parallel: Literal["ddp", "fsdp2", "zero1", "zero2", "zero3"] = setting(
        "ddp", "several processes: what is divided among them (torchrun … -m train); zero needs deepspeed"
    )
    offload: bool = setting(False, "zero: moments, zero3 and fsdp2: weights too, in the host's memory")
    lora: LoraSettings = section(LoraSettings)
    report_to: tuple[Literal["tensorboard", "wandb", "swanlab"], ...] = setting((), "also send each row to these")
    optim: OptimSettings = section(OptimSettings)
    checkpoint: CheckpointSettings = section(CheckpointSettings)
    spikes: SpikeSettings = section(SpikeSettings)
    eval: EvalSettings = section(EvalSettings)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a stage brings to the frame."""

    model: Any
    shape: Shape
    adapter: Any  # None: all weights are trained
    tokenizer: Path  # the folder whose files go beside the model
    vocabulary: int
    samples: int
    order: Order
    collate: Callable[[list[int]], dict[str, Any]]
    steps: int
    micro_batch: int
    accumulation: int
    seq_len: int  # ids in a sample, for the count of FLOPs; a mean where they differ
    score: Callable[[], dict[str, float]]  # on held-out data; empty where there is none
    results: Callable[[dict[str, float]], dict[str, Any]]  # the stage's own, given the scores before; after the last
    documents: Callable[[int], list[str]]  # the ids of what is in a sample
    figures: dict[str, list[Any]] = field(default_factory=dict)  # scalars of the micro-steps beside the loss
    panels: Sequence[tuple[str, str]] = PANELS  # of the curves: keys of the metrics and their labels
    neftune: float | None = None
    chat_template: str | None = None  # jinja, laid beside the model, so that those who serve it take the right one
