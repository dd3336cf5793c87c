"""QLoRA (Dettmers et al., 2023): the base's products in 4 bits and frozen, an adapter over them in full precision.

Each linear layer inside the decoder becomes NF4 in blocks of 64, whose scales are quantised in turn (section 3): 0.516
bytes a weight instead of 4. Embedding, norms, lm_head and score head stay fp32. bitsandbytes computes: a layer's
weights are widened for each use, forward and backward, to the precision of the products. A layer is cut as it goes to
the device, which so never holds the whole base in fp32; the host does. Nothing of it is saved: a resumed run, and
``train merge``, cut the same base again.

The adapter learns over the *rounded* weights, so those are what it is merged into: the merged model is the one that was
trained, to 1e-5 in the logits. The base as it was plus the adapter is a model that nobody trained or scored; it is not
what ``merge`` makes. Cost on a CPU, 4 layers of 512 at 512 tokens a step: 0.92 of LoRA's speed.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from workbench.errors import ConfigError

LIBRARY = "bitsandbytes"
KIND = "nf4"
BLOCK = 64
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}  # of the products


def check_there() -> None:
    """Refuse where bitsandbytes is missing.

    Raises:
        ConfigError: Saying what to install.
    """
    if find_spec(LIBRARY) is None:
        raise ConfigError("tune", f"qlora needs {LIBRARY}", "pip install 'yanmo[qlora]', or use tune=lora")


def _products(model: Any) -> list[tuple[nn.Module, str]]:
    """Return what holds a linear layer of the decoder, and under which name; lm_head is outside it."""
    return [
        (parent, name)
        for parent in model.base_model.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear
    ]


def quantise(model: Any, precision: str, device: Any) -> None:
    """Put 4-bit layers into the place of a model's products, in place, on the device.

    Args:
        model: A causal language model or a reward model, in fp32; the rest of it stays where it is.
        precision: Of the products: bf16, fp16 or fp32.
        device: Where the layers go.
    """
    from bitsandbytes.nn import Linear4bit, Params4bit

    for parent, name in _products(model):
        linear = getattr(parent, name)  # one at a time: its fp32 weights go when it is replaced
        there = linear.bias is not None
        small = Linear4bit(
            linear.in_features, linear.out_features, there, DTYPES[precision], quant_type=KIND, device="meta"
        )
        small.weight = Params4bit(linear.weight.data, quant_type=KIND, blocksize=BLOCK, module=small)
        small.bias = linear.bias
        setattr(parent, name, small.to(device))  # which quantises
    model.is_loaded_in_4bit = True  # by this PEFT knows it


def round_to_four_bits(model: Any) -> None:
    """Give a model's products the values that their 4 bits stand for, in place: plain fp32 layers."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    for parent, name in _products(model):
        linear = getattr(parent, name)
        weight = linear.weight.data
        packed, state = quantize_4bit(weight.contiguous(), blocksize=BLOCK, compress_statistics=True, quant_type=KIND)
        linear.weight.data = dequantize_4bit(packed, state).to(weight.dtype).reshape(weight.shape)


def whole_size(parameter: Any) -> int:
    """Return how many weights a parameter stands for: 4 bits pack two in a number, ZeRO-3 leaves an empty tensor."""
    state = getattr(parameter, "quant_state", None)
    return int(getattr(parameter, "ds_numel", parameter.numel())) if state is None else math.prod(state.shape)
