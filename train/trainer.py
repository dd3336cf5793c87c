"""The discipline every stage shares, laid over transformers' Trainer (and so over TRL's, which are Trainers too).

A stage's trainer is ``class X(Discipline, SomeTrainer)``: ``attach`` gives it the run, and from then on it has a data
cursor, atomic checkpoints with exact resume, ``metrics.jsonl``, a meter, a watch that lets no NaN pass, and saves when
it is told to stop. What the plain Trainer spends beyond a bare loop was measured and is not spent here: the fp32 copy
of the batch's logits that accelerate makes under autocast and the loss's own (``train.loss`` returns no logits), and a
count of all parameters every micro-step for a FLOP figure that leaves attention out (``floating_point_ops``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from train import checkpoint, parallel, sharded
from train.checkpoint import CheckpointSettings
from train.data import MicroBatches
from train.meter import Meter, clock
from train.schedule import OptimSettings, share_of_peak
from train.spikes import Span, Spike, SpikeSettings, Watch, next_sample
from workbench.console import Progress, note
from workbench.errors import GateFailed
from workbench.files import read_json, write_json
from workbench.runs.metrics import Metrics
from workbench.stopping import saving_first


@dataclass(frozen=True)
class Run:
    """What a trainer needs to know of its run."""

    folder: Path
    steps: int
    samples: int  # how many the data has
    collate: Callable[[list[int]], dict[str, torch.Tensor]]  # numbers of samples -> a batch for the model
    micro_batches: MicroBatches
    optim: OptimSettings
    checkpoints: CheckpointSettings
    meter: Meter
    metrics: Metrics
    bar: Progress
    score: Callable[[], dict[str, float]] = dict  # on held-out data
    score_every: int | None = None  # steps
    watch: Watch = field(default_factory=lambda: Watch(SpikeSettings(action=None)))
    trained_only: bool = False  # LoRA: checkpoints hold what is trained, the base does not change
    documents: Callable[[int], list[str]] = lambda sample: []  # the document ids of a sample
    figures: dict[str, list[torch.Tensor]] = field(default_factory=dict)  # the loss appends what else it knows
    kind: str = "ddp"  # the setting ``parallel``
    unscored: bool = False  # the score before the first step is still to be made


NOT_TAKEN = "the step is not taken"


class NotFinite(GateFailed):
    """The loss or its gradient became NaN or infinite: nothing after that step would mean anything."""


class _RollBack(Exception):
    """Leaves the Trainer's loop in the middle of a step that is not taken."""


class Discipline(Trainer):  # type: ignore[misc]  # transformers carries no types
    """See the module's docstring."""

    run: Run
    stopped_by: str | None = None  # the signal that asked to stop
    lr_scheduler: Any
    model: Any

    def attach(self, run: Run) -> None:
        """Give the trainer its run; once, before ``train``."""
        self.run = run
        self.remove_callback(PrinterCallback)
        self._step_loss: torch.Tensor | None = None
        self._consumed = 0  # samples of the order, by all devices
        self._step_from = 0  # the first of them in this step
        self._tokens = 0  # ids of this step, on this device
        self._events: list[str] = []
        self._recorded = 0
        self._stopping = False  # agreed by all processes, once a step
        self._spike: Spike | None = None
        self._rollbacks = 0

    def go(self, found: Path | None) -> None:
        """Train to the end or to a stop signal.

        Args:
            found: The checkpoint to go on from (``checkpoint.newest_complete``), None to begin.

        Raises:
            NotFinite: If the loss or its gradient becomes NaN or infinite.
            OutputError: If there is no room for a checkpoint.
        """
        # before the first step, not after the first hundred
        checkpoint.check_room(self.run.folder, (self.run.checkpoints.keep + 1) * self._checkpoint_bytes())
        if found is not None:
            if parallel.first():
                note(f"going on from {found.name}")
            self._events.append(f"resumed from {found.name}")
        with saving_first(self._stop):
            while True:
                if found is not None:
                    self._take_up(checkpoint.read_state(found))
                try:
                    self.train(resume_from_checkpoint=None if found is None else str(found))
                    return
                except _RollBack:
                    found = self._roll_back()

    def _stop(self, name: str) -> None:
        self.stopped_by = name

    def _prepare_for_training(self, max_steps: int, loader: Any, found: str | None) -> Any:
        """Let the Trainer wrap model and optimizer; what it cannot read back of a divided model is read here."""
        run, ours = self.run, self.run.kind != "ddp"
        out = super()._prepare_for_training(max_steps, loader, None if ours else found)
        if run.kind.startswith("zero"):
            sharded.hold_step(self.model_wrapped, self.accelerator.deepspeed_engine_wrapped)
        if run.unscored and self.state.global_step == 0:
            run.metrics.write({"step": 0, "tokens": 0, **self.score()})
        if ours and found is not None:
            shards = checkpoint.read_state(Path(found))["shards"]
            sharded.read_shards(Path(found), run.kind, self.model_wrapped, self._torch_optimizer(), shards)
            self._load_optimizer_and_scheduler(found)
        return out

    def score(self) -> dict[str, float]:
        """Score on held-out data: the first process alone, or all where none has all weights."""
        if self.run.kind == "fsdp2":
            return sharded.scored(self.model, self.run.score)
        return self.run.score() if parallel.first() or self.run.kind in sharded.WEIGHTS_DIVIDED else {}

    # --- data -------------------------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return micro-batches from the cursor on."""
        self.run.micro_batches.cursor = self._consumed
        self.run.micro_batches.skipped = tuple(self.run.watch.skipped)
        loader: DataLoader[Any] = DataLoader(
            _Numbers(self.run.samples),
            batch_sampler=self.run.micro_batches,
            collate_fn=self.run.collate,
            pin_memory=self.args.dataloader_pin_memory,
            generator=torch.Generator(),  # its own: else making a loader would draw from the generator of the run
        )
        return loader

    def get_batch_samples(self, *arguments: Any) -> Any:
        """Fetch a step's micro-batches, and see how long that takes."""
        began = time.perf_counter()
        out = super().get_batch_samples(*arguments)
        self.run.meter.wait(time.perf_counter() - began)
        return out

    # --- a step -----------------------------------------------------------------------------------------------------

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Return our schedule, a pure function of the step."""
        if self.lr_scheduler is None:
            steps, optim = self.run.steps, self.run.optim
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,
                lambda step: share_of_peak(step, steps, optim) * self.run.watch.rate_factor(step),
            )
            self._created_lr_scheduler = True
        scheduler: LambdaLR = self.lr_scheduler
        return scheduler

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: the meter counts, once, with attention."""
        return 0

    def training_step(self, model: Any, inputs: Any, *others: Any) -> torch.Tensor:
        """Do one micro-step; remember its loss and what it consumed."""
        self._tokens += int(inputs["lengths"].sum()) if "lengths" in inputs else inputs["input_ids"].numel()
        loss: torch.Tensor = super().training_step(model, inputs, *others)
        self._step_loss = loss if self._step_loss is None else self._step_loss + loss
        batches = self.run.micro_batches
        self._consumed = next_sample(self._consumed, batches.skipped) + batches.size * batches.world
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Judge the step between backward and the optimizer: the last moment to keep a bad step out of the weights."""
        zero = self.run.kind.startswith("zero")
        norm = sharded.grad_norm(model) if zero else super()._get_grad_norm(model, grad_norm=grad_norm)
        assert self._step_loss is not None
        loss, self._stopping = parallel.agree(float(self._step_loss), self.stopped_by is not None)
        self._step_loss = torch.tensor(loss, dtype=torch.float64)
        size = math.nan if norm is None else float(norm)
        self.check_step(loss, size)
        found = self.run.watch.judge(loss, size)
        if found is not None:
            self._answer(*found)
        if zero and not (found and self._spike and self._spike.action == NOT_TAKEN):
            model.step()  # the engine clips, and the optimizer beneath it does nothing by itself
        return norm

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        self.model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.model.set_requires_gradient_sync(True)

    def _clip_grad_norm(self, model: Any) -> Any:
        return None if self.run.kind.startswith("zero") else super()._clip_grad_norm(model)

    # --- spikes -----------------------------------------------------------------------------------------------------

    def _answer(self, cause: Literal["loss", "grad_norm"], value: float, expected: float, deviations: float) -> None:
        """Do what the policy says about a step that is a spike."""
        watch, step = self.run.watch, int(self.state.global_step)
        settings, action = watch.settings, str(watch.settings.action)
        target = self._newest_complete() if action == "rollback" else None
        if action == "rollback" and (target is None or self._rollbacks >= settings.rollbacks):
            action = "skip"  # nothing to go back to, or it has not helped so far
        samples = (next_sample(self._step_from, watch.skipped), self._consumed)
        said = {
            "skip": NOT_TAKEN,
            "lower": f"the rate is x {settings.lower_to} for {settings.lower_steps} steps",
            "rollback": f"back to {target.name if target else ''}, its batch is left out",
        }
        names = dict.fromkeys(
            name for k in range(*samples) for name in self.run.documents(self.run.micro_batches.order[k])
        )
        self._spike = Spike(step + 1, cause, value, expected, deviations, said[action], samples, tuple(names))
        if parallel.first():
            note(self._spike.text)
        if action == "skip" and self.run.kind.startswith("zero"):
            sharded.drop_gradients(self.model_wrapped)
        elif action == "skip":
            for parameter in self.model.parameters():
                parameter.grad = None  # AdamW passes over what has no gradient: no moment, no decay
        elif action == "lower":
            watch.lowered.append((step, step + settings.lower_steps))
            for group in self.optimizer.param_groups:
                group["lr"] *= settings.lower_to
            self.lr_scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]  # what is reported
        else:
            self._skip_around(samples)
            raise _RollBack

    def _skip_around(self, samples: Span) -> None:
        """Leave out a step's samples and those of the steps before it."""
        watch, size = self.run.watch, samples[1] - samples[0]
        low = max(0, samples[0] - watch.settings.skip_before * size)
        watch.skipped = sorted([*watch.skipped, (low, samples[1])])

    def _roll_back(self) -> Path:
        """Return the checkpoint to go back to, with the metrics as they were then and the event on record."""
        found = self._newest_complete()
        assert found is not None and self._spike is not None
        self._rollbacks += 1
        parallel.wait()
        self.run.metrics.rewind(checkpoint.step_of(found))
        at = checkpoint.read_state(found)["tokens"]
        spike = self._spike
        row = {"step": checkpoint.step_of(found), "tokens": at, "events": [spike.text], "spike": spike.as_dict()}
        self.run.metrics.write(row)
        self._spike = self._step_loss = None
        self._tokens = 0
        self.run.figures.clear()
        self.model.zero_grad()
        return found

    def _newest_complete(self) -> Path | None:
        """The first process looks, since looking clears what was cut off: it could be what another begins to write."""
        return parallel.by_first(lambda: checkpoint.newest_complete(self.run.folder))

    def check_step(self, loss: float, grad_norm: float) -> None:
        """Decide whether the step may be taken. A loss that is not finite ends the run; the weights are still good.

        Args:
            loss: The step's, mean over its predicted ids.
            grad_norm: Before clipping. With fp16 an infinite one is the loss scaler's business: it skips the step.

        Raises:
            NotFinite: With the step, after it has been written to ``metrics.jsonl``.
        """
        wrong = "loss" if not math.isfinite(loss) else "grad_norm"
        if math.isfinite(loss) and (math.isfinite(grad_norm) or self.args.fp16):
            return
        step = self.state.global_step + 1
        where = f"step {step}, samples {self._step_from:,} to {self._consumed - 1:,} of the order of the data"
        self.run.metrics.write({"step": step, "loss": loss, "grad_norm": grad_norm, "events": [f"stopped: {where}"]})
        value = loss if wrong == "loss" else grad_norm
        raise NotFinite(
            f"{self.run.folder}: {wrong} is {value} at {where}; the step was not taken:"
            " look at its documents, or lower optim.lr"
        )

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm: Any, *others: Any, **named: Any) -> None:
        """After a step: write its row, evaluate and save when it is time. The Trainer's own are switched off."""
        step = int(self.state.global_step)
        if step == self._recorded or self._step_loss is None:  # it is called once more at the end of the data
            return
        self._recorded, self._step_from = step, self._consumed
        tr_loss.zero_()
        norm = None if grad_norm is None else float(grad_norm)
        row = self._row(step, float(self._step_loss), norm, named.get("learning_rate"))
        self._step_loss = None
        run, last = self.run, step >= self.run.steps
        if run.score_every and step % run.score_every == 0 and not last:
            row.update(self.score())
        due = run.checkpoints.every is not None and step % run.checkpoints.every == 0
        if parallel.world() == 1:  # nobody to ask: a signal during this step stops after it
            self._stopping = self.stopped_by is not None
        if self._stopping:
            self.stopped_by = self.stopped_by or "a signal to another process"
            row.setdefault("events", []).append(f"stopped by {self.stopped_by}")
            self.control.should_training_stop = True
        run.metrics.write(row)
        if self.args.report_to:
            self.log({key: value for key, value in row.items() if isinstance(value, float) and math.isfinite(value)})
        if due or last or self._stopping:
            self._save_checkpoint(self.model, None)
        run.meter.restart()

    def _row(self, step: int, loss: float, norm: float | None, rate: float | None) -> dict[str, Any]:
        run, figures = self.run, self.run.figures
        numbers = [float(self._tokens), *(float(torch.stack(values).mean()) for values in figures.values())]
        tokens, *means = parallel.mean(numbers) if figures else numbers
        tokens, self._tokens = round(tokens * parallel.world()), 0
        run.meter.step(tokens)
        speed = run.meter.read()
        left = run.meter.seconds_left((run.steps - step) * tokens)
        run.bar.advance(
            1,
            f"loss {loss:.3f} · {speed.tokens_per_second:,.0f} tokens/s · {speed.tflops:.3g} TFLOP/s"
            f" · {clock(left)} left",
        )
        row: dict[str, Any] = {
            "step": step,
            "loss": loss,
            "grad_norm": norm,
            "lr": rate,
            "tokens": run.meter.tokens,
            "seconds": round(run.meter.seconds, 3),
            "tokens_per_second": round(speed.tokens_per_second, 1),
            "tflops": round(speed.tflops, 6),
            "mfu": speed.mfu,
            "data_wait": round(speed.data_wait, 5),
        }
        row.update(zip(figures, means, strict=True))
        figures.clear()
        if self._events:
            row["events"], self._events = self._events, []
        if self._spike is not None:
            row.setdefault("events", []).append(self._spike.text)
            row["spike"], self._spike = self._spike.as_dict(), None
        return row

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def _checkpoint_bytes(self) -> int:
        """Weights and AdamW's two moments, in fp32."""
        return 12 * sum(sharded.numel(parameter) for parameter in self.model.parameters() if parameter.requires_grad)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run, step = self.run, int(self.state.global_step)
        if run.kind != "ddp":
            checkpoint.save_together(run.folder, step, self._write_part, self._checkpoint_bytes())
        elif parallel.first():
            checkpoint.save(run.folder, step, self._write_checkpoint, self._checkpoint_bytes())
        if parallel.first():
            checkpoint.prune(run.folder, run.checkpoints)
        parallel.wait()

    def _torch_optimizer(self) -> Any:
        """The optimizer beneath accelerate's wrapper, and DeepSpeed's."""
        return self.model_wrapped.optimizer.optimizer if self.run.kind != "fsdp2" else self.optimizer.optimizer

    def _write_part(self, folder: Path) -> list[Path]:
        """Write what this process has of a divided model; the first adds what is one for all."""
        kind, rng = self.run.kind, f"rng-{parallel.rank():05d}.safetensors"
        shards = sharded.write_shard(folder, kind, self.model_wrapped, self._torch_optimizer())
        numbers = folder / f"rng-{parallel.rank():05d}.json"
        write_json(numbers, checkpoint.save_rng(folder, rng))
        mine = [sharded.file_of(folder, parallel.rank(), parallel.world()), folder / rng, numbers]
        if not parallel.first():
            return mine
        self.model.config.save_pretrained(folder)
        self._write_state(folder, {"kind": kind, "shards": shards})
        return [*mine, folder / "config.json", folder / "trainer_state.json", folder / checkpoint.STATE]

    def _write_state(self, folder: Path, more: dict[str, Any]) -> None:
        self.state.save_to_json(str(folder / "trainer_state.json"))
        state = {
            "cursor": self._consumed,
            "spikes": self.run.watch.state(),
            "tokens": self.run.meter.tokens,
            "seconds": self.run.meter.seconds,
            "schedule": {k: v for k, v in self.lr_scheduler.state_dict().items() if k != "lr_lambdas"},
            **more,
        }
        write_json(folder / checkpoint.STATE, state)

    def _write_checkpoint(self, folder: Path) -> None:
        from safetensors.torch import save_file

        if self.run.trained_only:
            save_file(
                {n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters() if p.requires_grad},
                folder / checkpoint.MODEL,
            )
        else:
            self.accelerator.unwrap_model(self.model).save_pretrained(folder)
        scaler = self.accelerator.scaler
        more = {
            "optimizer": checkpoint.save_optimizer(self.optimizer, folder),
            "scaler": None if scaler is None else scaler.state_dict(),
            "rng": checkpoint.save_rng(folder),
        }
        self._write_state(folder, more)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        from safetensors.torch import load_file

        if self.run.kind != "ddp":
            return  # once it is divided
        target = self.model if model is None else model
        result = target.load_state_dict(load_file(Path(resume_from_checkpoint) / checkpoint.MODEL), strict=False)
        if self.run.trained_only:
            trained = {name for name, parameter in target.named_parameters() if parameter.requires_grad}
            may_miss = set(result.missing_keys) - trained
        else:
            may_miss = set(target.all_tied_weights_keys)  # written once, under the name of the matrix they share
        assert not result.unexpected_keys and set(result.missing_keys) <= may_miss, result

    def _take_up(self, state: dict[str, Any]) -> None:
        """Take the data cursor and the counts, before a loader is made."""
        self._consumed = self._step_from = int(state["cursor"])
        self.run.watch.load(state["spikes"])
        self.run.meter.resume(int(state["tokens"]), float(state["seconds"]))

    def _load_optimizer_and_scheduler(self, checkpoint_folder: str | None) -> None:
        if checkpoint_folder is None:
            return
        state = checkpoint.read_state(Path(checkpoint_folder))
        if self.run.kind == "ddp":
            checkpoint.load_optimizer(self.optimizer, Path(checkpoint_folder), state["optimizer"])
        self.lr_scheduler.load_state_dict({**state["schedule"], "lr_lambdas": [None] * len(self.lr_scheduler.base_lrs)})

    def _load_scaler(self, checkpoint_folder: str | None) -> None:
        if checkpoint_folder is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(checkpoint.read_state(Path(checkpoint_folder))["scaler"])

    def _load_rng_state(self, checkpoint_folder: str | None) -> None:
        if checkpoint_folder is not None:
            path = Path(checkpoint_folder)
            if self.run.kind == "ddp":
                checkpoint.load_rng(path, checkpoint.read_state(path)["rng"])
            elif (mine := path / f"rng-{parallel.rank():05d}.json").is_file():  # more processes than then: a fresh one
                checkpoint.load_rng(path, read_json(mine), mine.with_suffix(".safetensors").name)
            self._recorded = int(self.state.global_step)
        self.run.meter.restart()


class _Numbers(torch.utils.data.Dataset[int]):
    """The samples' numbers: the loader's collate function reads a whole batch from them at once."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> int:
        return i
