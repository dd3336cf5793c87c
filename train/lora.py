"""LoRA (Hu et al., 2021): small matrices beside frozen ones, and with them, whole, the rows of new pieces.

    <run>/adapter/   adapter_model.safetensors and adapter_config.json in PEFT's form, with the extended tokenizer

``tune=qlora`` is the same over a base in 4 bits (``eval.quantised``).
An adapter trained over an extended vocabulary holds its new rows (PEFT's trainable tokens: these rows alone get
gradients and moments), so that it is whole on the extended base. ``train merge`` adds it to its base (``eval.merge``).
Cost at rank 8 on all of a 7B Llama's products: 20M trained parameters.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizer.model_folder import copy_tokenizer
from workbench.config import at_least, between, setting
from workbench.errors import ConfigError


@dataclass(frozen=True)
class LoraSettings:
    """The adapter."""

    rank: int = setting(8, "rank of the adapter's matrices", check=at_least(1))
    alpha: float = setting(16.0, "its products are scaled by alpha / rank", check=at_least(0))
    dropout: float = setting(0.0, "on the adapter's input", check=between(0, 1))
    targets: tuple[str, ...] = setting(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), "which products have one"
    )
    rows_from: int | None = setting(None, "the embedding's rows from this id on are trained too; none: no row")


def check_tune(tune: str, weights: Path | None) -> None:
    """Refuse what cannot be tuned from these weights.

    Raises:
        ConfigError: For an adapter over fresh weights, and for qlora without bitsandbytes.
    """
    if tune != "full" and weights is None:
        found = f"{tune} over fresh weights trains next to nothing"
        raise ConfigError("tune", found, "name a model with model.weights=")
    if tune == "qlora":
        from eval.quantised import check_there

        check_there()


def place(model: Any, tune: str, precision: str, device: Any) -> Any:
    """Return a model on the device; for qlora with its products in 4 bits, which are cut on the way."""
    if tune == "qlora":
        from eval.quantised import quantise

        quantise(model, precision, device)
    return model.to(device)


def add_adapter(model: Any, settings: LoraSettings, base: Path, vocabulary: int, task: str = "CAUSAL_LM") -> Any:
    """Put an adapter into a model, in place; everything else is frozen.

    Args:
        model: A causal language model, or a reward model.
        settings: The adapter's.
        base: Where the model came from; the adapter remembers it.
        vocabulary: Pieces of the tokenizer: rows past them are padding and are not trained.
        task: PEFT's name of it; with SEQ_CLS the score head is trained whole and saved with the adapter.

    Returns:
        PEFT's wrapper, which saves the adapter; the model itself is what is trained.

    Raises:
        ConfigError: If there is no such row or target.
    """
    from peft import LoraConfig, get_peft_model

    rows = model.get_input_embeddings().num_embeddings
    indices = None
    if settings.rows_from is not None:
        if not 0 <= settings.rows_from < vocabulary:
            found = f"{settings.rows_from:,} is no id of a vocabulary of {vocabulary:,}"
            raise ConfigError("lora.rows_from", found, "give the first new id, 32000 for LLaMA's extension")
        new = list(range(settings.rows_from, vocabulary))
        head = model.get_output_embeddings()  # a reward model has none
        tied = head is None or head.weight is model.get_input_embeddings().weight
        indices = {"embed_tokens": new} if tied else {"embed_tokens": new, "lm_head": new}
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        trainable_token_indices=indices,
        task_type=task,
        base_model_name_or_path=str(base),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
            wrapped = get_peft_model(model, config)
    except ValueError as error:
        found = f"{', '.join(settings.targets)}: {str(error).splitlines()[0][:120]}"
        raise ConfigError("lora.targets", found, "name linear layers of the model, e.g. q_proj,v_proj") from error
    model.get_input_embeddings().num_embeddings = rows  # PEFT's wrapper does not say it
    return wrapped


def save_adapter(wrapped: Any, folder: Path, tokenizer: Path) -> None:
    """Write the adapter in PEFT's form, with its tokenizer beside it."""
    wrapped.save_pretrained(folder, selected_adapters=["default"], save_embedding_layers=False)
    copy_tokenizer(tokenizer, folder)
