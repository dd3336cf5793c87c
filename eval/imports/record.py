"""What an importer returns, how it is written, and what all importers read with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.own_rows import NAME
from eval.samples import Sample, line_of
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import make_folder, write_json, write_text

# where each harness's splits stand in the benchmarks' own files
SPLITS = {"ceval": "val"}
SINGLE = {"gsm8k": "all", "humaneval": "python", "mbpp": "python", "math500": "all"}


@dataclass
class Imported:
    """One model's figures and samples, and what was left out, a line each."""

    importer: str
    model: str
    source: Path
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def figure(self, task: str, named: str, values: Mapping[str, Any]) -> None:
        """Add a benchmark's figure; a second one for the same benchmark is told and left out.

        Args:
            task: Our id of the benchmark.
            named: The source's name of it.
            values: The keys of ``scores.json``; None is not written.
        """
        if task in self.tasks:
            self.remarks.append(f"{named}: is {task} a second time, left out; {self.tasks[task]['name']} came first")
            return
        kept = {key: value for key, value in values.items() if value is not None}
        self.tasks[task] = {**kept, "protocol": self.importer, "source": str(self.source), "name": named}


def write(found: Imported, out: Path, kind: str | None = None) -> list[Path]:
    """Write a run; ``scores.json`` comes last.

    Args:
        found: What an importer read.
        out: The folder; it must not hold scores yet.
        kind: base or chat, where the user says so: no source states it.

    Raises:
        InputError: If the source has no figure of a benchmark that is known.
        OutputError: If the folder holds scores.
    """
    if not found.tasks:
        told = "; ".join(found.remarks[:3])
        raise InputError(found.source, f"holds no known metric of a benchmark ({told})", "see docs/evaluation.md")
    if (out / NAME).exists():
        raise OutputError(out, f"holds {NAME} already", "name another --out")
    make_folder(out)
    written = []
    for task, samples in sorted(found.samples.items()):
        path = out / f"samples-{task}.jsonl"
        write_text(path, "".join(f"{line_of(sample)}\n" for sample in samples))
        written.append(path)
    scores: dict[str, Any] = {"model": found.model, **({"kind": kind} if kind else {}), "importer": found.importer}
    write_json(out / NAME, {**scores, "remarks": found.remarks, "tasks": found.tasks})
    return [*written, out / NAME]


def read_object(path: Path, what: str) -> dict[str, Any]:
    """Return the mapping of a JSON file.

    Raises:
        InputError: If it cannot be read or is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read as JSON ({error})", f"name {what}") from error
    if not isinstance(value, dict):
        raise InputError(path, f"holds a {type(value).__name__}, not a mapping", f"name {what}")
    return value


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and mapping of each line of a JSON lines file.

    Raises:
        InputError: If a line is none.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    value = json.loads(line)
                    if not isinstance(value, dict):
                        raise InputError(f"{path}:{number}", "is not a mapping", "take the harness's own file")
                    yield number, value
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not JSON lines ({error})", "take the harness's own file") from error


def one_of(found: Iterable[Path], place: Path, what: str) -> Path:
    """Return the only file there is.

    Raises:
        InputError: If there is none, or more than one.
    """
    files = sorted(found)
    if not files:
        raise InputError(place, f"holds no {what}", "name the harness's output folder")
    if len(files) > 1:
        names = ", ".join(str(file.relative_to(place)) for file in files[:4])
        raise InputError(place, f"holds {len(files)} of {what} ({names})", "name one of the files")
    return files[0]


def one_model(models: Iterable[str], wanted: str | None, place: Path) -> str:
    """Return the model to import.

    Args:
        models: The models of the source.
        wanted: The one the user named.
        place: The source.

    Raises:
        ConfigError: If it is not there, or not named and one of several.
    """
    names = sorted(models)
    if wanted is not None and wanted in names:
        return wanted
    if wanted is not None:
        raise ConfigError("--model", f"{wanted} is not in {place}", f"it holds {', '.join(names) or 'none'}")
    if len(names) != 1:
        found = f"{place} holds {len(names)} models: {', '.join(names[:5])}"
        raise ConfigError("--model", found, "name one of them" if names else "name the harness's output folder")
    return names[0]


def percent(value: object) -> float | None:
    """Return a fraction as a percentage; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return round(100 * value, 6)


def text_of(prompt: object) -> str:
    """Return a prompt as one text; a dialogue's turns are joined."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list):
        return "\n".join(str(t.get("prompt", t.get("content", ""))) if isinstance(t, dict) else str(t) for t in prompt)
    return "" if prompt is None else str(prompt)


def gold_of(task: str, target: object) -> str:
    """Return a gold answer as our own samples have it: a number without its solution, a letter for a place."""
    text = str(target)
    return text.rpartition("####")[2].strip() if task == "gsm8k" else text
