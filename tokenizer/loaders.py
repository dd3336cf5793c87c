"""The libraries that read a tokenizer folder, opened so that a special written in a text is text."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from workbench.errors import InputError


def load_fast(folder: Path) -> Any:
    """Return ``tokenizers``' reading of a folder.

    Raises:
        InputError: If it has none.
    """
    from tokenizers import Tokenizer

    try:
        fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises no narrower one
        raise InputError(folder / "tokenizer.json", f"cannot be loaded ({error})", "export it again") from error
    fast.encode_special_tokens = True
    return fast


def load_auto(transformers: Any, folder: Path) -> Any:
    """Return ``AutoTokenizer``'s reading of a folder."""
    return transformers.AutoTokenizer.from_pretrained(folder, split_special_tokens=True)


def installed_transformers() -> Any:
    """Return transformers if it is installed: this package does without it, but proves what it reads with it."""
    if importlib.util.find_spec("transformers") is None:
        return None
    return importlib.import_module("transformers")
