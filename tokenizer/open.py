"""Which file of a folder is its vocabulary, and the encoder of it: one place for both kinds of tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.encode import Encoder
from workbench.errors import InputError

FILES = ("tokenizer.model", "tokenizer.json")  # SentencePiece; byte-level BPE. Where both are, they are equal


def vocabulary_file(folder: Path) -> Path:
    """Return the file that a tokenizer's ids depend on; its hash tells whether two folders are one tokenizer.

    Raises:
        InputError: If the folder has none.
    """
    found = find_vocabulary(folder)
    if found is None:
        remedy = "make one with: tokenizer extend --add zh7k --out DIR"
        raise InputError(folder, "holds neither tokenizer.model nor tokenizer.json", remedy)
    return found


def find_vocabulary(folder: Path) -> Path | None:
    """Return the same file, or None: a model need not carry its tokenizer."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


@cache
def load_encoder(path: Path, _sha256: str = "") -> Encoder | ByteLevelEncoder:
    """Return the encoder of a vocabulary file, loaded once in a process.

    Args:
        path: Of ``vocabulary_file``.
        _sha256: A changed file is another encoder.
    """
    return ByteLevelEncoder(path) if path.suffix == ".json" else Encoder(path)
