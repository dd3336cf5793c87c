"""Models divided among processes: ``parallel=fsdp2`` and, on DeepSpeed, ``zero1``, ``zero2``, ``zero3``.

    ddp     every process holds weights, gradients and AdamW's moments
    zero1   moments divided        zero2   gradients too        zero3, fsdp2   weights too

A checkpoint holds one ``shard-<rank>-of-<world>.safetensors`` a process: its part of weights and moments. FSDP2 cuts
each tensor along its rows, so a run of another number of processes reads the rows that are its own; ZeRO lays all
tensors end to end, pads and cuts, which fits one number only (``train.zero``). Cost of 12 steps of 2 layers x 64 on two
gloo processes, busy machine: ddp 2.5 s, fsdp2 2.4, zero1 and zero2 7, zero3 12.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eval import parallel
from train import checkpoint
from train.zero import masters, spread
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from train.job import RunSettings

WEIGHTS_DIVIDED = ("fsdp2", "zero3")  # no process has them all: a forward pass needs everyone


def check(stage: str, settings: RunSettings) -> None:
    """Refuse what does not go together; ``ddp`` takes everything.

    Raises:
        ConfigError: Naming the setting.
    """
    kind, zero = settings.parallel, settings.parallel.startswith("zero")
    if kind == "ddp":
        if settings.offload:
            raise ConfigError("offload", "ddp keeps everything on its device", "use parallel=zero2, zero3 or fsdp2")
        return
    if parallel.world() == 1:
        found = f"{kind} divides the model among processes, here is one"
        raise ConfigError("parallel", found, "start it with: torchrun --nproc-per-node N -m train …, or use ddp")
    if zero and find_spec("deepspeed") is None:
        raise ConfigError("parallel", f"{kind} needs deepspeed", "pip install 'yanmo[parallel]', or use fsdp2")
    if settings.tune != "full":
        raise ConfigError("parallel", f"tune={settings.tune} trains too little to divide", "use parallel=ddp")
    if stage not in ("pt", "sft"):
        raise ConfigError("parallel", f"stage={stage} runs under ddp only", "use parallel=ddp")
    if settings.precision == "fp16" and not zero:
        raise ConfigError("precision", "fp16 with fsdp2 has no loss scaler here", "use bf16, or parallel=zero2")
    if zero and settings.spikes.action == "rollback":
        found = f"rollback under {kind}: DeepSpeed's engine cannot be set back inside a process"
        raise ConfigError("spikes.action", found, "use skip or lower, or parallel=fsdp2")


def check_world(found: Path | None, kind: str) -> None:
    """Refuse to go on from ZeRO's shards of another number of processes.

    Raises:
        ConfigError: Saying how many there were.
    """
    if found is None or not kind.startswith("zero"):
        return
    if (then := checkpoint.read_state(found)["shards"]["world"]) != parallel.world():
        what = f"{parallel.world()}, but {found} was written by {then}, and ZeRO's shards fit no other number"
        raise ConfigError("processes", what, f"start {then}, or train with parallel=fsdp2, which can change it")


def divide(model: Any, device: str, precision: str, offload: bool) -> None:
    """Cut a model by FSDP2, in place: each decoder layer is one unit, all else (embedding, norm, lm_head) another.

    The chunked loss reads lm_head's weight without calling it, so it is in the outer unit, whole all through a step.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

    low = torch.bfloat16 if precision == "bf16" else None
    how: dict[str, Any] = {
        "mesh": init_device_mesh(device, (parallel.world(),)),
        "mp_policy": MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32),
        "offload_policy": CPUOffloadPolicy(pin_memory=device != "cpu") if offload else OffloadPolicy(),
    }
    for module in [m for m in model.modules() if type(m).__name__ in (model._no_split_modules or ())]:
        fully_shard(module, **how)
    fully_shard(model, **how)
    made = type(model)  # the class that fully_shard made for this model
    made.is_distributed_loading_by_transformers = True  # the Trainer wraps it no further,
    model._is_fsdp_managed_module = True  # and holds the messages back until a step's last micro-batch


def scored(kind: str, model: Any, score: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Score a model: the first process alone, or all where none has all weights."""
    if kind != "fsdp2":
        return score() if parallel.first() or kind in WEIGHTS_DIVIDED else {}
    # its parts are called by themselves in a score, so FSDP2's hooks must be told
    from torch.distributed.fsdp import register_fsdp_forward_method

    model.scored = score
    register_fsdp_forward_method(model, "scored")
    found: dict[str, float] = model.scored()
    model.reshard()
    return found


def gathered(model: Any, kind: str) -> dict[str, torch.Tensor] | None:
    """Return the whole weights in the first process, one tensor at a time; None where they are not divided."""
    if kind not in WEIGHTS_DIVIDED:
        return None
    if kind == "zero3":
        from deepspeed.runtime.zero.partition_parameters import GatheredParameters
    out: dict[str, torch.Tensor] = {}
    for name, value in model.named_parameters():
        if kind == "fsdp2":
            whole = value.detach().full_tensor()
            out |= {name: whole.cpu()} if parallel.first() else {}
        else:
            with GatheredParameters([value]):
                out |= {name: value.detach().cpu().clone()} if parallel.first() else {}
    if parallel.first():
        out |= {
            name: buffer.cpu() for name, buffer in model.state_dict().items() if not hasattr(buffer, "requires_grad")
        }
    return out


def file_of(folder: Path, rank: int, world: int) -> Path:
    """Return a process's file in a checkpoint."""
    return folder / f"shard-{rank:05d}-of-{world:05d}.safetensors"


def _rows(n: int, world: int, rank: int) -> tuple[int, int]:
    """The rows of a tensor that FSDP2 gives to a process."""
    size = -(-n // world)
    return min(rank * size, n), min((rank + 1) * size, n)


def write_shard(folder: Path, kind: str, model: Any, optimizer: Any) -> dict[str, Any]:
    """Write this process's part of an FSDP2 model, or of DeepSpeed's engine, and of the torch optimizer beneath it.

    Returns:
        What the first process keeps of it in JSON.
    """
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    named = model.named_parameters() if kind == "fsdp2" else ((str(n), m) for n, m in enumerate(masters(model)))
    for name, parameter in named:
        for key, value in {"weight": parameter, **optimizer.state[parameter]}.items():
            local = value.to_local() if hasattr(value, "to_local") else torch.as_tensor(value)
            tensors[f"{name}:{key}"] = local.detach().cpu().clone()
    save_file(tensors, file_of(folder, parallel.rank(), parallel.world()))
    groups = [{key: float(group[key]) for key in ("lr", "initial_lr")} for group in optimizer.param_groups]
    scale = vars(model.optimizer.loss_scaler) if kind != "fsdp2" else {}
    numbers = {k: v for k, v in scale.items() if isinstance(v, int | float)}
    return {"world": parallel.world(), "groups": groups, "scaler": numbers}


def read_shards(folder: Path, kind: str, model: Any, optimizer: Any, rest: dict[str, Any]) -> None:
    """Put weights and moments back; FSDP2 takes its rows out of the files of any number of processes."""
    from safetensors import safe_open

    files: list[Any] = [
        safe_open(file_of(folder, rank, rest["world"]), "pt")
        for rank in (range(rest["world"]) if kind == "fsdp2" else [parallel.rank()])
    ]
    named = dict(model.named_parameters()) if kind == "fsdp2" else {str(n): m for n, m in enumerate(masters(model))}
    for key in files[0].keys():  # noqa: SIM118 - no dict
        name, _, what = key.rpartition(":")
        parameter = named[name]
        if kind != "fsdp2" or what == "step":
            found = files[0].get_tensor(key)
            target = parameter.data if what == "weight" else torch.empty_like(found, device=parameter.device)
            target.copy_(found)
        else:
            whole: Any = parameter.data if what == "weight" else torch.zeros_like(parameter)
            low, high = _rows(len(parameter), parallel.world(), parallel.rank())
            for rank, file in enumerate(files):
                begin, end = _rows(len(parameter), len(files), rank)
                if (first := max(low, begin)) < (last := min(high, end)):
                    whole.to_local()[first - low : last - low].copy_(file.get_slice(key)[first - begin : last - begin])
            target = whole
        if what != "weight":
            optimizer.state[parameter][what] = target
    for group, saved in zip(optimizer.param_groups, rest["groups"], strict=True):
        group.update(saved)
    if kind != "fsdp2":
        vars(model.optimizer.loss_scaler).update(rest["scaler"])
        spread(model)
