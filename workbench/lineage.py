"""``train lineage RUN``: how an artefact got there, from its manifest down to the raw files.

Each line is a folder with a manifest: its kind, the first digits of its fingerprint (recipe and inputs), and the few
results that tell the most. What it was made from stands below it, indented; a folder reached twice is shown once.
Reads manifests alone: 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.console import table
from workbench.errors import InputError
from workbench.files import read_json
from workbench.manifest import NAME
from workbench.runs.summary import scored

SHOWN = 12  # digits of a fingerprint: enough to tell artefacts apart


def _corpus(results: Mapping[str, Any]) -> str:
    return f"kept {results['kept']:,} of {results['records']:,} records, {results['rejected']:,} rejected with a reason"


def _tokenizer(results: Mapping[str, Any]) -> str:
    return f"{results['total']:,} pieces = {results['base_pieces']:,} of {results['base']} + {results['added']:,} added"


def _tokens(results: Mapping[str, Any]) -> str:
    splits = [f"{about['tokens']:,} {split}" for split, about in results["splits"].items()]
    return f"{' + '.join(splits)} tokens in sequences of {results['seq_len']:,}"


def _run(results: Mapping[str, Any]) -> str:
    parts = [f"{results['stage']}: loss {results['loss_first']:.3f} → {results['loss_last']:.3f}"]
    parts += [f"{name} {'no data' if b is None else f'{b:.3f}'} → {a:.3f}" for name, b, a, _ in scored(results)]
    return ", ".join([*parts, f"{results['parameters']:,} parameters"])


TELLING: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {"corpus": _corpus, "tokenizer": _tokenizer, "tokens": _tokens, "run": _run}
)


def chain(folder: Path) -> list[dict[str, Any]]:
    """Return the artefacts from a folder back to the raw files, each once.

    Args:
        folder: A run, or any other folder with a manifest.

    Returns:
        For each artefact: folder, kind, fingerprint, depth, what (a text), results, raw_files, raw_bytes, and missing:
        the inputs that are no longer where they were.

    Raises:
        InputError: If the folder has no manifest.
    """
    out: dict[Path, dict[str, Any]] = {}
    for entry in lineage(folder):
        out.setdefault(Path(entry["folder"]).resolve(), entry)
    return list(out.values())


def lineage(folder: Path, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield an artefact and, depth first, those it was made from; see ``chain``."""
    if not (folder / NAME).is_file():
        raise InputError(folder, "has no manifest.json", "name a finished output folder")
    made = read_json(folder / NAME)
    inputs = [(Path(entry["path"]), int(entry.get("bytes", 0))) for entry in made["inputs"]]
    raw = [size for path, size in inputs if path.is_file()]
    try:
        what = TELLING[made["kind"]](made["results"])
    except KeyError:  # of another kind, or written by an older version
        what = ""
    yield {
        "folder": str(folder),
        "kind": made["kind"],
        "fingerprint": made["fingerprint"],
        "depth": depth,
        "what": what,
        "results": made["results"],
        "raw_files": len(raw),
        "raw_bytes": sum(raw),
        "missing": [str(path) for path, _ in inputs if not path.exists()],
    }
    for path, _ in inputs:
        if (path / NAME).is_file():
            yield from lineage(path, depth + 1)


def print_chain(entries: list[dict[str, Any]]) -> None:
    """Print the chain as a table."""
    rows = []
    for entry in entries:
        indent = "   " * (entry["depth"] - 1) + "└─ " if entry["depth"] else ""
        rows.append((indent + entry["folder"], entry["kind"], entry["fingerprint"][:SHOWN], entry["what"]))
        below = "   " * entry["depth"] + "└─ "
        if entry["raw_files"]:
            files = "1 file" if entry["raw_files"] == 1 else f"{entry['raw_files']:,} files"
            rows.append((f"{below}{files}", "raw", "", f"{entry['raw_bytes']:,} bytes, each with its sha256"))
        rows += [(below + path, "gone", "", "is no longer there") for path in entry["missing"]]
    table(("artefact, and below it what it was made from", "kind", "fingerprint", "what it is"), rows, title="Lineage")
