"""A trainer's checkpoints: the weights, and all that the next step depends on, so that a run goes on exactly.

Under ddp the first process writes it all; of a divided model each process writes and reads its own part
(``train.sharded``), and a generator of its own. The format is ``train.checkpoint``'s. Transformers' own saving, which
pickles, is overridden here whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import Trainer

from eval import parallel
from eval.quantised import whole_size
from train import checkpoint, sharded
from train.job import Job, RunSettings
from train.meter import Meter
from train.spikes import Watch
from workbench.files import read_json, write_json


class Saving(Trainer):  # type: ignore[misc]  # transformers carries no types
    """What ``Discipline`` is built on; see the module's docstring."""

    settings: RunSettings
    job: Job
    meter: Meter
    watch: Watch
    lr_scheduler: Any
    model: Any
    _consumed = 0  # samples of the order, by all devices
    _step_from = 0  # the first of them in this step
    _recorded = 0  # the last step whose row is written

    @property
    def _kind(self) -> str:
        return self.settings.parallel

    def checkpoint_bytes(self) -> int:
        """Return a checkpoint's size: weights and AdamW's two moments, in fp32."""
        return 12 * sum(whole_size(parameter) for parameter in self.model.parameters() if parameter.requires_grad)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        out, step = self.settings.out, int(self.state.global_step)
        write = self._write_all if self._kind == "ddp" else self._write_part
        checkpoint.save(out, step, write, self.checkpoint_bytes())
        checkpoint.prune(out, self.settings.checkpoint)

    def _write_all(self, folder: Path) -> list[Path]:
        if not parallel.first():
            return []
        if self.job.adapter is not None:  # the base does not change
            checkpoint.save_trained(self.model, folder)
        else:
            self.accelerator.unwrap_model(self.model).save_pretrained(folder)
        scaler = self.accelerator.scaler
        self._write_state(
            folder,
            optimizer=checkpoint.save_optimizer(self.optimizer, folder),
            scaler=None if scaler is None else scaler.state_dict(),
            rng=checkpoint.save_rng(folder),
        )
        return [*folder.iterdir()]

    def _write_part(self, folder: Path) -> list[Path]:
        """Write what this process has of a divided model; the first adds what is one for all."""
        numbers, rng = self._generators(folder)
        shards = sharded.write_shard(folder, self._kind, self.model_wrapped, self._torch_optimizer())
        write_json(numbers, checkpoint.save_rng(folder, rng.name))
        mine = [sharded.file_of(folder, parallel.rank(), parallel.world()), rng, numbers]
        if not parallel.first():
            return mine
        self.model.config.save_pretrained(folder)
        self._write_state(folder, kind=self._kind, shards=shards)
        return [*mine, folder / "config.json", folder / "trainer_state.json", folder / checkpoint.STATE]

    def _write_state(self, folder: Path, **more: Any) -> None:
        self.state.save_to_json(str(folder / "trainer_state.json"))
        schedule = {key: value for key, value in self.lr_scheduler.state_dict().items() if key != "lr_lambdas"}
        counted = {"tokens": self.meter.tokens, "seconds": self.meter.seconds, "schedule": schedule}
        state = {"cursor": self._consumed, "spikes": self.watch.state(), **counted, **more}
        write_json(folder / checkpoint.STATE, state)

    def _generators(self, folder: Path) -> tuple[Path, Path]:
        """Where this process keeps its generators: Python's and numpy's, and torch's."""
        name = folder / f"rng-{parallel.rank():05d}"
        return name.with_suffix(".json"), name.with_suffix(".safetensors")

    def _torch_optimizer(self) -> Any:
        """The optimizer beneath accelerate's wrapper, and DeepSpeed's."""
        return self.model_wrapped.optimizer.optimizer if self._kind != "fsdp2" else self.optimizer.optimizer

    def take_up(self, found: Path) -> None:
        """Take the data cursor and the counts, before a loader is made."""
        state = checkpoint.read_state(found)
        self._consumed = self._step_from = int(state["cursor"])
        self.watch.load(state["spikes"])
        self.meter.resume(int(state["tokens"]), float(state["seconds"]))

    def _prepare_for_training(self, max_steps: int, loader: Any, found: str | None) -> Any:
        """Let the Trainer wrap model and optimizer; all that it would read back is read here, by one reader."""
        out = super()._prepare_for_training(max_steps, loader, None)
        if found is not None:
            self._read_back(Path(found))
        self.prepared()
        return out

    def prepared(self) -> None:
        """Called once model and optimizer are wrapped, and read back."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Read nothing: the Trainer asks before the model is wrapped."""

    def _read_back(self, found: Path) -> None:
        state = checkpoint.read_state(found)
        if self._kind == "ddp":
            if self.job.adapter is None:
                self._read_whole(found)
            else:
                checkpoint.load_trained(self.model, found)
            checkpoint.load_optimizer(self.optimizer, found, state["optimizer"])
        else:
            sharded.read_shards(found, self._kind, self.model_wrapped, self._torch_optimizer(), state["shards"])
        self.lr_scheduler.load_state_dict({**state["schedule"], "lr_lambdas": [None] * len(self.lr_scheduler.base_lrs)})
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _read_whole(self, found: Path) -> None:
        result = self.model.load_state_dict(load_file(found / checkpoint.MODEL), strict=False)
        missing = set(result.missing_keys) - set(self.model.all_tied_weights_keys)  # written once, under a shared name
        assert not result.unexpected_keys and not missing, result

    def _load_rng_state(self, checkpoint_folder: str | None) -> None:
        if checkpoint_folder is not None:
            path = Path(checkpoint_folder)
            numbers, rng = self._generators(path)
            if self._kind == "ddp":
                checkpoint.load_rng(path, checkpoint.read_state(path)["rng"])
            elif numbers.is_file():  # more processes than then: a fresh one
                checkpoint.load_rng(path, read_json(numbers), rng.name)
            self._recorded = int(self.state.global_step)
        self.meter.restart()
