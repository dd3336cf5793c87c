"""A model folder opened behind lm-eval's interface: with shared prefixes here, or vLLM where it is installed.

Under torchrun each process takes the device of its rank and a share of the questions.
Cost: beyond importing torch and lm-eval, the weights' bytes from disk and 0.2 s for a tokenizer.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.decoder import open_decoder
from eval.models import load_model, model_folder
from workbench.errors import ConfigError, InputError, MissingPackage
from workbench.files import read_json

BACKENDS = ("hf", "vllm")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


def see_tokenizer(folder: Path) -> Path:
    """Return the model's folder, having seen that a tokenizer lies in it.

    Raises:
        InputError: If the folder is no model, or none lies there.
    """
    inner = model_folder(folder)
    if not any((inner / name).is_file() for name in TOKENIZER_FILES):
        raise InputError(
            inner, f"has no tokenizer (none of {', '.join(TOKENIZER_FILES)})", "lay the model's own tokenizer there"
        )
    return inner


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it the garbage collector sleeps: torch's modules and the items all stay, and looking through them costs.

    Measured: 0.35 of 3.3 CPU-seconds from the command to the first request.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@uncollected()
def open_lm(folder: Path, *, backend: str = "hf", batch: int = 16, device: str | None = None) -> Any:
    """Return the model of a folder behind lm-eval's interface.

    Args:
        folder: A model folder or a run of ``train``.
        backend: ``hf`` or ``vllm``.
        batch: Sequences generated at once.
        device: Where to put it; the rank's accelerator, else the CPU, by default.

    Raises:
        InputError: If there is no such model, or its tokenizer is missing, damaged or larger than its embedding.
        MissingPackage: If the back end is not installed.
    """
    inner = see_tokenizer(folder)
    if backend == "vllm":
        return _vllm(inner, batch)
    from eval.likelihood import hflm

    tokenizer = _tokenizer(inner)
    where = device or _own_device()
    model = open_decoder(inner, where) or load_model(folder, where)
    rows = int(model.config.vocab_size)
    if len(tokenizer) > rows:
        found = f"its tokenizer has {len(tokenizer):,} pieces, its embedding {rows:,} rows"
        raise InputError(inner, found, "lay the model's own tokenizer there")
    return hflm(model, tokenizer, batch=batch)


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer, PreTrainedConfig

    try:
        settings = folder / "tokenizer_config.json"
        stated = read_json(settings) if settings.is_file() else {}
        # Where its class is stated, the model's config need not be one of transformers' classes, which cost a second.
        known = "tokenizer_class" in stated and "auto_map" not in stated
        found, _ = PreTrainedConfig.get_config_dict(folder, local_files_only=True) if known else ({}, {})
        config = PreTrainedConfig.from_dict(found) if known else None  # from_pretrained would warn of the type
        return AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers and transformers raise many kinds for a damaged file
        if isinstance(error, MemoryError | KeyboardInterrupt):
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(folder, f"its tokenizer cannot be loaded ({said})", "check its files") from error


def _own_device() -> str | None:
    import torch

    if "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"
    return None


def _vllm(folder: Path, batch: int) -> Any:
    import importlib.util

    if importlib.util.find_spec("vllm") is None:
        raise ConfigError("--backend vllm", "vllm is not installed", "pip install vllm, or leave --backend out")
    try:
        from lm_eval.models.vllm_causallms import VLLM
    except ImportError as error:
        raise MissingPackage("lm_eval", "eval") from error
    return VLLM(pretrained=str(folder), batch_size=batch, enable_prefix_caching=True)


def quiet() -> None:
    """Keep lm-eval's and transformers' own lines off stderr, where ours are read."""
    import logging

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("lm_eval", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        import warnings

        warnings.filterwarnings("ignore", module=r"(lm_eval|transformers|torch)\b.*")
