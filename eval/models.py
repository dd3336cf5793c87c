"""Opening a causal language model: safetensors only, Llama family only, no hub. Cost: the weights' bytes from disk.

A folder may be a model in Hugging Face's form or a run of ``train`` (its ``model/`` is taken).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.device import default_device
from workbench import manifest
from workbench.errors import InputError
from workbench.files import read_json

if TYPE_CHECKING:
    import torch

ADAPTER = "adapter"  # the folder of one in a run
# Decoders whose logits are lm_head(last hidden state) and nothing else, and that keep packed documents apart.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
LENGTH_DEPENDENT = ("dynamic", "longrope")  # rotary embeddings that change with the sequence's whole length


def shares(config: Any) -> bool:
    """Return whether a model can be run over a tree of prompts: a known family, and every token sees all before it."""
    windowed = getattr(config, "sliding_window", None) is not None
    layers = getattr(config, "layer_types", None) or ()
    turning = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if config.model_type not in FAMILIES or windowed or turning in LENGTH_DEPENDENT:
        return False
    return all(kind == "full_attention" for kind in layers)


def model_folder(folder: Path) -> Path:
    """Return the folder with the model's config.json: ``folder`` itself, or a run's ``model/``.

    Raises:
        InputError: If there is none, or its weights are not safetensors, or it is of another family.
    """
    if not folder.is_dir():
        raise InputError(folder, "no such folder", "name a model folder or a run")
    inner = folder / "model" if (folder / "model" / "config.json").is_file() else folder
    if not (inner / "config.json").is_file() and (folder / ADAPTER).is_dir():
        raise InputError(folder, "holds an adapter, no whole model", f"merge it first: train merge {folder} --out DIR")
    if not (inner / "config.json").is_file():
        raise InputError(folder, "has no config.json, so it is no model", "name a model folder or a finished run")
    try:
        family = json.loads((inner / "config.json").read_text(encoding="utf-8")).get("model_type")
    except ValueError as error:
        raise InputError(
            inner / "config.json", f"is not JSON ({error})", "take the file from the model again"
        ) from error
    if family not in FAMILIES:
        raise InputError(inner, f"is a model of type {family}", f"use one of: {', '.join(FAMILIES)}")
    if not any(inner.glob("*.safetensors")):
        other = ", ".join(sorted(path.name for path in inner.glob("*.bin"))) or "no weights"
        raise InputError(
            inner, f"has {other}, not safetensors", "convert the weights to safetensors (pickles can run code)"
        )
    return inner


def whole_model(folder: Path) -> Path:
    """Return the same folder of a model whose weights are numbers, not codes: what can be trained and merged.

    Raises:
        InputError: If its config says that they are quantised (GPTQ, AWQ, bitsandbytes and the like), or no model.
    """
    inner = model_folder(folder)
    if codes := read_json(inner / "config.json").get("quantization_config"):
        found = f"says that the weights are quantised ({codes.get('quant_method', 'of no named kind')})"
        remedy = "take the model as it was before that; tune=qlora cuts one to 4 bits by itself"
        raise InputError(inner / "config.json", found, remedy)
    return inner


def weights_inputs(weights: Path | None, *, adapter: bool = False) -> list[dict[str, Any]]:
    """Return a manifest's inputs of the weights: a run by its fingerprint, so that lineage walks on, or the files."""
    if weights is None:
        return []
    if (weights / manifest.NAME).is_file():
        return [{"path": str(weights), "fingerprint": read_json(weights / manifest.NAME)["fingerprint"]}]
    folder = weights if adapter and any(weights.rglob("adapter_config.json")) else model_folder(weights)
    return [manifest.describe_file(path) for path in sorted(folder.rglob("*.safetensors"))]


@contextmanager
def scoring(model: Any, device: torch.device, precision: str) -> Iterator[None]:
    """Within it the model is in evaluation mode, makes no gradients, and computes as in training."""
    import torch

    was_training = model.training
    model.eval()
    try:
        bf16 = precision == "bf16"
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield
    finally:
        model.train(was_training)


def load_model(folder: Path, device: str | torch.device | None = None) -> Any:
    """Return the model of a folder, in evaluation mode, in the precision it was saved in.

    Args:
        folder: A model folder or a run.
        device: Where to put it; the accelerator if there is one by default.

    Raises:
        InputError: If the folder is no such model, or its files are damaged.
    """
    from transformers import AutoModelForCausalLM

    inner = model_folder(folder)
    if _is_reward_model(inner):
        raise InputError(inner, "is a reward model, which cannot continue text", "name the run of stage pt or sft")
    return _open(AutoModelForCausalLM, inner).to(device or default_device()).eval()


def load_tokenizer(folder: Path) -> Any:
    """Return transformers' tokenizer of a folder.

    Raises:
        InputError: If it holds none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        found = f"holds no tokenizer ({str(error).splitlines()[0][:99]})"
        raise InputError(folder, found, "give tokenizer=") from error


def load_reward_model(folder: Path, device: str | torch.device | None = None, *, fresh: bool = False) -> Any:
    """Return the reward model of a folder, in evaluation mode: a sequence classifier of one label, ``score``.

    Args:
        folder: A model folder or a run of stage rm.
        device: Where to put it; the accelerator if there is one by default.
        fresh: Over a language model, make one with a fresh head.

    Raises:
        InputError: If the folder is no reward model, or one without its head.
    """
    from safetensors import safe_open
    from transformers import AutoModelForSequenceClassification

    inner = model_folder(folder)
    if _is_reward_model(inner):
        names: set[str] = set()
        for path in inner.glob("*.safetensors"):
            with safe_open(path, "pt") as file:
                names |= set(file.keys())
        if "score.weight" not in names:
            raise InputError(inner, "is a reward model without its head (score.weight)", "take its files again")
    elif not fresh:
        raise InputError(inner, "is no reward model: it has no score head", "make one with: train stage=rm")
    return _open(AutoModelForSequenceClassification, inner, num_labels=1).to(device or default_device()).eval()


def _is_reward_model(inner: Path) -> bool:
    config = json.loads((inner / "config.json").read_text(encoding="utf-8"))
    return any(name.endswith("ForSequenceClassification") for name in config.get("architectures") or [])


def _open(kind: Any, inner: Path, **more: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()  # our own counts; a bar a file of weights says nothing
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # that a head is fresh or left behind is known and checked here
    try:
        return kind.from_pretrained(
            inner, local_files_only=True, use_safetensors=True, dtype="auto", trust_remote_code=False, **more
        )
    except Exception as error:  # safetensors and transformers raise many kinds for a damaged file
        if isinstance(error, MemoryError | KeyboardInterrupt):
            raise
        raise InputError(inner, f"cannot be loaded ({str(error).splitlines()[0]})", "check its files") from error
    finally:
        logging.set_verbosity(level)
