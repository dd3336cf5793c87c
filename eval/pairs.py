"""Preference pairs as batches, and what a model makes of them: all chosen answers first, then all rejected ones.

    input_ids  (2 pairs, longest)   prompt and answer, padded with 0 on the right, where nothing before them sees it
    prompts    (2 pairs,)           ids of the prompt
    lengths    (2 pairs,)           ids of both
    label      (pairs,)             ``Pair.label``: the margin that the data give, 0 for none

Without an attention mask and with the padding on the right, attention is plainly causal: the fast kernels serve it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.packing import IGNORED
from tokenizer.dialogues import Pair
from workbench.errors import InputError

if TYPE_CHECKING:
    import torch

CHUNK = 256  # rows of logits in memory at once
SIDES = ("chosen", "rejected")


def batch(pairs: Sequence[Pair], rows: int) -> dict[str, torch.Tensor]:
    """Return pairs as a batch.

    Args:
        pairs: The pairs.
        rows: Rows of the model's embedding.

    Raises:
        InputError: If an id is beyond the embedding.
    """
    import torch

    halves = [[np.concatenate([p.prompt, answer]) for p in pairs for answer in [getattr(p, side)]] for side in SIDES]
    sequences = halves[0] + halves[1]
    lengths = torch.tensor([len(ids) for ids in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.int64)
    for n, sequence in enumerate(sequences):
        ids[n, : len(sequence)] = torch.from_numpy(sequence.astype(np.int64))
    if (worst := int(ids.max())) >= rows:
        found = f"gives id {worst:,}, the embedding has {rows:,} rows"
        raise InputError("tokenizer", found, "take the tokenizer of the weights: leave tokenizer= out")
    prompts = torch.tensor([len(pair.prompt) for pair in pairs] * 2)
    label = torch.tensor([pair.label for pair in pairs])
    return {"input_ids": ids, "prompts": prompts, "lengths": lengths, "label": label}


def labels(input_ids: torch.Tensor, prompts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the answers' ids at their places, -100 elsewhere, shape (sequences, longest)."""
    import torch

    at = torch.arange(input_ids.shape[1], device=input_ids.device)
    return input_ids.masked_fill((at < prompts[:, None]) | (at >= lengths[:, None]), IGNORED)


def hidden_states(model: Any, input_ids: torch.Tensor) -> torch.Tensor:
    """Return last hidden states, shape (sequences, longest, width)."""
    states: torch.Tensor = model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
    return states


def mean_length(pairs: Sequence[Pair]) -> int:
    """Return the ids of a sequence, on average: what the count of FLOPs takes for the attention."""
    return round(sum(2 * len(p.prompt) + len(p.chosen) + len(p.rejected) for p in pairs) / max(1, 2 * len(pairs)))


def log_probs(model: Any, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return each sequence's summed log-probability of its labelled ids, shape (batch,), in fp32 or better.

    The logits are made a chunk at a time and made again for the gradient, so that they are never all in memory.

    Args:
        model: A causal language model.
        hidden: Last hidden states, shape (batch, seq_len, width).
        labels: What is predicted at each place, not shifted, shape (batch, seq_len).
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets = labels[:, 1:]
    where, at = (targets != IGNORED).nonzero(as_tuple=True)
    rows, wanted = hidden[where, at], targets[where, at]

    def of_chunk(low: int) -> torch.Tensor:
        logits = model.lm_head(rows[low : low + CHUNK])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        found: torch.Tensor = logits.gather(1, wanted[low : low + CHUNK, None])[:, 0] - logits.logsumexp(-1)
        return found

    parts = [checkpoint(of_chunk, low, use_reentrant=False) for low in range(0, len(rows), CHUNK)]
    each = torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)
    return each.new_zeros(len(labels)).index_add(0, where, each)


def answer_log_probs(
    model: Any, input_ids: torch.Tensor, prompts: torch.Tensor, lengths: torch.Tensor, *, per_token: bool
) -> torch.Tensor:
    """Return the log-probability of each answer, a sum or a mean over its ids, shape (2 pairs,)."""
    sums = log_probs(model, hidden_states(model, input_ids), labels(input_ids, prompts, lengths))
    return sums / (lengths - prompts) if per_token else sums
