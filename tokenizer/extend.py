"""Add pieces to a SentencePiece model so that what it did before stays as it was.

Three rules make that so:

- Only hanzi-only pieces, full-width digits and letters, and single signs outside ASCII are added: none can take part
  in English or code.
- Every added piece has a score of its own below the base's lowest. Merges are taken in the order of scores: none that
  is added goes before one of the base, and no two tie. The widespread ``score = 0`` breaks both.
- A piece that no two pieces merge into would never be produced: it is left out, and said. The order of a list is the
  order of its merges; a word that must wait for its parts comes behind them.

The two chat specials are control pieces: no text turns into them, here or in any loader. 8,019 characters take 0.3 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizer.base import Base
from tokenizer.export import EXPORT_VERSION, export
from tokenizer.model import CONTROL, NORMAL, reachable_splits, read_model
from tokenizer.vocabularies import PieceList
from workbench import manifest
from workbench.console import note, table
from workbench.errors import ConfigError, InputError
from workbench.files import read_json, sha256_file, write_json

KIND = "tokenizer"
MADE_BY = "tokenizer extend --add zh7k --out DIR"
CHAT_SPECIALS = ("<human>", "<bot>")
SCORE_FLOOR = -3e38  # scores are float32


@dataclass(frozen=True)
class ListCount:
    """What came of one list; ``asked`` is the sum of the others and of nothing else."""

    name: str
    asked: int  # lines of the list
    already_there: int  # in the base, or added by an earlier list
    unreachable: int  # words that no two pieces merge into
    added: int


@dataclass(frozen=True)
class Addition:
    """What is added, in order of id."""

    pieces: tuple[str, ...]
    counts: tuple[ListCount, ...]
    characters_of_words: int  # of the pieces: hanzi that no list asks for, but words need to be built from
    unreachable: tuple[str, ...]


def extend(
    base: Base, lists: Sequence[PieceList], out: Path, *, pad_to: int, overwrite: bool = False
) -> dict[str, Any]:
    """Extend a model and export it.

    Args:
        base: The model.
        lists: What to add, in order; what an earlier one added is not added again.
        out: The tokenizer folder.
        pad_to: The embedding is to have a multiple of so many rows.
        overwrite: Whether another tokenizer in ``out`` may be replaced.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: If the base is no usable model, or ``out`` belongs to something else.
    """
    if pad_to < 1:
        raise ConfigError("--pad-to", f"{pad_to} is less than one", "give a multiple such as 128")
    model = read_model(base.path)
    inputs = [
        {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in (base.path, *(one.path for one in lists))
    ]
    config = {"base": base.name, "add": [one.name for one in lists], "specials": CHAT_SPECIALS, "pad_to": pad_to}
    marks = [entry["sha256"] for entry in inputs]
    mark = manifest.fingerprint(KIND, {"specials": CHAT_SPECIALS, "pad_to": pad_to, "export": EXPORT_VERSION}, marks)
    if manifest.claim(out, KIND, mark, overwrite=overwrite) == "complete":
        note(f"{out}: complete, made of the same base and lists; nothing to do")
        return dict(read_json(out / "report.json"))
    base_pieces = len(model.pieces)
    addition = choose({piece.piece for piece in model.pieces}, lists)
    specials = add(model, addition)
    report = {
        "base": base.name,
        "base_sha256": base.sha256,
        "base_pieces": base_pieces,
        "lists": [asdict(count) for count in addition.counts],
        "characters_of_words": addition.characters_of_words,
        "added": len(addition.pieces),
        "specials": specials,
        "total": len(model.pieces),
        "embedding_rows": -(-len(model.pieces) // pad_to) * pad_to,
        "unreachable": list(addition.unreachable),
    }
    files = export(model, out, specials=tuple(specials))
    write_json(out / "report.json", report)
    files.append(out / "report.json")
    entries = [manifest.describe_file(path, out) for path in files]
    results = {key: value for key, value in report.items() if key != "unreachable"}
    manifest.write(out, manifest.Manifest(KIND, mark, config, inputs, (), entries, results))
    return report


def choose(known: set[str], lists: Sequence[PieceList]) -> Addition:
    """Return what of the lists is to be added to a vocabulary.

    Args:
        known: The pieces of the base; what is added is put in.
        lists: In order.
    """
    pieces: list[str] = []
    counts: list[ListCount] = []
    unreachable: list[str] = []
    needed = 0

    for one in lists:
        waiting = [piece for piece in one.pieces if piece not in known]
        there, added = len(one.pieces) - len(waiting), 0
        waiting.sort(key=lambda piece: len(piece) > 1)  # stable: characters, then words as the list has them
        while waiting:
            later = []
            for piece in waiting:
                missing = [char for char in dict.fromkeys(piece) if char not in known] if len(piece) > 1 else []
                known.update(missing)
                if len(piece) > 1 and not reachable_splits(piece, known):
                    known.difference_update(missing)
                    later.append(piece)
                    continue
                known.add(piece)
                pieces += [*missing, piece]
                needed += len(missing)
                added += 1
            if len(later) == len(waiting):
                break
            waiting = later
        unreachable += waiting
        counts.append(ListCount(one.name, len(one.pieces), there, len(waiting), added))
    return Addition(tuple(pieces), tuple(counts), needed, tuple(unreachable))


def add(model: Any, addition: Addition) -> dict[str, int]:
    """Append the pieces, then the chat specials that are not there, to a model.

    Returns:
        The ids of the chat specials.

    Raises:
        InputError: If one is in the base as an ordinary piece, which text turns into.
    """
    import numpy as np

    score = np.float32(min(piece.score for piece in model.pieces))
    for piece in addition.pieces:
        score -= max(np.float32(1), np.spacing(abs(score)))  # of float32: at LLaMA's -1e9 the next number is 64 away
        assert score > SCORE_FLOOR
        model.pieces.add(piece=piece, score=float(score), type=NORMAL)
    known = {piece.piece: number for number, piece in enumerate(model.pieces)}
    specials = {}
    for name in CHAT_SPECIALS:
        if name not in known:
            known[name] = len(model.pieces)
            model.pieces.add(piece=name, score=0.0, type=CONTROL)
        if model.pieces[known[name]].type != CONTROL:
            raise InputError("--base", f"has {name} as an ordinary piece", "name a base without it")
        specials[name] = known[name]
    model.trainer_spec.vocab_size = len(model.pieces)
    return specials


def print_summary(report: dict[str, Any]) -> None:
    """Print what became of the lists, and the sizes, on stdout."""
    heads = ("list", "asked", "already there", "unreachable", "added")
    rows = [tuple(count.values()) for count in report["lists"]]
    table(heads, rows)
    sizes = [
        (f"base ({report['base']})", report["base_pieces"]),
        ("added by lists", report["added"] - report["characters_of_words"]),
        *([("hanzi that words need", report["characters_of_words"])] if report["characters_of_words"] else []),
        *([("first bytes of hanzi", report["byte_prefixes"])] if "byte_prefixes" in report else []),
        (
            f"chat specials ({', '.join(report['specials'])})",
            report["total"] - report["base_pieces"] - report["added"] - report.get("byte_prefixes", 0),
        ),
        ("vocabulary", report["total"]),
        ("embedding rows, padded", report["embedding_rows"]),
    ]
    table(("vocabulary", "pieces"), sizes)
