"""Checkpoints that are complete or absent, without pickles: safetensors and JSON, a manifest with hashes written last.

    checkpoints/step-000200/
        model.safetensors, config.json   the weights, loadable by transformers
        optimizer.safetensors            AdamW's moments, named <parameter number>.<name>
        rng.safetensors                  torch's generators
        state.json                       data cursor, schedule, Python's and numpy's generators, tokens, seconds
        trainer_state.json               what transformers' Trainer wants to find
        manifest.json                    step, and bytes and sha256 of every file

Of a model divided among processes (``train.sharded``) it has shard-<rank>-of-<world>.safetensors for both
and a generator a process, each written by its own. It is written under a temporary name, synced and renamed. The newest
*complete* one is resumed: one half-written, or whose hashes do not match, is told and passed over. Cost: 12 bytes a
parameter with fp32 weights; 20M parameters (240 MB) take about a second, most of it hashing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import parallel
from workbench import manifest
from workbench.config import at_least, setting
from workbench.console import note
from workbench.errors import OutputError
from workbench.files import atomic_path, remove, write_json

KIND = "checkpoint"
FOLDER = "checkpoints"
STATE = "state.json"
MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
RNG = "rng.safetensors"


@dataclass(frozen=True)
class CheckpointSettings:
    """When a checkpoint is written, and which are kept."""

    every: int | None = setting(100, "steps between checkpoints; none: only the last", check=at_least(1))
    keep: int = setting(2, "newest checkpoints kept", check=at_least(1))
    milestone: int | None = setting(None, "keep those of every so many steps for good", check=at_least(1))

    def due(self, step: int, steps: int) -> bool:
        """Return whether one is written after a step of so many."""
        return step >= steps or (self.every is not None and step % self.every == 0)


def name_of(step: int) -> str:
    """Return a checkpoint's name."""
    return f"step-{step:06d}"


def step_of(path: Path) -> int:
    """Return the step in a checkpoint's name, -1 if it is no such name."""
    number = path.name.removeprefix("step-")
    return int(number) if path.name.startswith("step-") and number.isdigit() else -1


def save(run: Path, step: int, write: Callable[[Path], Sequence[Path]], needed_bytes: int) -> Path:
    """Write a checkpoint of the step that has just been done, atomically: the first process completes it.

    Args:
        run: The run's folder.
        step: The step.
        write: Adds a process's files to a folder that all processes share, and returns them.
        needed_bytes: About how large it will be; checked before anything is written.

    Raises:
        OutputError: If there is no room for it, or a process could not write; earlier checkpoints stay as they are.
    """
    final = run / FOLDER / name_of(step)
    shared = final.with_name(f".{final.name}-all.tmp")

    def begin() -> None:
        check_room(run, needed_bytes)
        remove(shared)
        shared.mkdir(parents=True)

    parallel.by_first(begin)
    entries, error = [], None
    try:
        for file in write(shared):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
            entries.append(manifest.describe_file(file, shared))
    except Exception as caught:  # noqa: BLE001 - the others must hear of it, whatever it is
        error = caught
    failed = error and f"process {parallel.rank()} could not write its part ({error})"
    of_all = parallel.gather((entries, failed))
    if wrong := [problem for _, problem in of_all if problem]:
        parallel.by_first(lambda: remove(shared))
        if error is not None and not isinstance(error, OSError):
            raise error  # a bug is no full disk
        raise OutputError(final, wrong[0], "free some space, or look whether all nodes share the folder") from error

    def complete() -> None:
        files = sorted((entry for some, _ in of_all for entry in some), key=lambda entry: str(entry["path"]))
        write_json(shared / manifest.NAME, {"kind": KIND, "step": step, "files": files})
        with atomic_path(final) as temporary:
            shared.rename(temporary)

    parallel.by_first(complete)
    return final


def check_room(run: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        OutputError: If less is free than needed.
    """
    free = shutil.disk_usage(run).free
    if free < needed_bytes:
        found = f"{free / 1e9:.1f} GB are free, a checkpoint needs {needed_bytes / 1e9:.1f} GB"
        raise OutputError(run, found, "free some space, or give another out=")


def newest_complete(run: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, None if there is none; says which it passes over."""
    folder = run / FOLDER
    if not folder.is_dir():
        return None
    for left_over in sorted(folder.glob(".step-*.tmp")):
        note(f"{left_over.name}: a save that was cut off; removed")
        remove(left_over)
    for path in sorted(folder.iterdir(), key=step_of, reverse=True):
        if step_of(path) < 0:
            continue
        wrong = manifest.wrong_with(path)
        if wrong is None:
            return path
        note(f"{path}: {wrong}; passed over")
    return None


def going_on(found: Path) -> str:
    """Say that a run goes on from a checkpoint; returns the event for its metrics."""
    if parallel.first():
        note(f"going on from {found.name}")
    return f"resumed from {found.name}"


def prune(run: Path, settings: CheckpointSettings) -> None:
    """Remove the checkpoints that need not be kept."""

    def remove_old() -> None:
        paths = sorted((p for p in (run / FOLDER).iterdir() if step_of(p) >= 0), key=step_of)
        for path in paths[: -settings.keep]:
            if settings.milestone is None or step_of(path) % settings.milestone:
                remove(path)

    parallel.by_first(remove_old)


def save_trained(model: Any, folder: Path) -> None:
    """Write the weights that are trained, alone."""
    from safetensors.torch import save_file

    trained = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}
    save_file(trained, folder / MODEL)


def load_trained(model: Any, folder: Path) -> None:
    """Put the weights that are trained back; what is frozen is not in the file."""
    from safetensors.torch import load_file

    found, wanted = load_file(folder / MODEL), {n for n, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == wanted, found.keys() ^ wanted
    model.load_state_dict(found, strict=False)


def save_optimizer(optimizer: Any, folder: Path) -> dict[str, Any]:
    """Write an optimizer's tensors; returns the rest of its state, for JSON."""
    from safetensors.torch import save_file

    state = optimizer.state_dict()
    tensors = {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, of_parameter in state["state"].items()
        for name, tensor in of_parameter.items()
    }
    save_file(tensors, folder / OPTIMIZER)
    groups = [{k: float(v) if hasattr(v, "item") else v for k, v in g.items()} for g in state["param_groups"]]
    return {"groups": groups}


def load_optimizer(optimizer: Any, folder: Path, rest: dict[str, Any]) -> None:
    """Put an optimizer's saved state back."""
    from safetensors.torch import load_file

    state: dict[int, dict[str, Any]] = {}
    for key, tensor in load_file(folder / OPTIMIZER).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    groups = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in rest["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_rng(folder: Path, file: str = RNG) -> dict[str, Any]:
    """Write torch's generators; returns those of Python and numpy, for JSON."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    tensors = {"cpu": torch.get_rng_state()}
    if torch.accelerator.is_available():
        device = torch.get_device_module()
        tensors |= {f"device.{n}": device.get_rng_state(n).cpu() for n in range(torch.accelerator.device_count())}
    save_file(tensors, folder / file)
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), position, has_gauss, cached],
    }


def load_rng(folder: Path, rest: dict[str, Any], file: str = RNG) -> None:
    """Put the generators back."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    tensors = load_file(folder / file)
    torch.set_rng_state(tensors["cpu"])
    for name, tensor in tensors.items():
        number = name.removeprefix("device.")
        if number != name and int(number) < torch.accelerator.device_count():
            torch.get_device_module().set_rng_state(tensor, int(number))
    version, numbers, gauss = rest["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = rest["numpy"]
    np.random.set_state((name, np.asarray(keys, np.uint32), position, has_gauss, cached))


def read_state(path: Path) -> dict[str, Any]:
    """Return the JSON part of a checkpoint."""
    state: dict[str, Any] = json.loads((path / STATE).read_text(encoding="utf-8"))
    return state
