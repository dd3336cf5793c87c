"""The JSON beside a model file: what it was made of and by, and what came of it; written last, as a manifest is.

A model is a file that a recipe names, so its record stands beside it (``zh.arpa``, ``zh.json``) and not in a folder of
its own. The same command finds the record, sees that the files are what it says, and has nothing to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import manifest
from workbench.console import note
from workbench.errors import OutputError
from workbench.files import write_json

LABELS_KIND, NGRAM_KIND, CLASSIFIER_KIND = "labels", "ngram", "classifier"


def model_path(out: Path, suffix: str) -> Path:
    """Return the model's file: ``out``, with the suffix if it has another or none.

    Raises:
        OutputError: If it is a folder.
    """
    path = out if out.suffix == suffix else out.with_name(out.name + suffix)
    for place in (out, path):
        if place.is_dir():
            raise OutputError(place, "is a folder", "name a file with --out")
    return path


def record_path(model: Path) -> Path:
    """Return the file of a model's record."""
    return model.with_suffix(".json")


def made_before(
    model: Path, kind: str, mark: str, *, beside: Sequence[str] = (), overwrite: bool
) -> dict[str, Any] | None:
    """Return the record of a model that the same work has made already, whole; None if it is to be made.

    Args:
        model: The model's file.
        kind: What it is.
        mark: The fingerprint of the work.
        beside: Suffixes of what else the work writes, or takes away.
        overwrite: Whether other files of these names may be replaced.

    Raises:
        OutputError: If they may not.
    """
    path = record_path(model)
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if isinstance(known, dict) and known.get("kind") == kind:
        files = known.get("files", ())
        whole = all((model.parent / one["path"]).is_file() for one in files) and all(
            manifest.describe_file(model.parent / one["path"], model.parent)["sha256"] == one["sha256"] for one in files
        )
        if known.get("fingerprint") == mark and whole:
            note(f"{model}: made of the same inputs with the same settings; nothing to do")
            return known
    paths = (model, path, *(model.with_suffix(suffix) for suffix in beside))
    there = next((one for one in paths if one.exists()), None)
    if there is not None and not overwrite:
        found = "is there, of other inputs or settings"
        if known is None:
            found = "is there without a record of ours (another program's file, or one that an interruption left)"
        raise OutputError(there, found, "name another --out, or add --overwrite")
    return None


def write_record(
    model: Path,
    kind: str,
    mark: str,
    config: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    files: Sequence[Path],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the record of a finished model, and return it."""
    described = [manifest.describe_file(file, model.parent) for file in files]
    record = asdict(manifest.Manifest(kind, mark, config, inputs, files=described, results=results))
    write_json(record_path(model), record)
    return record
