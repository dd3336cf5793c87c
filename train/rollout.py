"""Rollouts: answers drawn from the policy, and what the policy, its value head or the reference make of them.

Prompts are padded on the left to draw (all rows then draw the same position) and answers on the right to be scored,
where positions count from the first token as they do in training. Both are batched by length: no row is padded to a
stranger's. The draw is by inversion: each answer has uniform numbers of its own, made from (seed, number of the
answer), so that it does not depend on the batch it is in, on how many devices share the work, or on a restart. It is
from the plain softmax over the temperature, the one the log-probabilities are of; top-p or a repetition penalty would
draw from another one, and a model's own generation_config.json with such settings is set aside. Log-probabilities are
computed again after drawing, by the pass that is differentiated later: a cache in 16 bit differs in the third digit.

Cost: the logits of the answers' places alone, answers x tokens x vocabulary x 4 bytes a micro-batch, three times over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from train.ppo_math import entropy
from train.value_head import ValueHead


class Draw(LogitsProcessor):  # type: ignore[misc]  # transformers carries no types
    """Leaves one id standing in each row: the one that the row's next uniform number falls on."""

    def __init__(self, numbers: Sequence[int], seed: int, start: int, longest: int, temperature: float) -> None:
        """Make the rows' uniform numbers.

        Args:
            numbers: Which answers of the run the rows are.
            seed: The run's.
            start: Width of the prompts.
            longest: Tokens to draw at most.
            temperature: The logits are divided by it.
        """
        draws = [np.random.default_rng([seed, number]).random(longest, np.float32) for number in numbers]
        self.draws = torch.from_numpy(np.stack(draws))
        self.start = start
        self.temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores that are 0 at the drawn id and -inf elsewhere, shape (rows, vocabulary)."""
        mass = (scores.float() / self.temperature).softmax(-1).cumsum(-1)
        total = mass[:, -1:]
        wanted = self.draws[:, input_ids.shape[1] - self.start, None].to(mass.device) * total
        last = (mass < total).sum(-1, keepdim=True)  # rounding must not draw from behind the last that has any mass
        chosen = torch.searchsorted(mass, wanted, right=True).minimum(last)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield batches of at most ``size`` places, the short before the long."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for low in range(0, len(order), size):
        yield order[low : low + size]


@torch.no_grad()
def draw_answers(
    model: Any,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[int],
    *,
    seed: int,
    longest: int,
    temperature: float,
    size: int,
    ends: Sequence[int],
) -> list[list[int]]:
    """Return an answer to each prompt, its end-of-text included; one without was cut off at ``longest``.

    Args:
        model: A causal language model.
        prompts: Ids of each.
        numbers: Which answers of the run they are: the same numbers draw the same answers.
        seed: The run's.
        longest: Tokens of an answer at most.
        temperature: Of the softmax.
        size: Answers drawn at once.
        ends: Ids that end an answer.
    """
    out: list[list[int]] = [[] for _ in prompts]
    own, model.generation_config = model.generation_config, GenerationConfig()
    settings = GenerationConfig(
        max_new_tokens=longest, do_sample=False, use_cache=True, eos_token_id=list(ends), pad_token_id=ends[0]
    )
    try:
        for rows in by_length([len(prompt) for prompt in prompts], size):
            width = max(len(prompts[i]) for i in rows)
            ids = torch.full((len(rows), width), ends[0])
            mask = torch.zeros_like(ids)
            for row, i in enumerate(rows):
                ids[row, width - len(prompts[i]) :] = torch.tensor(prompts[i])
                mask[row, width - len(prompts[i]) :] = 1
            draw = Draw([numbers[i] for i in rows], seed, width, longest, temperature)
            drawn = model.generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=settings,
                logits_processor=LogitsProcessorList([draw]),
            )
            for i, answer in zip(rows, drawn[:, width:].tolist(), strict=True):
                end = next((n + 1 for n, token in enumerate(answer) if token in ends), len(answer))
                out[i] = answer[:end]
    finally:
        model.generation_config = own
    return out


@dataclass(frozen=True)
class Scored:
    """What a model makes of answers; each tensor (answers, longest of them), aligned at the answer's first token."""

    logp: Tensor  # of the token that was drawn, fp32
    entropy: Tensor  # of the distribution it was drawn from
    values: Tensor  # before it; zeros without a head
    mask: Tensor


def score_answers(
    model: Any,
    head: ValueHead | None,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    temperature: float,
    *,
    entropy_trained: bool = False,
) -> Scored:
    """Run a model over prompts with answers, in one batch, with gradients where they are on.

    Args:
        model: A causal language model.
        head: Its value head, None for the reference.
        prompts: Ids of each, at least one.
        answers: Ids of each, at least one.
        temperature: That they were drawn with.
        entropy_trained: Whether the entropy has gradients: they keep two more tensors of the logits' size.
    """
    device, rows = model.device, len(prompts)
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = torch.zeros((rows, width), dtype=torch.long)
    filled = torch.zeros_like(ids)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole = [*prompt, *answer]
        ids[row, : len(whole)] = torch.tensor(whole)
        filled[row, : len(whole)] = 1
    ids = ids.to(device)
    states = model.base_model(input_ids=ids, attention_mask=filled.to(device), use_cache=False).last_hidden_state
    places = torch.arange(int(lengths.max()), device=device)
    mask = places < lengths[:, None]
    first = torch.tensor([[len(prompt)] for prompt in prompts], device=device)
    at = (first + places).clamp(max=width - 1)  # of the token; the state before it predicts it
    states = states.gather(1, (at - 1)[..., None].expand(-1, -1, states.shape[-1]))
    logits = model.get_output_embeddings()(states).float() / temperature
    logp = logits.gather(2, ids.gather(1, at)[..., None])[..., 0] - logits.logsumexp(-1)
    values = torch.zeros_like(logp) if head is None else head(states)
    return Scored(logp, entropy(logits if entropy_trained else logits.detach()), values, mask)
