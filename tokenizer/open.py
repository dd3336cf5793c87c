"""The encoder of a vocabulary file, and whether it is the one that packed some shards; for both kinds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.encode import Encoder
from tokenizer.model import vocabulary_file
from tokenizer.shards import TokenShards
from workbench import manifest
from workbench.errors import InputError
from workbench.files import read_json, sha256_file

MADE_BY = "tokenizer extend --add zh7k --out DIR"


@cache
def load_encoder(path: Path, _sha256: str = "") -> Encoder | ByteLevelEncoder:
    """Return the encoder of a vocabulary file, loaded once in a process.

    Args:
        path: Of ``vocabulary_file``.
        _sha256: A changed file is another encoder.
    """
    return ByteLevelEncoder(path) if path.suffix == ".json" else Encoder(path)


def describe_tokenizer(folder: Path) -> dict[str, str]:
    """Return a manifest's input of a tokenizer: any folder that holds one, of its own or beside a model.

    Raises:
        InputError: If it holds none.
    """
    found = {"path": str(folder), "sha256": sha256_file(vocabulary_file(folder))}
    if (folder / manifest.NAME).is_file():  # else it is a model's own, as published
        found["fingerprint"] = str(read_json(folder / manifest.NAME)["fingerprint"])
    return found


def check_packed_by(tokenizer: Path, shards: TokenShards) -> None:
    """Refuse shards that another tokenizer packed.

    Raises:
        InputError: If the folder is no tokenizer, or not the one of the shards.
    """
    if not tokenizer.is_dir():
        raise InputError(tokenizer, "no such folder", f"make one with: {MADE_BY}")
    if (found := sha256_file(vocabulary_file(tokenizer))) != shards.tokenizer_sha256:
        raise InputError(
            shards.folder,
            f"was packed with another tokenizer (sha256 {shards.tokenizer_sha256[:12]}, {tokenizer} has {found[:12]})",
            f"name the tokenizer that packed it, or: tokenizer pack CORPUS --tokenizer {tokenizer}",
        )


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
