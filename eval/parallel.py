"""Several processes at one piece of work: ``torchrun --nproc-per-node N -m train …``, or ``-m eval run …``.

What is one thing in the run — the folder, the metrics, the checkpoints, the scores, the words to a person — is done by
the first process; the others wait for its word. What decides the next step (loss, a signal to stop) is agreed by all:
no process goes a way of its own. In training the global batch is given in tokens, so any number of processes that
divides it takes the same samples in the same steps, and a run goes on with another number of them (a model divided
among them: ``train.sharded``). Cost: one sum of two numbers a step.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from workbench.errors import ConfigError, YanmoError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those that share the work."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes what is common."""
        return self.rank == 0


def join_ranks() -> Ranks:
    """Return this process's place, joining the others for good if torchrun started several; words go by gloo."""
    if world() > 1:
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo")
    return Ranks(rank(), world())


def rank() -> int:
    """Return the number of this process, 0 for the first or only one."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Return whether this is the first process, which speaks and writes."""
    return rank() == 0


@contextmanager
def joined() -> Iterator[None]:
    """Within it the processes know each other; gloo on CPUs, the device's own library elsewhere.

    Raises:
        ConfigError: If the launcher's environment is not whole.
    """
    if world() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK") if name not in os.environ]
    if missing:
        found = f"WORLD_SIZE is {world()}, but {', '.join(missing)} is not set"
        raise ConfigError("environment", found, "start it with: torchrun --nproc-per-node N -m train …")
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group()
    else:
        dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def by_first(work: Callable[[], T]) -> T:
    """Let the first process do something, and return what it got in all of them.

    Args:
        work: Returns something small that can be sent.

    Raises:
        YanmoError: In the first process, if that did; the others leave with its exit code and no word.
    """
    if world() == 1:
        return work()
    import torch.distributed as dist

    found: list[Any] = [None, None]
    error: BaseException | None = None
    if first():
        try:
            found[0] = work()
        except BaseException as caught:  # noqa: BLE001 - the others must hear of it, whatever it is
            error = caught
            found[1] = caught.exit_code if isinstance(caught, YanmoError) else 1
    dist.broadcast_object_list(found, src=0)
    if error is not None:
        raise error
    if found[1] is not None:
        raise SystemExit(found[1])
    out: T = found[0]
    return out


def gather(own: T) -> list[T]:
    """Return what each process has, in the order of their numbers."""
    if world() == 1:
        return [own]
    import torch.distributed as dist

    out: list[Any] = [None] * world()
    dist.all_gather_object(out, own)
    return out


def mean(numbers: Sequence[float]) -> list[float]:
    """Return the means of numbers over all processes."""
    if world() == 1 or not numbers:
        return list(numbers)
    import torch

    sums = torch.tensor(numbers, dtype=torch.float64)
    sum_up([sums])
    return [float(value) / world() for value in sums]


def sum_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one message."""
    import torch
    import torch.distributed as dist

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(device)
    dist.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def agree(loss: float, stop: bool) -> tuple[float, bool]:
    """Return the mean of all processes' losses, and whether any was told to stop."""
    loss, stopped = mean([loss, float(stop)])
    return loss, stopped > 0


def wait() -> None:
    """Wait for all processes."""
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def leave(code: int) -> NoReturn:
    """End this process; one of several does so without tearing the interpreter down.

    Gloo's threads outlive ``destroy_process_group`` as long as anything (DDP's reducer, accelerate) holds the group;
    one that drops a tensor while the interpreter goes down aborts the process (pytorch/pytorch#179291), and a complete
    run would count as failed. So what was registered for the exit is run, the streams are flushed, and that is all.
    """
    if world() == 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
