"""PPO's loop: collect (``train.ppo_batch``), update. A step is a function of weights, its number and settings alone.

Of each minibatch a device takes its share, and gradients are summed once an update: minibatches are those of the whole
batch on any number of devices. They come from (seed, numbers), not from a generator's state.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval import parallel, value_head
from eval.draw import by_length
from eval.packing import IGNORED
from eval.packing import batch as packed
from tokenizer.shards import TokenShards
from train import checkpoint, ppo_math
from train.data import Order
from train.loss import summed_loss
from train.meter import Meter, shape_of
from train.ppo_batch import Batch, Collector
from train.schedule import share_of_peak
from train.spikes import NotFinite
from workbench.console import Progress, clock
from workbench.errors import InputError
from workbench.files import write_json
from workbench.runs.metrics import Metrics, trim
from workbench.stopping import saving_first

SAMPLES = "samples.jsonl"
FIGURES = ("policy_loss", "value_loss", "bonus", "clip_share", "step_kl", "penalty")  # means over a step's updates


@dataclass(eq=False)
class Ppo(Collector):
    """See the module's docstring."""

    ptx: TokenShards | None
    metrics: Metrics
    bar: Progress
    stopped_by: str | None = field(default=None, init=False)  # the signal that asked to stop
    events: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Stand before the first step."""
        super().__post_init__()
        settings, models, prompts, optim = self.settings, self.models, self.prompts, self.settings.optim
        groups = [
            {"params": [p for p in models.trained if p.ndim > 1], "weight_decay": optim.weight_decay},
            {"params": [p for p in models.trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, optim.lr, (optim.beta1, optim.beta2), optim.epsilon)
        if settings.recompute == "full":
            models.policy.gradient_checkpointing_enable({"use_reentrant": False})
        shape = shape_of(models.policy)
        length = settings.rollout.max_new + sum(len(p.ids) for p in prompts) // len(prompts)
        self.meter = Meter(shape, length, devices=parallel.world())  # drawing, scoring, reference: a third of it each
        frozen = 0 if models.adapter is None else shape.parameters - shape.input_embedding
        updates = settings.epochs * replace(shape, frozen=frozen).flops_per_token(length)
        self.meter.flops += updates / parallel.world()

    def go(self) -> None:
        """Train to the end or to a stop signal, from the newest complete checkpoint on.

        Raises:
            NotFinite: If a gradient becomes NaN or infinite.
            OutputError: If there is no room for a checkpoint.
        """
        out, settings = self.settings.out, self.settings
        checkpoint.check_room(out, (settings.checkpoint.keep + 1) * self._bytes())

        def begin() -> Path | None:
            done = checkpoint.newest_complete(out)
            at = 0 if done is None else checkpoint.step_of(done)
            self.metrics.rewind(at)
            trim(out, at, SAMPLES)
            return done

        if (done := parallel.by_first(begin)) is not None:
            self.load(done)
        self.bar.advance(self.step)
        stopping = False
        with saving_first(lambda name: setattr(self, "stopped_by", name)):
            while self.step < settings.steps and not stopping:
                self.meter.restart()
                row = self._do_step()
                if stopping := parallel.agree(0.0, self.stopped_by is not None)[1]:
                    by = self.stopped_by or "a signal to another process"
                    row.setdefault("events", []).append(f"stopped by {by}")
                self.metrics.write(row)
                if stopping or settings.checkpoint.due(self.step, settings.steps):
                    self.save()

    def _do_step(self) -> dict[str, Any]:
        settings, began = self.settings, time.perf_counter()
        rate = settings.optim.lr * share_of_peak(self.step, settings.steps, settings.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.collect()
        drawn = time.perf_counter() - began
        figures, norm = self.update(batch)
        kls, lengths = ppo_math.answer_kl(batch.logp, batch.reference, batch.mask), batch.mask.sum(1)
        tokens = sum(map(len, batch.prompts)) + int(lengths.sum())
        self.meter.step(tokens)
        self.step += 1
        ended = [answer[-1] == self.tokenizer.eos_token_id for answer in batch.answers]
        row: dict[str, Any] = {
            "step": self.step,
            "loss": figures.pop("loss"),
            "grad_norm": norm,
            "lr": rate,
            **self.meter.figures(),
            "draw_seconds": round(drawn, 3),
            "reward": float(batch.scores.mean()),
            "reward_deviation": float(batch.scores.std(correction=0)),
            "kl": float(kls.mean()),
            "kl_coefficient": self.coefficient,
            "entropy": float(ppo_math.masked_mean(batch.entropy, batch.mask)),
            "explained_variance": ppo_math.explained_variance(batch.values, batch.returns, batch.mask),
            "length": float(lengths.float().mean()),
            "finished": sum(ended) / len(ended),
            **figures,
        }
        if (target := settings.kl.target) is not None:
            self.coefficient = ppo_math.next_coefficient(self.coefficient, row["kl"], target, settings.kl.rate)
        if self.events:
            row["events"], self.events = self.events, []
        if parallel.first():
            self._write_samples(batch, kls)
        left = clock(self.meter.seconds_left((settings.steps - self.step) * tokens))
        told = f"reward {row['reward']:.3f} · KL {row['kl']:.2f} · length {row['length']:.0f} · {left} left"
        self.bar.advance(1, told)
        return row

    def update(self, batch: Batch) -> tuple[dict[str, float], float]:
        """Go over a batch in minibatches; returns the figures' means and the largest gradient norm before clipping."""
        settings, count = self.settings, len(batch.answers)
        lengths = [len(p) + len(a) for p, a in zip(batch.prompts, batch.answers, strict=True)]
        totals, worst, updates = torch.zeros(len(FIGURES) + 1, dtype=torch.float64), 0.0, 0
        self.models.policy.train()  # recomputation works in this mode alone; there is no dropout
        for epoch in range(settings.epochs):
            order = np.random.default_rng([settings.seed, self.step, epoch]).permutation(count)
            for low in range(0, count, settings.minibatch):
                whole = order[low : low + settings.minibatch]
                mine, tokens = whole[parallel.rank() :: parallel.world()], int(batch.mask[whole].sum())
                for part in by_length([lengths[i] for i in mine], settings.micro_batch):
                    totals[:-1] += self.backward(batch, [int(mine[n]) for n in part], tokens)
                if self.ptx is not None:
                    number = self.step * settings.epochs * (count // settings.minibatch) + updates
                    totals[-1] += self.backward_ptx(self.ptx, number)
                worst, updates = max(worst, self._take()), updates + 1
        self.models.policy.eval()
        if parallel.world() > 1:
            parallel.sum_up([totals])
        *means, ptx = (totals / updates).tolist()
        figures = dict(zip(FIGURES, means, strict=True))
        loss = figures["policy_loss"] + settings.value_coefficient * figures["value_loss"]
        loss += figures.pop("penalty") + settings.ptx.coefficient * ptx
        loss -= settings.entropy_coefficient * figures.pop("bonus")
        return {"loss": loss, **figures, **({} if self.ptx is None else {"ptx_loss": ptx})}, worst

    def backward(self, batch: Batch, rows: list[int], tokens: int) -> Tensor:
        """Add the gradients of some of a minibatch's answers; returns their part of the figures.

        Args:
            batch: The step's.
            rows: Which answers.
            tokens: Of the minibatch's answers, on all devices.
        """
        settings, models = self.settings, self.models
        now = self.score(models.policy, models.head, batch.prompts, batch.answers, rows)
        some = (batch.logp, batch.advantages, batch.values, batch.returns, batch.reference)
        drawn, advantages, before, returns, held = (x[rows, : now.mask.shape[1]].to(self.device) for x in some)
        penalty = torch.zeros_like(drawn)
        if settings.estimator == "rloo":  # the whole answer is one action, and each counts the same
            ours, theirs = (torch.where(now.mask, x, 0).sum(1, keepdim=True) for x in (now.logp, drawn))
            one, each = torch.ones_like(now.mask[:, :1]), tokens / settings.minibatch
            policy, clipped = ppo_math.policy_losses(ours, theirs, advantages[:, :1], one, settings.clip)
            policy, clipped = each * policy, each * clipped
        else:
            policy, clipped = ppo_math.policy_losses(now.logp, drawn, advantages, now.mask, settings.clip)
        if settings.estimator == "grpo":  # times the ratio: that makes its gradient the KL's (arXiv 2512.02556)
            ratio = torch.where(now.mask, now.logp - drawn, 0).exp()
            penalty = self.coefficient * ratio * ppo_math.kl_terms(now.logp, held, now.mask)
        value = ppo_math.value_losses(now.values, before, returns, now.mask, settings.value_clip)
        bonus, moved = torch.where(now.mask, now.entropy, 0), ppo_math.kl_terms(drawn, now.logp, now.mask)
        loss = policy.sum() + penalty.sum() + settings.value_coefficient * value.sum()
        torch.autograd.backward((loss - settings.entropy_coefficient * bonus.sum()) / tokens)
        figures = torch.stack([x.detach().sum() for x in (policy, value, bonus, clipped, moved, penalty)])
        return figures.double().cpu() / tokens

    def backward_ptx(self, shards: TokenShards, number: int) -> float:
        """Add the gradient of an update's pre-training loss; returns this device's part of the loss."""
        settings, total = self.settings.ptx, 0.0
        rows, order = self.models.policy.get_input_embeddings().num_embeddings, Order(len(shards), self.settings.seed)
        whole = packed(shards, [order[number * settings.sequences + n] for n in range(settings.sequences)], rows)
        count = int((whole["labels"][:, 1:] != IGNORED).sum())
        mine = {key: x[parallel.rank() :: parallel.world()].to(self.device) for key, x in whole.items()}
        for at in range(0, len(mine["labels"]), self.settings.micro_batch):
            part = {key: x[at : at + self.settings.micro_batch] for key, x in mine.items()}
            labels = part.pop("labels")
            with self.autocast():
                states = self.models.policy.base_model(**part, use_cache=False).last_hidden_state
                loss = summed_loss(self.models.policy, states, labels) / count
            torch.autograd.backward(settings.coefficient * loss)
            total += float(loss.detach())
        return total

    def _take(self) -> float:
        """Sum the gradients over the devices, clip, and take the update; returns their norm before clipping."""
        for parameter in self.models.trained:
            if parameter.grad is None:  # a device without a share of this minibatch still takes part in the sum
                parameter.grad = torch.zeros_like(parameter)
        if parallel.world() > 1:
            parallel.sum_up([parameter.grad for parameter in self.models.trained if parameter.grad is not None])
        most = self.settings.optim.grad_clip
        norm = float(torch.nn.utils.clip_grad_norm_(self.models.trained, math.inf if most is None else most))
        if not math.isfinite(norm):
            step, out = self.step + 1, self.settings.out
            self.metrics.write({"step": step, "grad_norm": norm, "events": [f"stopped: step {step}"]})
            found = f"the gradient is {norm} at step {step}; the update was not taken"
            raise NotFinite(f"{out}: {found}: look at {SAMPLES}, or lower optim.lr")
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def _write_samples(self, batch: Batch, kls: Tensor) -> None:
        with (self.settings.out / SAMPLES).open("a", encoding="utf-8") as file:
            for n in range(min(self.settings.samples, len(batch.answers))):
                row = {
                    "step": self.step,
                    "prompt": self.tokenizer.decode(list(batch.prompts[n])),
                    "answer": self.tokenizer.decode(batch.answers[n], skip_special_tokens=True),
                    "score": float(batch.scores[n]),
                    "kl": float(kls[n]),
                    "tokens": len(batch.answers[n]),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _bytes(self) -> int:
        return 12 * sum(int(parameter.numel()) for parameter in self.models.trained)  # and AdamW's two moments

    def save(self) -> None:
        """Write a checkpoint: what is trained, and all that the next step depends on."""

        def write(folder: Path) -> list[Path]:
            if not parallel.first():
                return []
            checkpoint.save_trained(self.models.policy, folder)
            value_head.save(self.models.head, folder)
            state = {
                "cursor": self.step * self.settings.prompts,
                "kl_coefficient": self.coefficient,
                "tokens": self.meter.tokens,
                "seconds": self.meter.seconds,
                "optimizer": checkpoint.save_optimizer(self.optimizer, folder),
                "rng": checkpoint.save_rng(folder),  # a reward function may draw from it
            }
            write_json(folder / checkpoint.STATE, state)
            return [*folder.iterdir()]

        checkpoint.save(self.settings.out, self.step, write, self._bytes())
        checkpoint.prune(self.settings.out, self.settings.checkpoint)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            InputError: If it has no value head.
        """
        if not value_head.load(path, self.models.head):
            raise InputError(path, f"has no {value_head.NAME}, so it is none of stage=ppo", "remove it, or the run")
        checkpoint.load_trained(self.models.policy, path)
        state = checkpoint.read_state(path)
        self.step, self.coefficient = checkpoint.step_of(path), float(state["kl_coefficient"])
        self.meter.resume(int(state["tokens"]), float(state["seconds"]))
        checkpoint.load_optimizer(self.optimizer, path, state["optimizer"])
        checkpoint.load_rng(path, state["rng"])
        self.events.append(checkpoint.going_on(path))
