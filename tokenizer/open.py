"""The encoder of a vocabulary file, and whether a model carries the tokenizer of some shards; for both kinds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.encode import Encoder
from tokenizer.shards import TokenShards
from workbench.errors import InputError
from workbench.files import sha256_file


@cache
def load_encoder(path: Path, _sha256: str = "") -> Encoder | ByteLevelEncoder:
    """Return the encoder of a vocabulary file, loaded once in a process.

    Args:
        path: Of ``vocabulary_file``.
        _sha256: A changed file is another encoder.
    """
    return ByteLevelEncoder(path) if path.suffix == ".json" else Encoder(path)


def check_carried(shards: TokenShards, folder: Path, remedy: str) -> None:
    """Refuse shards for a model that carries another tokenizer: equal ids would mean other pieces.

    Like is compared with like: a model saved with its tokenizer.json alone may go with shards of a tokenizer.model.

    Args:
        shards: Packed by some tokenizer.
        folder: The model's; it need not carry a tokenizer.
        remedy: What to do.

    Raises:
        InputError: If it carries another.
    """
    own = folder / shards.tokenizer_file
    if own.is_file() and sha256_file(own) != shards.tokenizer_sha256:
        raise InputError(shards.folder, f"was packed with another tokenizer than {own}", remedy)
