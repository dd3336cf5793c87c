"""The discipline every stage shares, laid over transformers' Trainer.

It has a data cursor, atomic checkpoints with exact resume (``train.saving``), ``metrics.jsonl``, a meter, a watch that
lets no NaN pass, and saves when it is told to stop. What the plain Trainer spends beyond a bare loop was measured and
is not spent here: the fp32 copy of the batch's logits that accelerate makes under autocast and the loss's own
(``train.loss`` returns no logits), and a count of all parameters every micro-step for a FLOP figure that leaves
attention out (``floating_point_ops``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback

from eval import parallel
from eval.device import Machine
from train import checkpoint, sharded, zero
from train.arguments import training_arguments
from train.data import MicroBatches
from train.job import Job, RunSettings
from train.meter import Meter
from train.saving import Saving
from train.schedule import share_of_peak
from train.spikes import NOT_TAKEN, NotFinite, Watch, next_sample
from workbench.console import Progress, clock, note
from workbench.errors import ConfigError
from workbench.runs.metrics import Metrics
from workbench.runs.spikes import Spike
from workbench.stopping import saving_first


class _RollBack(Exception):
    """Leaves the Trainer's loop in the middle of a step that is not taken."""


class Discipline(Saving):
    """See the module's docstring."""

    stopped_by: str | None = None  # the signal that asked to stop

    def __init__(
        self, settings: RunSettings, job: Job, machine: Machine, book: Metrics, bar: Progress, *, unscored: bool = False
    ) -> None:
        """Stand before the first step; the score before it is still to be made if ``unscored``.

        Raises:
            ConfigError: If one of ``report_to`` cannot be used.
        """
        arguments, world = training_arguments(settings, job, machine.precision), parallel.world()
        try:  # the Trainer looks for the integrations that it reports to
            super().__init__(model=job.model, args=arguments, train_dataset=range(job.samples))
        except (ImportError, RuntimeError) as error:
            if not settings.report_to:
                raise
            found = f"{', '.join(settings.report_to)} cannot be used ({str(error).splitlines()[0]})"
            raise ConfigError("report_to", found, "pip install it, or leave it out") from error
        self.remove_callback(PrinterCallback)
        self.settings, self.job, self.book, self.bar, self.unscored = settings, job, book, bar, unscored
        self.meter = Meter(job.shape, job.seq_len, devices=world, device_name=machine.name)
        self.watch = Watch(settings.spikes)
        total = job.steps * job.accumulation
        self.micro_batches = MicroBatches(job.order, job.micro_batch, total, rank=parallel.rank(), world=world)
        self._step_loss: torch.Tensor | None = None
        self._tokens = 0  # ids of this step, on this device
        self._events: list[str] = []
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
        checkpoint.check_room(self.settings.out, (self.settings.checkpoint.keep + 1) * self.checkpoint_bytes())
        if found is not None:
            self._events.append(checkpoint.going_on(found))
        with saving_first(lambda name: setattr(self, "stopped_by", name)):
            while True:
                if found is not None:
                    self.take_up(found)
                try:
                    self.train(resume_from_checkpoint=None if found is None else str(found))
                    return
                except _RollBack:
                    found = self._roll_back()

    def prepared(self) -> None:
        """Let DeepSpeed's step wait for ours, and score before the first one."""
        if self._kind.startswith("zero"):
            zero.hold_step(self.model_wrapped, self.accelerator.deepspeed_engine_wrapped)
        if self.unscored and self.state.global_step == 0:
            self.book.write({"step": 0, "tokens": 0, **self.score()})

    def score(self) -> dict[str, float]:
        """Score on held-out data: the first process alone, or all where none has all weights."""
        return sharded.scored(self._kind, self.model, self.job.score)

    # --- data -------------------------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return micro-batches from the cursor on: the collate function takes the numbers of a whole batch."""
        self.micro_batches.cursor = self._consumed
        self.micro_batches.skipped = tuple(self.watch.skipped)
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=self.micro_batches,
            collate_fn=self.job.collate,
            pin_memory=self.args.dataloader_pin_memory,
            generator=torch.Generator(),  # its own: else making a loader would draw from the generator of the run
        )
        return loader

    def get_batch_samples(self, *arguments: Any) -> Any:
        """Fetch a step's micro-batches, and see how long that takes."""
        began = time.perf_counter()
        out = super().get_batch_samples(*arguments)
        self.meter.wait(time.perf_counter() - began)
        return out

    # --- a step -----------------------------------------------------------------------------------------------------

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Return our schedule, a pure function of the step."""
        if self.lr_scheduler is None:
            steps, optim = self.job.steps, self.settings.optim
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,
                lambda step: share_of_peak(step, steps, optim) * self.watch.rate_factor(step),
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
        self._consumed = self.micro_batches.after(self._consumed)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Judge the step between backward and the optimizer: the last moment to keep a bad step out of the weights."""
        divided = self._kind.startswith("zero")
        norm = zero.grad_norm(model) if divided else super()._get_grad_norm(model, grad_norm=grad_norm)
        assert self._step_loss is not None
        loss, self._stopping = parallel.agree(float(self._step_loss), self.stopped_by is not None)
        self._step_loss = torch.tensor(loss, dtype=torch.float64)
        size = math.nan if norm is None else float(norm)
        self.check_step(loss, size)
        found = self.watch.judge(loss, size)
        if found is not None:
            self._answer(*found)
        if divided and not (found and self._spike and self._spike.action == NOT_TAKEN):
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
        return None if self._kind.startswith("zero") else super()._clip_grad_norm(model)

    def check_step(self, loss: float, grad_norm: float) -> None:
        """Decide whether the step may be taken. A loss that is not finite ends the run; the weights are still good.

        Args:
            loss: The step's, mean over its predicted ids.
            grad_norm: Before clipping. With fp16 an infinite one is the loss scaler's business: it skips the step.

        Raises:
            NotFinite: With the step, after it has been written to ``metrics.jsonl``.
        """
        if math.isfinite(loss) and (math.isfinite(grad_norm) or self.args.fp16):
            return
        step = self.state.global_step + 1
        where = f"step {step}, samples {self._step_from:,} to {self._consumed - 1:,} of the order of the data"
        self.book.write({"step": step, "loss": loss, "grad_norm": grad_norm, "events": [f"stopped: {where}"]})
        wrong = f"loss is {loss}" if not math.isfinite(loss) else f"grad_norm is {grad_norm}"
        remedy = "the step was not taken: look at its documents, or lower optim.lr"
        raise NotFinite(f"{self.settings.out}: {wrong} at {where}; {remedy}")

    # --- spikes -----------------------------------------------------------------------------------------------------

    def _answer(self, cause: Literal["loss", "grad_norm"], value: float, expected: float, deviations: float) -> None:
        """Do what the policy says about a step that is a spike."""
        watch, step = self.watch, int(self.state.global_step)
        action = str(watch.settings.action)
        target = self._newest_complete() if action == "rollback" else None
        if action == "rollback" and (target is None or self._rollbacks >= watch.settings.rollbacks):
            action = "skip"  # nothing to go back to, or it has not helped so far
        samples = (next_sample(self._step_from, watch.skipped), self._consumed)
        said = watch.told(action, target.name if target else "")
        names = dict.fromkeys(name for k in range(*samples) for name in self.job.documents(self.job.order[k]))
        self._spike = Spike(step + 1, cause, value, expected, deviations, said, samples, tuple(names))
        if parallel.first():
            note(self._spike.text)
        if action == "skip" and self._kind.startswith("zero"):
            zero.drop_gradients(self.model_wrapped)
        elif action == "skip":
            for parameter in self.model.parameters():
                parameter.grad = None  # AdamW passes over what has no gradient: no moment, no decay
        elif action == "lower":
            factor = watch.lower(step)
            for group in self.optimizer.param_groups:
                group["lr"] *= factor
            self.lr_scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]  # what is reported
        else:
            watch.leave_out(samples)
            raise _RollBack

    def _roll_back(self) -> Path:
        """Return the checkpoint to go back to, with the metrics as they were then and the event on record."""
        found, spike = self._newest_complete(), self._spike
        assert found is not None and spike is not None
        self._rollbacks += 1
        parallel.wait()
        step, tokens = checkpoint.step_of(found), checkpoint.read_state(found)["tokens"]
        self.book.rewind(step)
        self.book.write({"step": step, "tokens": tokens, "events": [spike.text], "spike": spike.as_dict()})
        self._spike = self._step_loss = None
        self._tokens = 0
        self.job.figures.clear()
        self.model.zero_grad()
        return found

    def _newest_complete(self) -> Path | None:
        """The first process looks, since looking clears what was cut off: it could be what another begins to write."""
        return parallel.by_first(lambda: checkpoint.newest_complete(self.settings.out))

    # --- after a step -----------------------------------------------------------------------------------------------

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm: Any, *others: Any, **named: Any) -> None:
        """After a step: write its row, evaluate and save when it is time. The Trainer's own are switched off."""
        step, steps, settings = int(self.state.global_step), self.job.steps, self.settings
        if step == self._recorded or self._step_loss is None:  # it is called once more at the end of the data
            return
        self._recorded, self._step_from = step, self._consumed
        tr_loss.zero_()
        row = self._row(step, float(self._step_loss), grad_norm, named.get("learning_rate"))
        self._step_loss = None
        if (every := settings.eval.every) and step % every == 0 and step < steps:
            row.update(self.score())
        if parallel.world() == 1:  # nobody to ask: a signal during this step stops after it
            self._stopping = self.stopped_by is not None
        if self._stopping:
            self.stopped_by = self.stopped_by or "a signal to another process"
            row.setdefault("events", []).append(f"stopped by {self.stopped_by}")
            self.control.should_training_stop = True
        self.book.write(row)
        if self.args.report_to:
            self.log({key: value for key, value in row.items() if isinstance(value, float) and math.isfinite(value)})
        if self._stopping or settings.checkpoint.due(step, steps):
            self._save_checkpoint(self.model, None)
        self.meter.restart()

    def _row(self, step: int, loss: float, norm: Any, rate: float | None) -> dict[str, Any]:
        figures = self.job.figures
        numbers = [float(self._tokens), *(float(torch.stack(values).mean()) for values in figures.values())]
        tokens, *means = parallel.mean(numbers) if figures else numbers
        tokens, self._tokens = round(tokens * parallel.world()), 0
        self.meter.step(tokens)
        speed, left = self.meter.read(), self.meter.seconds_left((self.job.steps - step) * tokens)
        said = f"{speed.tokens_per_second:,.0f} tokens/s · {speed.tflops:.3g} TFLOP/s · {clock(left)} left"
        self.bar.advance(1, f"loss {loss:.3f} · {said}")
        row: dict[str, Any] = {"step": step, "loss": loss, "grad_norm": None if norm is None else float(norm)}
        row |= {"lr": rate, **self.meter.figures(), **dict(zip(figures, means, strict=True))}
        figures.clear()
        if self._events:
            row["events"], self._events = self._events, []
        if self._spike is not None:
            row.setdefault("events", []).append(self._spike.text)
            row["spike"], self._spike = self._spike.as_dict(), None
        return row
