"""What a config.json says of a plain decoder, without transformers' config classes, which import half of torch.

Nothing is guessed: a key that transformers would fill in by a family's default has to be stated, else the model is left
to transformers (``read_config`` returns None). So is all that ``eval.decoder`` does not compute: a window, another
activation, a rotation that changes with the length, quantised weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.models import FAMILIES
from workbench.files import read_json

PRECISIONS = ("float32", "bfloat16", "float16")
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
MUST_STATE = {"mistral": "sliding_window", "qwen3": "head_dim"}  # defaults that are a family's own
_ORIGINAL = "original_max_position_embeddings"
ROTATIONS = {  # what each type of rotary embedding must state
    "default": set[str](),
    "linear": {"factor"},
    "yarn": {"factor", _ORIGINAL},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", _ORIGINAL},
}


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder, by the names that transformers gives."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    head_dim: int
    rms_norm_eps: float
    rope_parameters: Mapping[str, Any]
    tie_word_embeddings: bool
    biased: frozenset[str]  # products with a bias
    dtype: str | None  # of the weights; None: as they are
    eos_token_id: int | tuple[int, ...] | None  # what ends a text

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the tensors of such a decoder, by name."""
        hidden, inner = self.hidden_size, self.intermediate_size
        query, key = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        products = {
            "self_attn.q_proj": (query, hidden),
            "self_attn.k_proj": (key, hidden),
            "self_attn.v_proj": (key, hidden),
            "self_attn.o_proj": (hidden, query),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        layer: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in products.items()}
        layer |= {f"{name}.bias": products[name][:1] for name in self.biased}
        layer |= {f"{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
        if self.model_type == "qwen3":
            layer |= {f"self_attn.{name}_norm.weight": (self.head_dim,) for name in "qk"}
        numbers = range(self.num_hidden_layers)
        out = {f"model.layers.{n}.{name}": shape for n in numbers for name, shape in layer.items()}
        out |= {"model.embed_tokens.weight": (self.vocab_size, hidden), "model.norm.weight": (hidden,)}
        return out if self.tie_word_embeddings else out | {"lm_head.weight": (self.vocab_size, hidden)}


def read_config(folder: Path) -> DecoderConfig | None:
    """Return the shape of a folder's decoder, or None if its config.json does not state a plain one in full.

    Args:
        folder: Of ``eval.models.model_folder``.
    """
    stated = read_json(folder / "config.json")
    family, rope = stated.get("model_type"), _rope(stated)
    numbers = {name: stated.get(name) for name in SIZES}
    plain = (
        family in FAMILIES
        and MUST_STATE.get(family, "model_type") in stated
        and all(isinstance(size, int) and size > 0 for size in numbers.values())
        and stated.get("hidden_act") == "silu"
        and not stated.get("quantization_config")
        and not _windowed(stated)
        and isinstance(stated.get("rms_norm_eps"), float)
        and isinstance(stated.get("tie_word_embeddings"), bool)
    )
    dtype = stated.get("dtype", stated.get("torch_dtype"))
    ends = _ends(folder, stated)
    if not plain or rope is None or ends is None or dtype not in (*PRECISIONS, None):
        return None
    return DecoderConfig(
        model_type=family,
        head_dim=stated.get("head_dim") or numbers["hidden_size"] // numbers["num_attention_heads"],
        rms_norm_eps=stated["rms_norm_eps"],
        rope_parameters=rope,
        tie_word_embeddings=stated["tie_word_embeddings"],
        biased=_biased(family, stated),
        dtype=dtype,
        eos_token_id=ends[0] if len(ends) == 1 else ends or None,
        **numbers,
    )


def _rope(stated: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the rotary embedding, stated in transformers' newer or older form; None if it is not one of ours."""
    found = stated.get("rope_parameters", stated.get("rope_scaling")) or {"rope_type": "default"}
    if not isinstance(found, dict) or _ORIGINAL in stated:
        return None
    rope = {"rope_type": found.get("type"), "rope_theta": stated.get("rope_theta"), **found}
    if rope["rope_type"] not in ROTATIONS:
        return None
    whole = rope.get("partial_rotary_factor", stated.get("partial_rotary_factor")) in (None, 1.0)
    full = all(isinstance(rope.get(name), int | float) for name in ("rope_theta", *ROTATIONS[rope["rope_type"]]))
    return rope if whole and full else None


def _windowed(stated: Mapping[str, Any]) -> bool:
    if set(stated.get("layer_types") or ()) - {"full_attention"}:
        return True
    used = not stated["model_type"].startswith("qwen") or stated.get("use_sliding_window")
    return bool(used) and stated.get("sliding_window") is not None


def _biased(family: str, stated: Mapping[str, Any]) -> frozenset[str]:
    before = [f"self_attn.{name}_proj" for name in "qkv"]
    if family == "qwen2":
        return frozenset(before)
    out = [*before, "self_attn.o_proj"] if stated.get("attention_bias") and family != "mistral" else []
    if stated.get("mlp_bias") and family == "llama":
        out += [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    return frozenset(out)


def _ends(folder: Path, stated: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the ids that end a text by the model's settings of generation, else by its config; None if none says."""
    path = folder / "generation_config.json"
    try:
        named = read_json(path).get("eos_token_id") if path.is_file() else stated["eos_token_id"]
    except (OSError, ValueError, LookupError, AttributeError):
        return None
    found = named if isinstance(named, list) else [] if named is None else [named]
    return tuple(found) if all(isinstance(one, int) for one in found) else None
