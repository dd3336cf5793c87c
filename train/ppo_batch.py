"""A step's answers for PPO: drawn, scored by reward, policy, values and reference, and judged better or worse.

Each device draws and scores its share of a step's prompts; what came of it (ids and a few numbers a token) is gathered
by all, so that whitening and advantages are those of the whole batch on any number of devices. Prompts and draws come
from (seed, numbers), not from a generator's state: a resumed run and one on other devices see the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eval import parallel
from eval.draw import Vllm, by_length, draw_answers
from eval.rollout import Scored, score_answers
from eval.scorer import Reward
from eval.value_head import ValueHead
from tokenizer.prompts import Prompt
from train import ppo_math
from train.data import Order
from workbench.errors import UserError

if TYPE_CHECKING:
    from train.ppo import PpoSettings

KEYS = ("logp", "reference", "values", "entropy", "mask")  # of each token


class Models:
    """Policy, value head and reference; under LoRA the reference is the policy with its adapter off."""

    def __init__(self, policy: Any, head: ValueHead, adapter: Any = None) -> None:
        """Freeze what is not trained: a copy of the policy, where it has no adapter (PEFT's wrapper around it).

        Dropout is off for good, since a ratio needs the same policy twice.
        """
        policy.config.attention_dropout = 0.0
        for module in policy.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        self.policy, self.head, self.adapter = policy.eval(), head, adapter
        self.frozen = None if adapter else deepcopy(policy).requires_grad_(False)
        self.trained = [*(p for p in policy.parameters() if p.requires_grad), *head.parameters()]

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


@dataclass(eq=False)
class Collector:
    """Makes the batch of a step; see the module's docstring."""

    settings: PpoSettings
    models: Models
    tokenizer: Any
    prompts: Sequence[Prompt]
    reward: Reward
    precision: str  # bf16 or fp32
    vllm: Vllm | None = field(default=None, init=False)  # draws instead of generate
    step: int = field(default=0, init=False)  # done so far

    def __post_init__(self) -> None:
        """Stand before the first step."""
        self.order, self.device = Order(len(self.prompts), self.settings.seed), self.models.policy.device
        self.coefficient = self.settings.kl.coefficient

    @torch.no_grad()
    def collect(self) -> Batch:
        """Draw and score a step's answers, and estimate their advantages."""
        settings, rollout, end = self.settings, self.settings.rollout, int(self.tokenizer.eos_token_id)
        share = settings.prompts // parallel.world()
        low = self.step * settings.prompts + parallel.rank() * share
        chosen = [self.prompts[self.order[k]] for k in range(low, low + share) for _ in range(settings.rollouts)]
        ids, first = [prompt.ids for prompt in chosen], low * settings.rollouts
        how: dict[str, Any] = {"longest": rollout.max_new, "temperature": rollout.temperature, "end": end}
        numbers = range(first, first + len(ids))
        with self.autocast():
            if self.vllm is None:
                answers = draw_answers(self.models.policy, ids, numbers, seed=settings.seed, size=rollout.batch, **how)
            else:
                answers = self.vllm.draw(self.models.adapter, ids, numbers, seed=settings.seed, **how)
        scores: Any
        try:
            scores = self.reward(chosen, answers)
        except UserError as error:  # of a function; raised below, in all processes: the first is the one that speaks
            scores = error
        if rollout.unfinished is not None and isinstance(scores, list):
            scores = [s if a[-1] == end else rollout.unfinished for s, a in zip(scores, answers, strict=True)]
        wide = {key: torch.zeros(len(ids), rollout.max_new) for key in KEYS}
        for rows in by_length([len(p) + len(a) for p, a in zip(ids, answers, strict=True)], settings.micro_batch):
            found = self.score(self.models.policy, self.models.head, ids, answers, rows)
            with self.models.reference() as model:
                held = self.score(model, None, ids, answers, rows).logp
            for key, x in zip(KEYS, (found.logp, held, found.values, found.entropy, found.mask), strict=True):
                wide[key][rows, : x.shape[1]] = x.float().cpu()
        mine = (ids, answers, scores, wide)
        everyone = parallel.gather(mine)
        for failed in (part[2] for part in everyone if isinstance(part[2], UserError)):
            raise failed
        ids, answers = [x for part in everyone for x in part[0]], [x for part in everyone for x in part[1]]
        points = torch.tensor([x for part in everyone for x in part[2]])
        every = {key: torch.cat([part[3][key] for part in everyone]) for key in KEYS}
        mask = every.pop("mask") > 0
        advantages, returns = self.estimate(points, every["logp"], every["reference"], every["values"], mask)
        return Batch(ids, answers, points, mask=mask, advantages=advantages, returns=returns, **every)

    def estimate(
        self, points: Tensor, logp: Tensor, reference: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return advantages and returns of a step's answers, each (answers, longest)."""
        settings, size = self.settings, self.settings.rollouts
        if settings.estimator == "gae":
            rewards = ppo_math.token_rewards(points, logp, reference, mask, self.coefficient)
            if settings.whiten_rewards:
                rewards = ppo_math.whiten(rewards, mask, centre=False)
            advantages, returns = ppo_math.gae(rewards, values, mask, settings.gamma, settings.lam)
        else:
            rloo = settings.estimator == "rloo"  # the penalty is in its score; GRPO has it in the loss
            better = points - self.coefficient * ppo_math.answer_kl(logp, reference, mask) if rloo else points
            better = ppo_math.group_advantages(better, size, leave_one_out=rloo)
            advantages, returns = better[:, None] * mask, torch.zeros_like(logp)
        if settings.whiten_advantages:
            advantages = ppo_math.whiten(advantages, mask, centre=True)
        return advantages, returns

    def score(self, model: Any, head: ValueHead | None, prompts: Any, answers: Any, rows: list[int]) -> Scored:
        """Return what a model makes of some of the answers, with gradients where they are on."""
        trained = self.settings.entropy_coefficient > 0 and torch.is_grad_enabled()
        asked, given = [prompts[i] for i in rows], [answers[i] for i in rows]
        with self.autocast():
            temperature = self.settings.rollout.temperature
            return score_answers(model, head, asked, given, temperature, entropy_trained=trained)

    def autocast(self) -> Any:
        """Return the context that products are made in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
