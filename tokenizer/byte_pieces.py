"""What the base of an extended byte-level BPE made of each new piece. 18,662 pieces on SmolLM2 take 0.5 s.

The base is in the folder itself: its ids, and the merges before the first one that makes a new piece. A piece that is
text goes through the base as text does, pre-tokenizer and all; one that is only the first bytes of hanzi is no text,
and goes through the base's merges alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizer.byte_level import LETTERS, read_byte_level
from workbench.errors import InputError

VALUES = {letter: value for value, letter in LETTERS.items()}


def byte_level_subwords(tokenizer: Path, base_pieces: int) -> tuple[tuple[int, ...], ...]:
    """Return of each new piece, in the order of ids, the base pieces that its bytes used to be.

    Args:
        tokenizer: A folder of ``tokenizer extend`` on a tokenizer.json.
        base_pieces: How many ids the base had.

    Raises:
        InputError: If the folder's ids do not go on behind the base's without a gap, or its base lost a byte.
    """
    path = tokenizer / "tokenizer.json"
    content = read_byte_level(path)
    specials = {int(entry["id"]): str(entry["content"]) for entry in content.get("added_tokens", [])}
    new = {number: token for token, number in content["model"]["vocab"].items() if number >= base_pieces}
    new |= {number: name for number, name in specials.items() if number >= base_pieces}
    if sorted(new) != list(range(base_pieces, base_pieces + len(new))):
        raise InputError(path, f"has gaps in its ids from {base_pieces:,} on", "extend again")
    try:
        base = base_tokenizer(content, base_pieces)
    except Exception as error:  # tokenizers raises no narrower one
        raise InputError(path, f"cannot be loaded ({error})", "extend again") from error
    out = []
    for number in sorted(new):
        token = new[number]
        text = token if number in specials else _text(token)
        if text is None:
            ids = [one.id for one in base.model.tokenize(token)]
        else:
            ids = base.encode(text, add_special_tokens=False).ids
        if not ids:
            raise InputError(path, f"has {token} at id {number}, of which its base makes nothing", "extend again")
        out.append(tuple(ids))
    return tuple(out)


def base_tokenizer(content: dict[str, Any], base_pieces: int) -> Any:
    """Return the base of an extended tokenizer.json (``tokenizers.Tokenizer``); specials in a text are text to it.

    Args:
        content: The tokenizer.json.
        base_pieces: How many ids the base had.
    """
    from tokenizers import Tokenizer

    vocabulary: dict[str, int] = content["model"]["vocab"]
    merges = content["model"]["merges"]
    made = (vocabulary.get("".join(merge_pair(merge)), -1) for merge in merges)
    kept = next((at for at, number in enumerate(made) if number >= base_pieces), len(merges))
    model = {token: number for token, number in vocabulary.items() if number < base_pieces}
    base = {
        **content,
        "added_tokens": [one for one in content.get("added_tokens", []) if int(one["id"]) < base_pieces],
        "pre_tokenizer": _without_prefix(content.get("pre_tokenizer")),
        "model": {**content["model"], "vocab": model, "merges": merges[:kept]},
    }
    tokenizer = Tokenizer.from_str(json.dumps(base))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def merge_pair(merge: str | list[str]) -> tuple[str, str]:
    """Return a merge's two tokens: older files write them as one string."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _text(token: str) -> str | None:
    """Return the text that a token's letters stand for, None if they are no whole characters."""
    try:
        return bytes(VALUES[letter] for letter in token).decode("utf-8")
    except (UnicodeDecodeError, KeyError):
        return None


def _without_prefix(part: Any) -> Any:
    """Return a pre-tokenizer that puts no space first: a piece stands within a text, not at its beginning."""
    if not isinstance(part, dict):
        return part
    if "pretokenizers" in part:
        return {**part, "pretokenizers": [_without_prefix(one) for one in part["pretokenizers"]]}
    return {**part, "add_prefix_space": False} if "add_prefix_space" in part else part
