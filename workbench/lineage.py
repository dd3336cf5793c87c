"""How an artefact got there: from its manifest to the manifests of what it was made from, down to the raw files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import read_json
from workbench.manifest import NAME


@dataclass(frozen=True)
class Link:
    """One artefact of the chain."""

    depth: int
    folder: Path
    kind: str
    fingerprint: str
    results: dict[str, Any]
    raw_files: int
    raw_bytes: int


def lineage(folder: Path, depth: int = 0) -> Iterator[Link]:
    """Yield an artefact and, depth first, those it was made from.

    Args:
        folder: An artefact with a manifest; its inputs name files, or folders with manifests of their own.
        depth: How far from the first one.

    Raises:
        InputError: If there is no manifest.
    """
    if not (folder / NAME).is_file():
        raise InputError(folder, "has no manifest.json", "name a finished output folder")
    raw = read_json(folder / NAME)
    inputs = [(Path(entry["path"]), int(entry.get("bytes", 0))) for entry in raw["inputs"]]
    files = [size for path, size in inputs if not (path / NAME).is_file()]
    yield Link(depth, folder, raw["kind"], raw["fingerprint"], raw["results"], len(files), sum(files))
    for path, _ in inputs:
        if (path / NAME).is_file():
            yield from lineage(path, depth + 1)
