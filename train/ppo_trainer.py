"""PPO's loop: draw, score, estimate, update. A step is a pure function of the weights, the step's number and the settings.

Each device draws and scores its share of a step's prompts; what came of it (ids and a few numbers a token) is gathered
by all, so that whitening, advantages and minibatches are those of the whole batch on any number of devices. Of each
minibatch a device takes its share, and gradients are summed once an update. Prompts, draws and minibatches come from
(seed, numbers), not from a generator's state, so a resumed run and one on other devices see the same.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from tokenizer.shards import TokenShards
from train import checkpoint, metrics, parallel, ppo_math, value_head
from train.data import Order
from train.meter import Meter, clock, shape_of
from train.metrics import Metrics
from train.prompts import Prompt
from train.reward import Reward
from train.rollout import Scored, by_length, draw_answers, score_answers
from train.schedule import share_of_peak
from train.stopping import saving_first
from train.value_head import ValueHead
from workbench.console import note
from workbench.errors import GateFailed, InputError
from workbench.files import sha256_file, write_json, write_text

if TYPE_CHECKING:
    from train.ppo import PpoSettings, PtxSettings

SAMPLES = "samples.jsonl"
FIGURES = ("policy_loss", "value_loss", "entropy_now", "clip_share", "step_kl", "ptx_loss")  # means over the updates


class NotFinite(GateFailed):
    """A gradient became NaN or infinite: nothing after that update would mean anything."""


class Models:
    """Policy, value head and reference; under LoRA the reference is the policy with its adapter off."""

    def __init__(self, policy: Any, head: ValueHead, adapter: Any = None) -> None:
        """Freeze what is not trained; dropout is off for good, since a ratio needs the same policy twice.

        Args:
            policy: A causal language model.
            head: Its value head.
            adapter: PEFT's wrapper around the policy; None: all weights are trained, and a copy is frozen.
        """
        for module in policy.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        policy.config.attention_dropout = 0.0
        self.policy, self.head, self.adapter = policy.eval(), head, adapter
        self.frozen = None if adapter else deepcopy(policy).eval().requires_grad_(False)
        named = [*policy.named_parameters(), *head.named_parameters("value_head")]
        self.trained = {name: parameter for name, parameter in named if parameter.requires_grad}

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """Yield the model that the policy is held to."""
        if self.frozen is not None:
            yield self.frozen
        else:
            with self.adapter.disable_adapter():
                yield self.policy


@dataclass(frozen=True)
class Batch:
    """A step's answers, of all devices; tensors are (answers, max_new), scores (answers,)."""

    prompts: list[tuple[int, ...]]
    answers: list[list[int]]
    scores: Tensor
    logp: Tensor
    reference: Tensor
    values: Tensor
    entropy: Tensor
    mask: Tensor
    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True)
class Ptx:
    """The data of the pre-training loss."""

    shards: TokenShards
    order: Order
    rows: int  # of the embedding


def open_ptx(settings: PtxSettings, model: Path, rows: int, seed: int) -> Ptx | None:
    """Return the pre-training data, None if there are none.

    Raises:
        InputError: If they are no token shards, or of another tokenizer than the model's.
    """
    if settings.data is None:
        return None
    shards = TokenShards.open(settings.data, "train")
    own = model / "tokenizer.model"
    if own.is_file() and sha256_file(own) != shards.tokenizer_sha256:
        raise InputError(settings.data, f"was packed with another tokenizer than {own}", "pack it with the model's own")
    return Ptx(shards, Order(len(shards), seed), rows)


class Ppo:
    """See the module's docstring."""

    def __init__(
        self,
        settings: PpoSettings,
        models: Models,
        tokenizer: Any,
        prompts: Sequence[Prompt],
        reward: Reward,
        ptx: Ptx | None = None,
        *,
        precision: str,
        book: Metrics,
        bar: Any = None,
    ) -> None:
        """Stand before the first step.

        Args:
            settings: The run's.
            models: Policy, head, reference.
            tokenizer: Of the policy.
            prompts: What is answered.
            reward: What scores answers.
            ptx: Data of the pre-training loss.
            precision: bf16 or fp32.
            book: The run's metrics.
            bar: The run's progress; None in all processes but the first.
        """
        self.settings, self.models, self.prompts, self.reward, self.ptx = settings, models, prompts, reward, ptx
        self.tokenizer, self.metrics, self.bar, self.precision = tokenizer, book, bar, precision
        self.order = Order(len(prompts), settings.seed)
        self.device = models.policy.device
        self.step = 0
        self.coefficient = settings.kl.coefficient
        self.stopped_by: str | None = None
        self.events: list[str] = []
        decayed = [p for p in models.trained.values() if p.ndim > 1]
        rest = [p for p in models.trained.values() if p.ndim <= 1]
        optim = settings.optim
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=optim.lr,
            betas=(optim.beta1, optim.beta2),
            eps=optim.epsilon,
        )
        if settings.recompute == "full":
            models.policy.gradient_checkpointing_enable({"use_reentrant": False})
            models.policy.enable_input_require_grads()  # else a frozen embedding would cut the graph
        self.meter = Meter(shape_of(models.policy), settings.rollout.max_new, devices=parallel.world())
        self.meter.flops *= 1 + settings.epochs  # drawing, scoring and reference: a forward pass each, a third

    # --- the run ----------------------------------------------------------------------------------------------------

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
            _trim_samples(out, at)
            return done

        if (done := parallel.by_first(begin)) is not None:
            self._load(done)
        if self.bar is not None:
            self.bar.advance(self.step)
        with saving_first(self._stop):
            self.meter.restart()
            while self.step < settings.steps:
                row = self._do_step()
                stopping = parallel.agree(0.0, self.stopped_by is not None)[1]
                if stopping:
                    row.setdefault("events", []).append(
                        f"stopped by {self.stopped_by or 'a signal to another process'}"
                    )
                self.metrics.write(row)
                every = settings.checkpoint.every
                if stopping or self.step == settings.steps or (every is not None and self.step % every == 0):
                    self._save()
                if stopping:
                    return
                self.meter.restart()

    def _stop(self, name: str) -> None:
        self.stopped_by = name

    def _do_step(self) -> dict[str, Any]:
        settings = self.settings
        began = time.perf_counter()
        rate = settings.optim.lr * share_of_peak(self.step, settings.steps, settings.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.collect()
        drawn = time.perf_counter() - began
        figures, norm = self.update(batch)
        kls = ppo_math.answer_kl(batch.logp, batch.reference, batch.mask)
        lengths = batch.mask.sum(1)
        ended = [answer[-1] == self.tokenizer.eos_token_id for answer in batch.answers]
        tokens = sum(map(len, batch.prompts)) + int(lengths.sum())
        self.meter.step(tokens)
        self.step += 1
        speed = self.meter.read()
        row: dict[str, Any] = {
            "step": self.step,
            "loss": figures["policy_loss"] + settings.value_coefficient * figures["value_loss"],
            "grad_norm": norm,
            "lr": rate,
            "tokens": self.meter.tokens,
            "seconds": round(self.meter.seconds, 3),
            "tokens_per_second": round(speed.tokens_per_second, 1),
            "tflops": round(speed.tflops, 6),
            "mfu": speed.mfu,
            "data_wait": 0.0,  # the prompts are in memory
            "draw_seconds": round(drawn, 3),
            "reward": float(batch.scores.mean()),
            "reward_deviation": float(batch.scores.std(correction=0)),
            "kl": float(kls.mean()),
            "kl_coefficient": self.coefficient,
            "entropy": float(ppo_math.masked_mean(batch.entropy, batch.mask)),
            "explained_variance": ppo_math.explained_variance(batch.values, batch.returns, batch.mask),
            "length": float(lengths.float().mean()),
            "finished": sum(ended) / len(ended),
            **{key: value for key, value in figures.items() if key != "entropy_now"},
        }
        if self.ptx is not None:
            row["loss"] += settings.ptx.coefficient * figures["ptx_loss"]
        row["loss"] -= settings.entropy_coefficient * figures["entropy_now"]
        if settings.kl.target is not None:
            self.coefficient = ppo_math.next_coefficient(
                self.coefficient, row["kl"], settings.kl.target, settings.kl.rate
            )
        if self.events:
            row["events"], self.events = self.events, []
        if parallel.first():
            self._write_samples(batch, kls)
        if self.bar is not None:
            left = self.meter.seconds_left((settings.steps - self.step) * tokens)
            said = f"reward {row['reward']:.3f} · KL {row['kl']:.2f} · length {row['length']:.0f}"
            self.bar.advance(1, f"{said} · {clock(left)} left")
        return row

    # --- draw, score, estimate --------------------------------------------------------------------------------------

    @torch.no_grad()
    def collect(self) -> Batch:
        """Draw and score a step's answers, and estimate their advantages."""
        settings, rollout = self.settings, self.settings.rollout
        share = settings.prompts // parallel.world()
        low = self.step * settings.prompts + parallel.rank() * share
        chosen = [self.prompts[self.order[k]] for k in range(low, low + share) for _ in range(settings.rollouts)]
        first = low * settings.rollouts
        ids = [prompt.ids for prompt in chosen]
        ends = [int(self.tokenizer.eos_token_id)]
        with self._autocast():
            answers = draw_answers(
                self.models.policy,
                ids,
                range(first, first + len(ids)),
                seed=settings.seed,
                longest=rollout.max_new,
                temperature=rollout.temperature,
                size=rollout.batch,
                ends=ends,
            )
        scores = self.reward(chosen, answers)
        if rollout.unfinished is not None:
            scores = [s if a[-1] in ends else rollout.unfinished for s, a in zip(scores, answers, strict=True)]
        wide = {
            key: torch.zeros(len(ids), rollout.max_new) for key in ("logp", "reference", "values", "entropy", "mask")
        }
        for rows in by_length([len(p) + len(a) for p, a in zip(ids, answers, strict=True)], settings.micro_batch):
            found = self._score(self.models.policy, self.models.head, ids, answers, rows)
            with self.models.reference() as model:
                held = self._score(model, None, ids, answers, rows)
            parts = {"logp": found.logp, "reference": held.logp, "values": found.values}
            for key, tensor in {**parts, "entropy": found.entropy, "mask": found.mask}.items():
                wide[key][rows, : tensor.shape[1]] = tensor.float().cpu()
        mine = (ids, answers, scores, wide)
        everyone: list[Any] = [mine] * parallel.world()
        if parallel.world() > 1:
            dist.all_gather_object(everyone, mine)
        every = {key: torch.cat([part[3][key] for part in everyone]) for key in wide}
        mask, points = every.pop("mask") > 0, torch.tensor([s for part in everyone for s in part[2]])
        rewards = ppo_math.token_rewards(points, every["logp"], every["reference"], mask, self.coefficient)
        if settings.whiten_rewards:
            rewards = ppo_math.whiten(rewards, mask, centre=False)
        advantages, returns = ppo_math.gae(rewards, every["values"], mask, settings.gamma, settings.lam)
        if settings.whiten_advantages:
            advantages = ppo_math.whiten(advantages, mask, centre=True)
        prompts, drawn = ([x for part in everyone for x in part[n]] for n in (0, 1))
        return Batch(prompts, drawn, points, mask=mask, advantages=advantages, returns=returns, **every)

    def _score(self, model: Any, head: ValueHead | None, prompts: Any, answers: Any, rows: list[int]) -> Scored:
        with self._autocast():
            return score_answers(
                model,
                head,
                [prompts[i] for i in rows],
                [answers[i] for i in rows],
                self.settings.rollout.temperature,
                entropy_trained=self.settings.entropy_coefficient > 0 and torch.is_grad_enabled(),
            )

    def _autocast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    # --- update -----------------------------------------------------------------------------------------------------

    def update(self, batch: Batch) -> tuple[dict[str, float], float]:
        """Go over a batch in minibatches; returns the figures' means and the largest gradient norm before clipping."""
        settings, count = self.settings, len(batch.answers)
        lengths = [len(p) + len(a) for p, a in zip(batch.prompts, batch.answers, strict=True)]
        totals, worst, updates = torch.zeros(len(FIGURES), dtype=torch.float64), 0.0, 0
        self.models.policy.train()
        for epoch in range(settings.epochs):
            order = np.random.default_rng([settings.seed, self.step, epoch]).permutation(count)
            for low in range(0, count, settings.minibatch):
                whole = order[low : low + settings.minibatch]
                mine = whole[parallel.rank() :: parallel.world()]
                tokens = int(batch.mask[whole].sum())
                for part in by_length([lengths[i] for i in mine], settings.micro_batch):
                    totals += self._backward(batch, [int(mine[n]) for n in part], tokens)
                if self.ptx is not None:
                    totals[-1] += self._backward_ptx(
                        self.ptx, self.step * settings.epochs * (count // settings.minibatch) + updates
                    )
                worst = max(worst, self._take())
                updates += 1
        self.models.policy.eval()
        if parallel.world() > 1:
            _sum_over_processes([totals])
        return dict(zip(FIGURES, (totals / updates).tolist(), strict=True)), worst

    def _backward(self, batch: Batch, rows: list[int], tokens: int) -> Tensor:
        """Add a micro-batch's gradients; returns its part of the figures, summed over tokens, divided by the minibatch's."""
        settings = self.settings
        now = self._score(self.models.policy, self.models.head, batch.prompts, batch.answers, rows)
        mask, wide = now.mask, now.mask.shape[1]
        drawn, advantages, returns, values = (
            tensor[rows, :wide].to(self.device)
            for tensor in (batch.logp, batch.advantages, batch.returns, batch.values)
        )
        policy, clipped, change = ppo_math.policy_losses(now.logp, drawn, advantages, mask, settings.clip)
        value = ppo_math.value_losses(now.values, values, returns, mask, settings.value_clip)
        bonus = torch.where(mask, now.entropy, 0)
        loss = policy + settings.value_coefficient * value
        if settings.entropy_coefficient:
            loss = loss - settings.entropy_coefficient * bonus
        (loss.sum() / tokens).backward()  # type: ignore[no-untyped-call]
        sums = [x.detach().sum() for x in (policy, value, bonus, clipped, change)]
        return torch.stack([*sums, torch.zeros_like(sums[0])]).double().cpu() / tokens

    def _backward_ptx(self, ptx: Ptx, number: int) -> float:
        """Add the gradient of the pre-training loss of an update; returns this device's part of the loss."""
        from eval.packing import IGNORED, batch
        from train.loss import summed_loss

        settings = self.settings.ptx
        low = number * settings.sequences
        whole = [ptx.order[k] for k in range(low, low + settings.sequences)]
        wanted = sum(int((batch(ptx.shards, [i], ptx.rows)["labels"][:, 1:] != IGNORED).sum()) for i in whole)
        mine, total = whole[parallel.rank() :: parallel.world()], 0.0
        for at in range(0, len(mine), self.settings.micro_batch):
            part = batch(ptx.shards, mine[at : at + self.settings.micro_batch], ptx.rows)
            given = {key: tensor.to(self.device) for key, tensor in part.items()}
            labels = given.pop("labels")
            with self._autocast():
                states = self.models.policy.base_model(**given, use_cache=False).last_hidden_state
                loss = summed_loss(self.models.policy, states, labels) / wanted
            (settings.coefficient * loss).backward()
            total += float(loss)
        return total

    def _take(self) -> float:
        """Sum the gradients over the devices, clip, and take the update; returns their norm before clipping."""
        trained = list(self.models.trained.values())
        for parameter in trained:
            if parameter.grad is None:  # a device without a share of this minibatch has something to add nevertheless
                parameter.grad = torch.zeros_like(parameter)
        if parallel.world() > 1:
            _sum_over_processes([parameter.grad for parameter in trained if parameter.grad is not None])
        most = self.settings.optim.grad_clip
        norm = float(torch.nn.utils.clip_grad_norm_(trained, math.inf if most is None else most))
        if not math.isfinite(norm):
            self.metrics.write({"step": self.step + 1, "grad_norm": norm, "events": [f"stopped: step {self.step + 1}"]})
            raise NotFinite(
                f"{self.settings.out}: the gradient is {norm} at step {self.step + 1}; the update was not taken: "
                "look at samples.jsonl, or lower optim.lr"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    # --- what is left on disk ---------------------------------------------------------------------------------------

    def _write_samples(self, batch: Batch, kls: Tensor) -> None:
        count = min(self.settings.samples, len(batch.answers))
        with (self.settings.out / SAMPLES).open("a", encoding="utf-8") as file:
            for prompt, answer, score, kl in zip(
                *(x[:count] for x in (batch.prompts, batch.answers, batch.scores.tolist(), kls.tolist())), strict=True
            ):
                row = {
                    "step": self.step,
                    "prompt": self.tokenizer.decode(list(prompt)),
                    "answer": self.tokenizer.decode(answer, skip_special_tokens=True),
                    "score": score,
                    "kl": kl,
                    "tokens": len(answer),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _bytes(self) -> int:
        """Weights and AdamW's two moments, in fp32."""
        return 12 * sum(parameter.numel() for parameter in self.models.trained.values())

    def _save(self) -> None:
        if parallel.first():
            checkpoint.save(self.settings.out, self.step, self._write, self._bytes())
            checkpoint.prune(self.settings.out, self.settings.checkpoint)
        parallel.wait()

    def _write(self, folder: Path) -> None:
        from safetensors.torch import save_file

        policy = {n: p for n, p in self.models.policy.named_parameters() if p.requires_grad}
        save_file({n: p.detach().cpu().contiguous() for n, p in policy.items()}, folder / checkpoint.MODEL)
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

    def _load(self, path: Path) -> None:
        from safetensors.torch import load_file

        head = value_head.load(path, self.models.policy.config.hidden_size, needed=True)
        self.models.head.load_state_dict(head.state_dict())
        found = load_file(path / checkpoint.MODEL)
        trained = {n: p for n, p in self.models.policy.named_parameters() if p.requires_grad}
        assert set(found) == set(trained), set(found) ^ set(trained)
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(found[name])
        state = checkpoint.read_state(path)
        self.step = checkpoint.step_of(path)
        self.coefficient = float(state["kl_coefficient"])
        self.meter.resume(int(state["tokens"]), float(state["seconds"]))
        checkpoint.load_optimizer(self.optimizer, path, state["optimizer"])
        checkpoint.load_rng(path, state["rng"])
        self.events.append(f"resumed from {path.name}")
        if parallel.first():
            note(f"going on from {path.name}")


def _sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else flat.device
    moved = flat.to(device)
    dist.all_reduce(moved)
    at = 0
    for tensor in tensors:
        tensor.copy_(moved[at : at + tensor.numel()].view_as(tensor))
        at += tensor.numel()


def _trim_samples(out: Path, step: int) -> None:
    """Take away the samples past a step, which is done again."""
    path = out / SAMPLES
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(path, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step))
