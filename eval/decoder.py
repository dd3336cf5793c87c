"""A Llama, Mistral or Qwen in plain torch: prompts are scored without transformers' model classes being imported.

Importing those costs 1.9 CPU-seconds, for ``torch.distributed.tensor``, ``torch._dynamo``, ``scipy.optimize`` and the
losses of image models, none of which a forward pass uses. The products here are those of transformers' own classes in
the same order, so that the numbers are the same bits. Only what is plainly such a decoder is opened: tensors that are
exactly those its config calls for, one precision, no quantisation. All else is left to transformers.
Cost: the weights' bytes from disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.decoder_config import DecoderConfig, read_config
from eval.device import default_device

if TYPE_CHECKING:
    import torch

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Decoder:
    """A decoder's tensors by the names they have in its files."""

    config: DecoderConfig
    weights: Mapping[str, torch.Tensor]
    frequencies: torch.Tensor  # of the rotary embedding, shape (head width / 2,)
    amplitude: float  # by which its cosines and sines are multiplied

    @property
    def generation_config(self) -> DecoderConfig:
        """Where ``eos_token_id`` stands."""
        return self.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.weights["model.norm.weight"].device

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield the weights."""
        yield from self.weights.values()

    def states(self, ids: torch.Tensor, positions: torch.Tensor, layout: Any) -> torch.Tensor:
        """Return the last hidden states of a pack, shape (rows, hidden size).

        Args:
            ids: The pack's ids, shape (rows,).
            positions: The depth of each, shape (rows,).
            layout: Takes the attention: ``attend`` of ``eval.forward.Layout``.
        """
        from torch.nn import functional

        out = functional.embedding(ids[None], self.weights["model.embed_tokens.weight"])
        turn = self._turn(positions[None], out.dtype)
        for layer in range(self.config.num_hidden_layers):
            name = f"model.layers.{layer}"
            out = out + self._attention(
                layer, f"{name}.self_attn", self._norm(f"{name}.input_layernorm", out), turn, layout
            )
            rows = self._norm(f"{name}.post_attention_layernorm", out)
            gated = functional.silu(self._linear(f"{name}.mlp.gate_proj", rows))
            out = out + self._linear(f"{name}.mlp.down_proj", gated * self._linear(f"{name}.mlp.up_proj", rows))
        return self._norm("model.norm", out)[0]

    def lm_head(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of hidden states."""
        return self._linear("model.embed_tokens" if self.config.tie_word_embeddings else "lm_head", states)

    def _attention(self, layer: int, name: str, rows: torch.Tensor, turn: Any, layout: Any) -> torch.Tensor:
        width = self.config.head_dim

        def heads(kind: str) -> torch.Tensor:
            found = self._linear(f"{name}.{kind}_proj", rows).view(*rows.shape[:2], -1, width)
            normed = f"{name}.{kind}_norm"
            return (self._norm(normed, found) if f"{normed}.weight" in self.weights else found).transpose(1, 2)

        query, key = (rotated(heads(kind), *turn) for kind in ("q", "k"))
        seen = layout.attend(layer, query, key, heads("v"), width**-0.5)
        return self._linear(f"{name}.o_proj", seen.reshape(*rows.shape[:2], -1))

    def _turn(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines of the rotary embedding, shape (1, 1, rows, head width)."""
        angles = (positions[..., None].float() * self.frequencies).repeat(1, 1, 2)[:, None]
        return (angles.cos() * self.amplitude).to(dtype), (angles.sin() * self.amplitude).to(dtype)

    def _norm(self, name: str, rows: torch.Tensor) -> torch.Tensor:
        wide = rows.float()
        wide = wide * (wide.pow(2).mean(-1, keepdim=True) + self.config.rms_norm_eps).rsqrt()
        return self.weights[f"{name}.weight"] * wide.to(rows.dtype)

    def _linear(self, name: str, rows: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.linear(rows, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))


def rotated(rows: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return queries or keys, shape (1, heads, rows, width), turned by their depth."""
    import torch

    first, second = rows.chunk(2, -1)
    return rows * cos + torch.cat((-second, first), -1) * sin


def open_decoder(folder: Path, device: str | torch.device | None = None) -> Decoder | None:
    """Return the decoder of a folder in the precision it was saved in, or None if it is not plainly one.

    Args:
        folder: The folder of ``config.json`` and the weights.
        device: Where to put it; the accelerator if there is one by default.
    """
    import torch

    config = read_config(folder)
    weights = {} if config is None else _weights(folder)
    if config is None or {name: tuple(tensor.shape) for name, tensor in weights.items()} != config.shapes():
        return None
    dtypes = {tensor.dtype for tensor in weights.values()}
    if len(dtypes) > 1 or not all(dtype.is_floating_point for dtype in dtypes):
        return None
    dtype = getattr(torch, config.dtype) if config.dtype else dtypes.pop()
    where = device or default_device()
    frequencies, amplitude = _rotation(config)
    placed = {name: tensor.to(where, dtype) for name, tensor in weights.items()}
    return Decoder(config, placed, frequencies.to(where), amplitude)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a folder; none if they cannot be read, which transformers then explains."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if (folder / WEIGHTS).is_file():
            return load_file(folder / WEIGHTS)
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = {name: load_file(folder / name) for name in sorted(set(index.values()))}
        return {name: files[file][name] for name, file in index.items()}
    except (SafetensorError, OSError, ValueError, LookupError, AttributeError, TypeError):
        return {}


def _rotation(config: DecoderConfig) -> tuple[torch.Tensor, float]:
    """Return the frequencies of the rotary embedding and its amplitude; scaled ones are transformers' own."""
    import torch

    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float) / config.head_dim
        return 1.0 / (rope["rope_theta"] ** exponents), 1.0
    from transformers import PreTrainedConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    read = ("hidden_size", "num_attention_heads", "head_dim", "max_position_embeddings")
    asked = PreTrainedConfig(rope_parameters=dict(rope), **{name: getattr(config, name) for name in read})
    found, amplitude = ROPE_INIT_FUNCTIONS[rope["rope_type"]](asked, torch.device("cpu"))
    return found, float(amplitude)
