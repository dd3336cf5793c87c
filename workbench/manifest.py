"""``manifest.json``: what made an output folder, from what, and what came of it. Written last: it means complete.

The fingerprint (kind, version of the format, configuration, inputs) decides reuse. While a folder is being filled it
holds ``unfinished.json`` with the same fingerprint, so that an interrupted command knows its own work again and never
takes a stranger's folder for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InputError, OutputError
from workbench.files import make_folder, read_json, remove, sha256_file, write_json
from workbench.version import __version__, git_commit

NAME = "manifest.json"
UNFINISHED = "unfinished.json"


@dataclass(frozen=True)
class Manifest:
    """The record of one artefact."""

    kind: str  # corpus | tokenizer | tokens | model | run | scores
    fingerprint: str
    config: Mapping[str, Any]  # the resolved recipe or settings, whole
    inputs: Sequence[Mapping[str, Any]]  # path, bytes, sha256 of each, or of each input's own manifest
    steps: Sequence[Mapping[str, Any]] = ()  # name, rows_in, rows_out, reasons, seconds
    files: Sequence[Mapping[str, Any]] = ()  # path, bytes, sha256, and rows where it has rows
    results: Mapping[str, Any] = field(default_factory=dict)  # what else is worth knowing
    version: str = __version__
    commit: str | None = field(default_factory=git_commit)


def fingerprint(kind: str, config: object, inputs: object) -> str:
    """Return 32 hexadecimal digits that change whenever the kind, the configuration or an input changes."""
    text = json.dumps([kind, config, inputs], ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def describe_file(path: Path, root: Path | None = None, **extra: Any) -> dict[str, Any]:
    """Return the manifest's entry of a file: its path (below root), bytes and sha256, and what else is given."""
    name = path.relative_to(root) if root else path
    return {"path": str(name), **extra, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def describe_folder(folder: Path, kind: str, made_by: str) -> dict[str, Any]:
    """Return the manifest's entry of an artefact: its fingerprint, so that ``train lineage`` walks on; see ``read``."""
    return {"path": str(folder), "fingerprint": read(folder, kind, made_by).fingerprint}


def write(folder: Path, manifest: Manifest) -> None:
    """Complete a folder: write its manifest, then take the mark of unfinished work away."""
    write_json(folder / NAME, asdict(manifest))
    remove(folder / UNFINISHED)


def read(folder: Path, kind: str, made_by: str) -> Manifest:
    """Return the manifest of a complete artefact.

    Args:
        folder: The artefact.
        kind: What it must be.
        made_by: The command that makes one, for the error line.

    Raises:
        InputError: If the folder is not there, not complete, or of another kind.
    """
    remedy = f"make one with: {made_by}"
    if not folder.is_dir():
        raise InputError(folder, "no such folder", remedy)
    if not (folder / NAME).is_file():
        state = "is unfinished" if (folder / UNFINISHED).is_file() else "has no manifest.json"
        raise InputError(folder, f"{state}, so it is no complete {kind}", remedy)
    try:
        raw = json.loads((folder / NAME).read_text(encoding="utf-8"))
        manifest = Manifest(**raw)
    except (ValueError, TypeError) as error:
        raise InputError(folder / NAME, f"is not a manifest ({error})", remedy) from error
    if manifest.kind != kind:
        raise InputError(folder, f"is a {manifest.kind}, not a {kind}", remedy)
    return manifest


def wrong_with(path: Path) -> str | None:
    """Return what is wrong with a folder's files, None if it has all that its manifest names with their hashes."""
    try:
        record = read_json(path / NAME)
        entries = [(str(e["path"]), int(e["bytes"]), str(e["sha256"])) for e in record["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "has no readable manifest.json"
    for name, size, digest in entries:
        file = path / name
        if not file.is_file():
            return f"lacks {name}"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size:,} of {size:,} bytes"
        if sha256_file(file) != digest:
            return f"{name} has another hash than its manifest says"
    return None


State = Literal["fresh", "resume", "complete"]


def claim(folder: Path, kind: str, mark: str, *, overwrite: bool = False, option: str = "--out") -> State:
    """Take an output folder for this work, or say why not.

    Args:
        folder: The output folder; created if absent.
        kind: The kind of artefact that will be in it.
        mark: The fingerprint of the work.
        overwrite: Whether an artefact of the same kind, but other work, may be replaced.
        option: How the command names its output folder.

    Returns:
        ``fresh`` (empty, now ours), ``resume`` (our own unfinished work) or ``complete`` (nothing left to do).

    Raises:
        OutputError: If the folder cannot be written or belongs to something else.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(folder, "is a file, not a folder", f"name another {option}")
    make_folder(folder)
    for name, state in ((NAME, "complete"), (UNFINISHED, "resume")):
        if not (folder / name).is_file():
            continue
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            other_kind, other_mark = found["kind"], found["fingerprint"]
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(folder / name, "was not written by yanmo", f"name another {option}") from error
        if other_kind != kind:
            raise OutputError(folder, f"holds a {other_kind}, not a {kind}", f"name another {option}")
        if other_mark == mark:
            return "complete" if state == "complete" else "resume"
        if not overwrite:
            remedy = f"name another {option}, or add --overwrite to replace it"
            raise OutputError(folder, f"holds a {kind} of other inputs or settings", remedy)
        for entry in folder.iterdir():
            remove(entry)
    if any(folder.iterdir()):
        raise OutputError(folder, f"is not empty and holds no {kind}", f"name another {option}, or empty it")
    write_json(folder / UNFINISHED, {"kind": kind, "fingerprint": mark})
    return "fresh"
