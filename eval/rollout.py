"""What a model makes of answers: log-probabilities, entropies and values of their tokens, with gradients if wanted.

Texts are padded on the right: positions count from the first token, as they do in training. Log-probabilities of drawn
tokens are computed here, after drawing, by the pass that is differentiated later: a cache in 16 bit would differ.
Cost: logits of the answers' places alone, answers x tokens x vocabulary x 4 bytes a micro-batch, three times over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eval.draw import Ids, padded


@dataclass(frozen=True)
class Scored:
    """What a model makes of answers; each tensor (answers, longest of them), from the answer's first token on."""

    logp: Tensor  # of the token that was drawn, fp32
    entropy: Tensor  # of the distribution it was drawn from
    values: Tensor  # before it; zeros without a head
    mask: Tensor


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy, nats, of each distribution of the last axis (PPO's bonus: arXiv 1707.06347, equation 9)."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


def score_answers(
    model: Any,
    head: Callable[[Tensor], Tensor] | None,
    prompts: Sequence[Ids],
    answers: Sequence[Ids],
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
    ids, filled = padded([[*p, *a] for p, a in zip(prompts, answers, strict=True)], model.device)
    states = model.base_model(input_ids=ids, attention_mask=filled, use_cache=False).last_hidden_state
    wanted, mask = padded(answers, model.device)
    before = torch.tensor([[len(prompt) - 1] for prompt in prompts], device=model.device)  # it predicts the first
    at = (before + torch.arange(wanted.shape[1], device=model.device)).clamp(max=ids.shape[1] - 1)
    states = states.gather(1, at[..., None].expand(-1, -1, states.shape[-1]))
    logits = model.get_output_embeddings()(states).float() / temperature
    logp = logits.gather(2, wanted[..., None])[..., 0] - logits.logsumexp(-1)
    values = torch.zeros_like(logp) if head is None else head(states)
    return Scored(logp, entropy(logits if entropy_trained else logits.detach()), values, mask.bool())
