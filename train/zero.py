"""DeepSpeed's engine under our discipline, for ``parallel=zero1``, ``zero2``, ``zero3`` (see ``train.sharded``).

The engine would take the step inside backward; here it waits until loss and gradient norm have been judged. On CPUs its
kernels are left unbuilt: a build takes minutes, and one that was killed leaves a lock that hangs the next run.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from typing import Any

import torch

from eval import parallel


def arguments(kind: str, precision: str, offload: bool, clip: float) -> dict[str, Any]:
    """Return what transformers' TrainingArguments must know of it."""
    if not kind.startswith("zero"):
        return {}
    if not torch.accelerator.is_available():
        os.environ.setdefault("TORCH_EXTENSIONS_DIR", tempfile.mkdtemp(prefix="yanmo-extensions-"))
        import deepspeed  # noqa: F401

        sys.modules["deepspeed.comm.torch"].build_shm_op = lambda: None  # type: ignore[attr-defined]
    host = {"device": "cpu", "pin_memory": torch.accelerator.is_available()}
    zero: dict[str, Any] = {"stage": int(kind[-1]), "overlap_comm": torch.accelerator.is_available()}
    if offload:
        zero["offload_optimizer"] = host
        zero |= {"offload_param": host} if kind == "zero3" else {}
    config = {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": clip,
        "bf16": {"enabled": precision == "bf16"},
        "fp16": {"enabled": precision == "fp16"},
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,
        "zero_allow_untested_optimizer": True,
    }
    return {"deepspeed": config}


def hold_step(engine: Any, wrapper: Any) -> None:
    """Take the step out of the wrapper's backward: ``Discipline`` judges first."""

    def backward(loss: Any, sync_gradients: bool = True, **named: Any) -> None:
        engine.set_gradient_accumulation_boundary(is_boundary=sync_gradients)
        engine.backward(loss, **named)

    wrapper.backward = backward


def grad_norm(engine: Any) -> float:
    """Return the gradient's norm before clipping; infinite where it overflowed."""
    from deepspeed.runtime.utils import combine_grad_norm_groups

    zero = engine.optimizer
    if hasattr(zero, "scaled_global_norm"):
        zero._wait_for_offload_copies()
        norm = float(zero.scaled_global_norm())
    else:
        norm = float(combine_grad_norm_groups(zero._get_norm_groups()))
    return norm / float(zero.loss_scale) if norm >= 0 else math.inf


def drop_gradients(engine: Any) -> None:
    """Forget the gradients of a step that is not taken, as the engine does after an overflow."""
    zero = engine.optimizer
    zero.zero_grad(set_to_none=True)
    if getattr(zero, "cpu_offload", False) or getattr(zero, "offload_optimizer", False):
        zero.reset_cpu_buffers()
    elif hasattr(zero, "_release_preflattened_grad_buffers"):
        zero._release_preflattened_grad_buffers()
        for key in zero.averaged_gradients:
            zero.averaged_gradients[key] = zero.all_grad_tensors[key] = None
        zero.micro_step_id = -1
    else:
        zero.averaged_gradients = {}


def masters(engine: Any) -> list[Any]:
    """Return the flat fp32 parts of this process that AdamW updates."""
    zero = engine.optimizer
    return list(getattr(zero, "single_partition_of_fp32_groups", None) or zero.fp32_partitioned_groups_flat)


def spread(engine: Any) -> None:
    """Make the model's weights from the fp32 parts of all processes."""
    zero = engine.optimizer
    if hasattr(zero, "parallel_partitioned_bit16_groups"):
        for parts, master in zip(zero.parallel_partitioned_bit16_groups, masters(engine), strict=True):
            parts[parallel.rank()].data.copy_(master.data)
            torch.distributed.all_gather(list(parts), parts[parallel.rank()].clone())
        return
    kept = zero.persistent_parameters
    if kept:
        kept[0].partition(kept)
    for flat, master, pieces in zip(
        zero.fp16_partitioned_groups_flat, masters(engine), zero.fp16_partitioned_groups, strict=True
    ):
        flat.data.copy_(master.data)
        for piece, new in zip(pieces, zero.unflatten(flat, pieces), strict=True):
            piece.data = new.data
    if kept:
        kept[0].all_gather(kept)
