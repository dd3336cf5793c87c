"""How large a decoder of the Llama family is, and what training it costs: parameters, memory, FLOPs. No torch.

Model FLOPs of one token, forward and backward (the PaLM paper's appendix B, as nanoGPT and Megatron count):

    6 · (N − input embedding) + 12 · layers · width · T

N counts each parameter once. The input embedding is a look-up and multiplies nothing, so it is taken off; with tied
embeddings the same matrix multiplies as lm_head, so nothing is taken off. ``width`` is heads × head size. The attention
term counts the full T × T square although the mask hides half of it, and packed documents more, so that figures of
different packings compare. Recomputed activations are no model FLOPs.

Bytes a parameter, before anything is divided over n devices (AdamW; Rajbhandari et al., "ZeRO", 2020, section 3):

    ddp     4 weights + 4 gradients + 8 moments + 2 the 16-bit copy of autocast
    zero1   2 + 2 + 12/n        zero2   2 + (2 + 12)/n        zero3, fsdp2   16/n, and two layers gathered at a time

LoRA (DDP): 4 of the frozen weights, which stay fp32, and 16 of what is trained. QLoRA: 0.516 of the layers' products
(4 bits, 8 a block of 64 and 32 for 256 of these), and one matrix widened at a time.
Activations, in 16 bit, of a Llama layer with memory-efficient attention: 7 hidden + 3 key-value + 4 MLP widths a token;
with full recomputation its input alone, and one layer whole. These are counts, not measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NF4 = (4 + 8 / 64 + 32 / (64 * 256)) / 8  # bytes a weight


@dataclass(frozen=True)
class Shape:
    """What the FLOP count needs to know of a model."""

    parameters: int  # each once
    input_embedding: int  # parameters that only look up: 0 if they are also lm_head
    layers: int
    width: int  # heads x head size
    frozen: int = 0  # parameters that multiply but are not trained: they need no gradient of their own

    def flops_per_token(self, seq_len: int) -> float:
        """Return forward and backward model FLOPs of a token in sequences of ``seq_len``."""
        weights = 6.0 * (self.parameters - self.input_embedding) - 2.0 * self.frozen
        return weights + 12.0 * self.layers * self.width * seq_len


@dataclass(frozen=True)
class Sizes:
    """A Llama's sizes."""

    hidden: int
    layers: int
    width: int  # heads x head size
    kv_width: int
    mlp: int
    rows: int
    tied: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Sizes:
        """Return those of a config.json."""
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        head = int(config.get("head_dim") or hidden // heads)
        return cls(
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            width=heads * head,
            kv_width=int(config.get("num_key_value_heads") or heads) * head,
            mlp=int(config["intermediate_size"]),
            rows=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
        )

    @property
    def layer(self) -> int:
        """Parameters of a layer: q and o, k and v, the MLP's three, two norms."""
        return self.hidden * (2 * self.width + 2 * self.kv_width + 3 * self.mlp + 2)

    @property
    def gathered(self) -> int:
        """The most parameters at work at once: a layer, or the embedding."""
        return max(self.layer, self.rows * self.hidden)

    @property
    def shape(self) -> Shape:
        """What the FLOP count needs."""
        table = self.rows * self.hidden
        total = table * (1 if self.tied else 2) + self.layers * self.layer + self.hidden
        return Shape(total, 0 if self.tied else table, self.layers, self.width)

    @property
    def ends(self) -> dict[str, int]:
        """Inputs and outputs together of each product of a layer: the parameters of an adapter of rank 1 on it."""
        h, w, kv = self.hidden, self.width, self.kv_width
        attention = {"q_proj": h + w, "k_proj": h + kv, "v_proj": h + kv, "o_proj": w + h}
        return attention | dict.fromkeys(("gate_proj", "up_proj", "down_proj"), h + self.mlp)


def states(sizes: Sizes, devices: int) -> dict[str, float]:
    """Return bytes a device of weights, gradients and moments, all trained, by strategy."""
    total = sizes.shape.parameters
    sharded = 16 * total / devices + 2 * 2 * sizes.gathered  # the layer at work and the next, in 16 bit
    zero = {"zero1": (4 + 12 / devices) * total, "zero2": (2 + 14 / devices) * total}
    return {"ddp": 18.0 * total, **zero, "zero3": sharded, "fsdp2": sharded}


def adapter_states(sizes: Sizes, trained: int, *, packed: bool) -> dict[str, float]:
    """Return the same where so many parameters of an adapter are trained; ``packed``: the base's products in 4 bits."""
    small = sizes.layers * (sizes.layer - 2 * sizes.hidden) if packed else 0
    cast = 2.0 * sizes.gathered  # autocast's copy of what is at work
    return {"ddp": 4.0 * (sizes.shape.parameters - small) + NF4 * small + 16.0 * trained + cast}


def activations(sizes: Sizes, tokens: int) -> dict[str, float]:
    """Return bytes of activations of a micro-batch of so many tokens, by recomputation."""
    whole = 2.0 * tokens * (7 * sizes.hidden + 3 * sizes.kv_width + 4 * sizes.mlp)
    return {"none": sizes.layers * whole, "full": sizes.layers * 2.0 * tokens * sizes.hidden + whole}
