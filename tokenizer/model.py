"""A SentencePiece model as a list of pieces: read, checked, and written.

Only what can be carried to every loader with equal ids is let in: BPE, no normaliser, byte fallback. LLaMA's and
Mistral's are such models. Whatever else is refused in one line rather than exported with ids that differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import InputError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # SentencePiece.Type of its protocol buffer
BPE = 2  # TrainerSpec.ModelType
SPACE = "▁"  # U+2581, what sentencepiece writes for a space
VOCABULARY_FILES = (
    "tokenizer.model",
    "tokenizer.json",
)  # SentencePiece; byte-level BPE; where both are, equal
REMEDY = "name a BPE model of sentencepiece (tokenizer.model) such as LLaMA's"


def read_model(path: Path) -> Any:
    """Return a model as its protocol buffer (``ModelProto``).

    Raises:
        InputError: If the file cannot be read, is no SentencePiece model, or is one that ``check_model`` refuses.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", REMEDY) from error
    return parse_model(content, path)


def parse_model(content: bytes, place: object) -> Any:
    """Return a model from its bytes.

    Args:
        content: The file.
        place: Where it came from, for the error line.

    Raises:
        InputError: As ``read_model``.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise InputError(place, "is not a SentencePiece model", REMEDY) from error
    if not model.pieces:
        raise InputError(place, "is not a SentencePiece model (it has no pieces)", REMEDY)
    wrong = check_model(model)
    if wrong:
        raise InputError(place, wrong, REMEDY)
    return model


def check_model(model: Any) -> str | None:
    """Return why a model cannot be exported with equal ids, None if it can."""
    normalizer, trainer = model.normalizer_spec, model.trainer_spec
    kinds = {piece.type for piece in model.pieces}
    if trainer.model_type != BPE:
        return "is a SentencePiece model of another kind than BPE"
    if normalizer.precompiled_charsmap:
        return f"normalises its text ({normalizer.name}), which other loaders do differently"
    if normalizer.remove_extra_whitespaces or not normalizer.escape_whitespaces:
        return "removes or does not escape spaces, which other loaders do differently"
    if trainer.treat_whitespace_as_suffix:
        return "puts the space behind a word, which other loaders cannot"
    if USER_DEFINED in kinds or UNUSED in kinds:
        return "has user-defined or unused pieces, which other loaders treat differently"
    if not trainer.byte_fallback or sum(piece.type == BYTE for piece in model.pieces) != 256:
        return "has no byte fallback, so that text would be lost"
    names = [piece.piece for piece in model.pieces]
    if len(set(names)) != len(names):
        return "has a piece twice"
    return None


def reachable_splits(piece: str, pieces: set[str] | dict[str, int]) -> list[tuple[str, str]]:
    """Return the pairs of pieces that merge into a piece, by the length of the first.

    A piece of several characters that has none is never produced: byte pair encoding reaches a piece by merging two.
    """
    cuts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
    return [(left, right) for left, right in cuts if left in pieces and right in pieces]


def vocabulary_file(folder: Path) -> Path:
    """Return the file that a tokenizer's ids depend on; its hash tells whether two folders are one tokenizer.

    Raises:
        InputError: If the folder has none.
    """
    found = vocabulary_in(folder)
    if found is None:
        remedy = "make one with: tokenizer extend --add zh7k --out DIR"
        raise InputError(folder, "holds neither tokenizer.model nor tokenizer.json", remedy)
    return found


def vocabulary_in(folder: Path) -> Path | None:
    """Return the same file, or None: a model need not carry its tokenizer."""
    return next((folder / name for name in VOCABULARY_FILES if (folder / name).is_file()), None)
