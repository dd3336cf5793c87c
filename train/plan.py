"""``--plan``: what a run will take, without a GPU and without torch: parameters, memory, FLOPs, days, steps.

The arithmetic is ``workbench.model_size``'s; the chunked loss keeps one gradient of the lm_head beside it. These are
counts, not measurements: leave a tenth free for the allocator and communication. Time is FLOPs over the rate a device
is expected to reach. Cost: 0.2 s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench import manifest
from workbench.config import at_least, setting
from workbench.errors import ConfigError
from workbench.files import read_json
from workbench.model_size import Sizes, activations, adapter_states, states

if TYPE_CHECKING:
    from train.lora import LoraSettings
    from train.pt import PtSettings

GIB = 1024**3
TIGHT = 0.9  # of the memory
LOSS_CHUNK = 256  # train.loss.CHUNK, which needs torch to be read


@dataclass(frozen=True)
class PlanSettings:
    """What ``--plan`` assumes where there is no machine and no data to ask. It changes no run."""

    devices: int = setting(1, "devices", check=at_least(1))
    memory_gib: float = setting(40.0, "memory of a device, GiB", check=at_least(1))
    tflops: float = setting(118.0, "TFLOP/s that a device is expected to reach", check=at_least(0.001))
    vocabulary: int = setting(39410, "pieces, where tokenizer= is not there yet", check=at_least(1))
    seq_len: int = setting(2048, "tokens in a sequence, where data= is not there yet", check=at_least(2))
    tokens: float | None = setting(None, "tokens of the run; none: steps x batch_tokens", check=at_least(1))
    data_tokens: float | None = setting(None, "tokens of the data, where it is not there yet", check=at_least(1))
    nominal_parameters: float | None = setting(None, "parameters as published, for the 6N rule; none: those computed")
    published_days: float | None = setting(None, "days that such a run took elsewhere, to compare with")


@dataclass(frozen=True)
class Plan:
    """The figures; bytes and seconds, nothing rounded."""

    parameters: int
    trained: int
    rows: int
    devices: int
    micro_batch: int
    accumulation: int
    seq_len: int
    batch_tokens: int
    steps: int
    tokens: int
    data_tokens: float | None
    flops_per_token: float
    flops: float
    days: Mapping[str, Mapping[str, float]]  # rule -> recomputation -> days
    activations: Mapping[str, float]  # recomputation -> bytes a device
    states: Mapping[str, float]  # strategy -> bytes a device: weights, gradients, moments, what is gathered
    loss_bytes: float
    checkpoint_bytes: int
    model_bytes: int

    def memory(self, strategy: str, recompute: str) -> float:
        """Return the bytes a device needs."""
        return self.states[strategy] + self.activations[recompute] + self.loss_bytes


def adapter_parameters(sizes: Sizes, lora: LoraSettings, vocabulary: int) -> int:
    """Return what an adapter trains: rank x (in + out) of each product, and the new rows."""
    ends = sizes.ends
    if unknown := [name for name in lora.targets if name not in ends]:
        raise ConfigError("lora.targets", f"{unknown[0]} is no product of a Llama", f"choose from: {', '.join(ends)}")
    matrices = sizes.layers * lora.rank * sum(ends[name] for name in lora.targets)
    rows = 0 if lora.rows_from is None else max(0, vocabulary - lora.rows_from)
    return matrices + rows * sizes.hidden * (1 if sizes.tied else 2)


def make_plan(settings: PtSettings) -> Plan:
    """Compute the plan of a run; its data, tokenizer and weights are asked where they are there.

    Raises:
        ConfigError: If sizes do not divide, or the global batch is no whole number of micro-batches.
    """
    from train.data import accumulation
    from train.model import check_shape

    check_shape(settings.model)
    assumed = settings.plan
    sizes, seq_len, data_tokens = _sizes(settings), assumed.seq_len, assumed.data_tokens
    if (settings.data / manifest.NAME).is_file():
        results = manifest.read(settings.data, "tokens", "tokenizer pack").results
        seq_len, data_tokens = int(results["seq_len"]), float(results["splits"]["train"]["tokens"])
    micro_batch = settings.micro_batch or max(1, settings.batch_tokens // seq_len // assumed.devices)
    factors = {"tokens": seq_len, "sequences": micro_batch, "devices": assumed.devices}
    shape, trained = sizes.shape, sizes.shape.parameters
    memory = states(sizes, assumed.devices)
    if settings.tune != "full":
        trained = adapter_parameters(sizes, settings.lora, assumed.vocabulary)
        memory = adapter_states(sizes, trained, packed=settings.tune == "qlora")
        shape = replace(shape, frozen=shape.parameters - shape.input_embedding)
    tokens = int(assumed.tokens or settings.steps * settings.batch_tokens)
    per_token = shape.flops_per_token(seq_len)
    rate = assumed.devices * assumed.tflops * 1e12 * 86_400
    by_rule = {"6N": 6 * (assumed.nominal_parameters or shape.parameters), "with attention": per_token}
    days = {
        rule: {"none": flops * tokens / rate, "full": flops * tokens / rate * 4 / 3} for rule, flops in by_rule.items()
    }
    loss = 6.0 * sizes.rows * sizes.hidden + 6.0 * LOSS_CHUNK * sizes.rows
    return Plan(
        parameters=shape.parameters,
        trained=trained,
        rows=sizes.rows,
        devices=assumed.devices,
        micro_batch=micro_batch,
        accumulation=accumulation("batch_tokens", settings.batch_tokens, factors),
        seq_len=seq_len,
        batch_tokens=settings.batch_tokens,
        steps=math.ceil(tokens / settings.batch_tokens),
        tokens=tokens,
        data_tokens=data_tokens,
        flops_per_token=per_token,
        flops=per_token * tokens,
        days=days,
        activations=activations(sizes, micro_batch * seq_len),
        states=memory,
        loss_bytes=loss,
        checkpoint_bytes=12 * trained,
        model_bytes=4 * trained,
    )


def _sizes(settings: PtSettings) -> Sizes:
    from train.model import fresh_sizes

    weights, report = settings.model.weights, settings.tokenizer / "report.json"
    if weights is None:
        vocabulary = int(read_json(report)["total"]) if report.is_file() else settings.plan.vocabulary
        return Sizes.of(fresh_sizes(settings.model, vocabulary))
    path = next((p for p in (weights / "model" / "config.json", weights / "config.json") if p.is_file()), None)
    if path is None:
        found = f"{weights} has no config.json"
        raise ConfigError("model.weights", found, "name a model folder, or leave it out and give model.layers=…")
    return Sizes.of(read_json(path))


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the figures, and the memory of each combination."""
    memory = {f"{s} {r}": plan.memory(s, r) for s in plan.states for r in plan.activations}
    return {**asdict(plan), "memory": memory}


def print_plan(plan: Plan, settings: PtSettings) -> None:
    """Print the plan as tables."""
    from workbench.console import table

    assumed, lora = settings.plan, settings.tune != "full"
    share = f", {plan.tokens / plan.data_tokens:.0%} of {plan.data_tokens / 1e9:,.4g}B" if plan.data_tokens else ""
    unit = f"{plan.devices} devices x {plan.micro_batch} sequences x {plan.seq_len:,} tokens"
    rows = [
        ("parameters", f"{plan.parameters:,}", f"each once; embedding of {plan.rows:,} rows"),
        ("trained", f"{plan.trained:,}", "the adapter and new rows" if lora else "all of them"),
        ("tokens a step", f"{plan.batch_tokens:,}", f"{unit} x {plan.accumulation} micro-steps (derived)"),
        ("steps", f"{plan.steps:,}", f"{plan.tokens / 1e9:,.4g}B tokens{share}"),
        ("FLOPs a token", f"{plan.flops_per_token:.4g}", "6·(N − input embedding) − 2·frozen + 12·layers·width·T"),
        ("FLOPs", f"{plan.flops:.4g}", "of the run, without recomputation"),
        ("checkpoint", f"{plan.checkpoint_bytes / 1e9:,.1f} GB", "weights and two moments, fp32"),
        (f"final {'adapter' if lora else 'model'}", f"{plan.model_bytes / 1e9:,.1f} GB", "safetensors, fp32"),
    ]
    table(("what", "value", "note"), rows, title="Plan")
    n = assumed.nominal_parameters
    published = {"6N": f" (N = {n / 1e9:g}B, as published)"} if n else {}
    times = [(rule + published.get(rule, ""), *map(_days, by.values())) for rule, by in plan.days.items()]
    table((f"time at {assumed.tflops:g} TFLOP/s a device", "without", "with full recomputation"), times)
    if assumed.published_days:
        print(_explain(plan, assumed.published_days))
    limit = assumed.memory_gib * GIB
    memory = []
    for strategy, held in plan.states.items():
        for recompute, kept in plan.activations.items():
            need = plan.memory(strategy, recompute)
            verdict = "fits" if need <= TIGHT * limit else "tight" if need <= limit else "no"
            memory.append((strategy, recompute, *(f"{part / GIB:,.1f}" for part in (held, kept, need)), verdict))
    header = ("sharding", "recomputation", "states GiB", "activations GiB", "all GiB", f"{assumed.memory_gib:g} GiB?")
    table(header, memory, title="Memory a device (counted, not measured)")


def _days(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} h" if days * 24 >= 1 else f"{days * 1440:.1f} min"


def _explain(plan: Plan, published: float) -> str:
    most = plan.days["with attention"]["full"]
    return (
        f"Published: {published:g} days. The most that the count explains is {most:.1f}; the other"
        f" {published - most:.1f} days ({1 - most / published:.0%}) are not published: that they went into\n"
        "checkpoints, evaluation and restarts, that activations were recomputed and that the rate counts this, is our"
        " inference."
    )
