"""Whether an extended tokenizer continues the vocabulary that a model carries: the same pieces at the same ids.

Like is compared with like: tokenizer.model where the model has one, else tokenizer.json, which every extended folder
has. Of a byte-level BPE the merges too, because with others equal pieces are cut from a text in another way. (Of a
SentencePiece model they say nothing: ``tokenizer.export`` writes them anew.) Cost: reading both, 0.3 s of SmolLM2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizer.byte_pieces import merge_pair
from tokenizer.model import read_model, vocabulary_in
from workbench.console import note
from workbench.errors import InputError
from workbench.files import read_json


def check_vocabulary(model: Path, tokenizer: Path, base_pieces: int) -> None:
    """Refuse a model of another vocabulary than the one that was extended, if it carries its own.

    Args:
        model: Its folder.
        tokenizer: A folder of ``tokenizer extend``.
        base_pieces: How many ids were there before.

    Raises:
        InputError: Naming the first id, or merge, that differs.
    """
    own = vocabulary_in(model)
    if own is None:
        note(f"{model}: holds no tokenizer, so that its pieces cannot be compared with the tokenizer's base")
        return
    remedy = f"extend with --base {own}"
    if not (tokenizer / own.name).is_file():
        raise InputError(own, f"is there, but {tokenizer} was extended from no such file", remedy)
    theirs, theirs_merges = _read(own)
    ours, merges = _read(tokenizer / own.name)
    base = {number: piece for number, piece in ours.items() if number < base_pieces}
    differs = min((n for n in theirs.keys() | base.keys() if theirs.get(n) != base.get(n)), default=None)
    if differs is not None:
        found = f"its {len(theirs):,} pieces differ at id {differs}; {tokenizer} was extended from {len(base):,} others"
        raise InputError(model, found, remedy)
    if (tokenizer / "tokenizer.model").is_file():
        return
    numbers = {piece: number for number, piece in ours.items()}
    old = next((at for at, pair in enumerate(merges) if numbers.get("".join(pair), -1) >= base_pieces), len(merges))
    wrong = next((at for at, (a, b) in enumerate(zip(theirs_merges, merges, strict=False)) if a != b), None)
    if wrong is not None or len(theirs_merges) != old:
        at = min(old, len(theirs_merges)) if wrong is None else wrong
        raise InputError(model, f"its merges differ at number {at}; {tokenizer} was extended from others", remedy)


def _read(path: Path) -> tuple[dict[int, str], list[tuple[str, str]]]:
    """Return a vocabulary's pieces by id, specials among them, and its merges; none of a tokenizer.model."""
    if path.suffix == ".model":
        return {number: piece.piece for number, piece in enumerate(read_model(path).pieces)}, []
    try:
        content: dict[str, Any] = read_json(path)
        pieces = {int(number): str(token) for token, number in content["model"]["vocab"].items()}
        added = {int(entry["id"]): str(entry["content"]) for entry in content.get("added_tokens", [])}
        merges = [merge_pair(merge) for merge in content["model"].get("merges", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(path, f"is not a tokenizer.json of a BPE ({error})", "fetch it again") from error
    return pieces | added, merges
