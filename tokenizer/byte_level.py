"""Extend a byte-level BPE (the tokenizer.json of Qwen, Llama 3, SmolLM2 and the like).

Such a vocabulary has every byte, and a hanzi that it lacks is two or three tokens. Added, the hanzi is the merges that
lead from those tokens to one: of its first two, then of that and the third. The token in between is new too, if no
other hanzi has brought it; a word is all pairs of pieces that make it. New merges come behind all of the base's, and
each begins with a token that begins a hanzi, so that English and code, which have no such bytes, stay as they are.
What may change, besides what was added, is a character that shares the first bytes of an added one: it takes fewer
tokens than before. Where the base merges across two characters, it goes on doing so: that goes before.

ids go on behind the base's last one, special or not. The folder has tokenizer.json and tokenizer_config.json, the
base's chat template in it, and no tokenizer.model. 8,019 characters take 1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizer.base import Base
from tokenizer.export import EXPORT_VERSION, NO_LIMIT
from tokenizer.extend import CHAT_SPECIALS, KIND, choose
from tokenizer.model import reachable_splits
from tokenizer.peers import byte_letters
from tokenizer.vocabularies import PieceList
from workbench import manifest
from workbench.console import note
from workbench.errors import ConfigError, InputError
from workbench.files import read_json, sha256_file, write_json

REMEDY = "name the tokenizer.json of a byte-level BPE such as Qwen's"
LETTERS = byte_letters()
# SmolLM2 has no token for some of these. They are in no UTF-8, or only in unassigned planes, or control characters that
# a built corpus has none of; tokenizers leaves them out of the ids.
DISPENSABLE = {*range(9), 11, 12, *range(14, 32), 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)}


def letters_of(text: str) -> str:
    """Return a text's UTF-8 bytes as the letters by which byte-level BPE writes them."""
    return "".join(LETTERS[value] for value in text.encode())


def read_byte_level(path: Path) -> dict[str, Any]:
    """Return a tokenizer.json that is a byte-level BPE.

    Raises:
        InputError: If it is not.
    """
    try:
        content = dict(read_json(path))
        model = content["model"]
        is_bpe = model["type"] == "BPE" and isinstance(model["vocab"], dict) and isinstance(model["merges"], list)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"is not a tokenizer.json ({error})", REMEDY) from error
    if not is_bpe or any(LETTERS[byte] not in model["vocab"] for byte in LETTERS.keys() - DISPENSABLE):
        raise InputError(path, "is no byte-level BPE with a token for every byte of a text", REMEDY)
    return content


def extend_byte_level(
    base: Base, lists: Sequence[PieceList], out: Path, *, pad_to: int, overwrite: bool = False
) -> dict[str, Any]:
    """Extend a byte-level BPE; as ``tokenizer.extend.extend``, and the same report.

    Args:
        base: A tokenizer.json; a tokenizer_config.json and a chat template beside it are kept.
        lists: What to add, in order.
        out: The tokenizer folder.
        pad_to: The embedding is to have a multiple of so many rows.
        overwrite: Whether another tokenizer in ``out`` may be replaced.

    Raises:
        UserError: If the base is none, or ``out`` belongs to something else.
    """
    if pad_to < 1:
        raise ConfigError("--pad-to", f"{pad_to} is less than one", "give a multiple such as 128")
    content = read_byte_level(base.path)
    beside, template = (base.path.parent / name for name in ("tokenizer_config.json", "chat_template.jinja"))
    kept = [path for path in (beside, template) if path.is_file()]
    paths = [base.path, *kept, *(one.path for one in lists)]
    inputs = [{"path": str(path), "bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in paths]
    config = {"base": base.name, "add": [one.name for one in lists], "specials": CHAT_SPECIALS, "pad_to": pad_to}
    settings = {"specials": CHAT_SPECIALS, "pad_to": pad_to, "export": EXPORT_VERSION, "byte_level": True}
    mark = manifest.fingerprint(KIND, settings, [entry["sha256"] for entry in inputs])
    if manifest.claim(out, KIND, mark, overwrite=overwrite) == "complete":
        note(f"{out}: complete, made of the same base and lists; nothing to do")
        return dict(read_json(out / "report.json"))
    vocabulary: dict[str, int] = content["model"]["vocab"]
    ids = [*vocabulary.values(), *(entry["id"] for entry in content.get("added_tokens", []))]
    base_pieces = max(ids) + 1
    split = Splitter(base.path)
    addition = choose(Known(split), lists)
    merges = new_merges(addition.pieces, split)
    last = base_pieces
    for left, right in merges:
        if left + right not in vocabulary:
            vocabulary[left + right] = last
            last += 1
    as_text = bool(content["model"]["merges"]) and isinstance(content["model"]["merges"][0], str)
    content["model"]["merges"] += [" ".join(pair) if as_text else list(pair) for pair in merges]
    specials = add_specials(content, last)
    total = max(last - 1, *specials.values()) + 1
    report = {
        "base": base.name,
        "base_sha256": base.sha256,
        "base_pieces": base_pieces,
        "lists": [asdict(count) for count in addition.counts],
        "characters_of_words": addition.characters_of_words,
        "added": len(addition.pieces),
        "byte_prefixes": last - base_pieces - len(addition.pieces),
        "specials": specials,
        "total": total,
        "embedding_rows": -(-total // pad_to) * pad_to,
        "unreachable": list(addition.unreachable),
    }
    about = dict(read_json(beside)) if beside.is_file() else {"model_max_length": NO_LIMIT}
    about |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    if template in kept:  # where transformers 5 puts it
        about |= {"chat_template": template.read_text(encoding="utf-8")}
    names = ("tokenizer.json", "tokenizer_config.json", "report.json")
    for name, value in zip(names, (content, about, report), strict=True):
        write_json(out / name, value)
    entries = [manifest.describe_file(out / name, out) for name in names]
    results = {key: value for key, value in report.items() if key != "unreachable"}
    manifest.write(out, manifest.Manifest(KIND, mark, config, inputs, (), entries, results))
    return report


def add_specials(content: dict[str, Any], last: int) -> dict[str, int]:
    """Add the chat specials that are not there; returns their ids.

    Args:
        content: The tokenizer.json; changed.
        last: The first id that is free.
    """
    added = content.setdefault("added_tokens", [])
    there = {entry["content"]: int(entry["id"]) for entry in added}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    for name in CHAT_SPECIALS:
        if name not in there:
            there[name] = last
            added.append({"id": last, "content": name, **flags})
            last += 1
    return {name: there[name] for name in CHAT_SPECIALS}


class Splitter:
    """The base's own merges, applied to one piece."""

    def __init__(self, path: Path) -> None:
        """Load the base.

        Raises:
            InputError: If tokenizers cannot.
        """
        from tokenizers import Tokenizer

        try:
            self._model = Tokenizer.from_file(str(path)).model
        except Exception as error:  # tokenizers raises no narrower one
            raise InputError(path, f"is not a tokenizer.json ({str(error)[:80]})", REMEDY) from error

    def __call__(self, piece: str) -> list[str]:
        """Return the tokens of a piece, in letters."""
        return [token.value for token in self._model.tokenize(letters_of(piece))]


class Known(set[str]):
    """The pieces that are one token: those of the base are asked for as they come, those added are put in."""

    def __init__(self, split: Splitter) -> None:
        """Begin with the base's."""
        super().__init__()
        self._split = split

    def __contains__(self, piece: object) -> bool:
        return super().__contains__(piece) or len(self._split(str(piece))) == 1


def new_merges(pieces: Sequence[str], split: Splitter) -> list[tuple[str, str]]:
    """Return the merges that make pieces, in their order, each once.

    Args:
        pieces: Characters, and words behind what they are made of.
        split: The base.
    """
    merges: dict[tuple[str, str], None] = {}
    known = Known(split)
    for piece in pieces:
        if len(piece) == 1:
            tokens = split(piece)
            made = tokens[0]
            for token in tokens[1:]:
                merges[made, token] = None
                made += token
        else:
            for left, right in reachable_splits(piece, known):
                merges[letters_of(left), letters_of(right)] = None
        known.add(piece)
    return list(merges)
