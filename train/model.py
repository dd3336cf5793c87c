"""The model to train: from a shape (a fresh Llama) or from weights, over the vocabulary of a tokenizer folder.

The embedding has as many rows as the vocabulary, rounded up to a multiple of 128, so that the matrix products divide
evenly (39,410 pieces -> 39,424 rows). Weights are safetensors; a pickle is refused. Cost: a 20M model in 0.3 s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizer.model_folder import copy_tokenizer
from tokenizer.open import check_carried
from tokenizer.shards import TokenShards
from workbench.config import at_least, setting
from workbench.errors import ConfigError, InputError

TOKENS_BY = "tokenizer pack CORPUS --tokenizer DIR --out DIR"
MULTIPLE = 128  # rows of the embedding are a multiple of it


@dataclass(frozen=True)
class ModelSettings:
    """What is trained: ``weights``, or a fresh Llama of this shape."""

    weights: Path | None = setting(None, "a model folder or run to go on from (safetensors); none: a fresh model")
    hidden_size: int = setting(320, "fresh: width", check=at_least(1))
    layers: int = setting(6, "fresh: decoder layers", check=at_least(1))
    heads: int = setting(5, "fresh: attention heads", check=at_least(1))
    kv_heads: int | None = setting(None, "fresh: key and value heads; none: as many as heads", check=at_least(1))
    mlp_size: int = setting(864, "fresh: width inside the MLP", check=at_least(1))
    tied: bool = setting(True, "fresh: one matrix for input embedding and lm_head")
    max_positions: int = setting(2048, "fresh: longest sequence", check=at_least(1))
    rope_theta: float = setting(10000.0, "fresh: base of the rotary positions", check=at_least(1))
    init_std: float = setting(0.02, "fresh: standard deviation of the initial weights", check=at_least(0))


def padded(vocabulary: int) -> int:
    """Return the rows of an embedding for so many pieces: the next multiple of 128."""
    return -(-vocabulary // MULTIPLE) * MULTIPLE


def check_shape(settings: ModelSettings) -> None:
    """Refuse sizes that do not divide.

    Raises:
        ConfigError: Naming the setting.
    """
    kv_heads = settings.kv_heads or settings.heads
    if settings.hidden_size % settings.heads:
        found = f"{settings.hidden_size} is not divisible by model.heads={settings.heads}"
        raise ConfigError("model.hidden_size", found, f"try {settings.heads * 64}")
    if (settings.hidden_size // settings.heads) % 2:
        found = f"{settings.hidden_size // settings.heads} numbers a head is odd, rotary positions need pairs"
        raise ConfigError("model.hidden_size", found, f"try {settings.heads * 64}")
    if settings.heads % kv_heads:
        raise ConfigError(
            "model.kv_heads", f"{kv_heads} does not divide model.heads={settings.heads}", "give a divisor"
        )


def fresh_sizes(settings: ModelSettings, vocabulary: int) -> dict[str, Any]:
    """Return the sizes of a fresh Llama by their names in config.json."""
    return {
        "vocab_size": padded(vocabulary),
        "hidden_size": settings.hidden_size,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.kv_heads or settings.heads,
        "intermediate_size": settings.mlp_size,
        "tie_word_embeddings": settings.tied,
    }


def fresh_config(settings: ModelSettings, vocabulary: int, specials: dict[str, int | None]) -> Any:
    """Return the transformers configuration of a fresh Llama; specials: bos_token_id, eos_token_id, pad_token_id."""
    from transformers import LlamaConfig

    check_shape(settings)
    return LlamaConfig(
        **fresh_sizes(settings, vocabulary),
        max_position_embeddings=settings.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        initializer_range=settings.init_std,
        use_cache=False,
        **specials,
    )


def make_model(settings: ModelSettings, shards: TokenShards, seed: int) -> Any:
    """Return the model to train, in fp32, on the CPU; the trainer moves it.

    Args:
        settings: Weights or shape.
        shards: What it will be trained on: its ids must fit, and its sequences.
        seed: Of the initial weights.

    Raises:
        ConfigError: If sizes do not divide, or the sequences are longer than the model's positions.
        InputError: If the weights are missing, no safetensors, of another tokenizer, or have too few rows.
    """
    from transformers import LlamaForCausalLM, set_seed

    if settings.weights is None:
        set_seed(seed)
        specials = {"bos_token_id": shards.bos_id, "eos_token_id": shards.eos_id, "pad_token_id": None}
        model = LlamaForCausalLM(fresh_config(settings, shards.vocab_size, specials))
    else:
        from eval.models import model_folder

        remedy = "pack the corpus with the model's own tokenizer, or extend the model"
        check_carried(shards, model_folder(settings.weights), remedy)
        model = open_weights(settings.weights, 0, seed)
    rows = model.get_input_embeddings().num_embeddings
    if shards.vocab_size > rows:
        raise InputError(
            settings.weights or "model",
            f"its embedding has {rows:,} rows, the shards hold ids up to {shards.vocab_size - 1:,}",
            "extend it first: tokenizer embed --model DIR --tokenizer DIR",
        )
    if shards.seq_len > model.config.max_position_embeddings:
        found = (
            f"sequences of {shards.seq_len:,} tokens, the model has {model.config.max_position_embeddings:,} positions"
        )
        raise ConfigError("data", found, "pack shorter sequences, or raise model.max_positions")
    return model.train()


def open_weights(weights: Path, window: int, seed: int, *, reward: bool = False) -> Any:
    """Return the model of a folder or run to go on with, in fp32, on the CPU.

    Args:
        weights: A model folder or a run.
        window: Ids of the longest sequence.
        seed: Of a fresh score head, and of the run.
        reward: A reward model; over a language model it gets a fresh score head.

    Raises:
        ConfigError: If the model has fewer positions than the window.
        InputError: If there is no such model.
    """
    import torch
    from transformers import set_seed

    from eval.models import load_model, load_reward_model

    set_seed(seed)
    model = load_reward_model(weights, "cpu", fresh=True) if reward else load_model(weights, "cpu")
    model.config.use_cache = False
    if window > (most := model.config.max_position_embeddings):
        raise ConfigError("window", f"{window:,} ids, the model has {most:,} positions", f"give at most {most}")
    return model.to(torch.float32).train()


def save_model(model: Any, folder: Path, tokenizer: Path, weights: dict[str, Any] | None = None) -> None:
    """Write the final model in Hugging Face's form with its tokenizer; ``weights`` are gathered from a divided one."""
    model.config.use_cache = True  # for those who generate with it; training had it off
    model.save_pretrained(folder, state_dict=weights)
    model.config.use_cache = False
    copy_tokenizer(tokenizer, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == model.get_input_embeddings().num_embeddings


def compile_layers(model: Any) -> None:
    """Let torch.compile fuse what lies between a decoder layer's products, in place: weights keep their names.

    All layers share one compiled form. Losses stay equal to the rounding of fused arithmetic.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.compile()
