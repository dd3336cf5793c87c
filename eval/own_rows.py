"""A run's own ``scores.json`` as a row beside the published ones.

    {"model": "yanmo-7b", "kind": "base",
     "tasks": {"mmlu": {"value": 46.8, "shots": 5, "protocol": "official", "n": 14042, "stderr": 0.4, "split": "test"}}}

``value`` is a percentage and must be there; every other key may be absent and then reads "not stated". ``limit`` (only
so many items were scored) and ``format`` (``mc`` is the columns' own) set a figure apart: it is shown, not compared.
Keys that this reader does not know belong to whoever wrote the file and are passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.bilingual import Text
from eval.checked import Checked
from eval.published import KINDS, NOT_STATED, Benchmark, Figure, Row
from workbench.errors import InputError

NAME = "scores.json"
_COLUMNS_OWN_FORMATS = ("mc", "generate")


@dataclass(frozen=True)
class OwnRow:
    """A run's row, and what had to be left out of it or was not stated, a line each."""

    row: Row
    remarks: tuple[str, ...]


def own_row(path: Path, benchmarks: Sequence[Benchmark], kind: str | None = None) -> OwnRow:
    """Read one run.

    Args:
        path: A folder with a ``scores.json``, or the file.
        benchmarks: The columns.
        kind: base or chat, for a file that does not say.

    Raises:
        InputError: If there is no such file, or it is not JSON.
        ConfigError: If a value in it is wrong; the line names file, key, finding and remedy.
    """
    file = path / NAME if path.is_dir() else path
    root = Checked(file, "", _mapping(file))
    model = root.text("model")
    stated = root.choice("kind", KINDS) if root.has("kind") else kind
    tasks, columns = root.inner("tasks"), {_plain_id(b.id): b for b in benchmarks}
    figures: dict[str, Figure] = {}
    left_out: list[str] = []
    for name, _ in tasks.items():
        column = columns.get(_plain_id(name))
        if column is None:
            left_out.append(name)
        elif column.id in figures:
            tasks.fail(name, f"is {column.name} a second time", "keep one of them")
        else:
            figures[column.id] = _figure(tasks.inner(name), stated, str(file))
    if not figures:
        known = ", ".join(b.id for b in benchmarks)
        root.fail("tasks", "names no benchmark of the table", f"the table's are {known}")
    row = Row(model, "own", {b.id: figures[b.id] for b in benchmarks if b.id in figures})
    return OwnRow(row, tuple(_remarks(file, row, left_out)))


def _remarks(file: Path, row: Row, left_out: Sequence[str]) -> list[str]:
    found = []
    if left_out:
        found.append(f"{file}: not columns of the table, left out: {', '.join(left_out)}")
    if NOT_STATED in row.kinds:
        remedy = 'write "kind": "base" (or chat) into it, or pass --kind'
        found.append(f"{file}: kind not stated, so its figures are not compared; {remedy}")
    if all(figure.value <= 1 for figure in row.figures.values()):
        found.append(f"{file}: no value is above 1; percentages are expected, not fractions")
    return found


def _mapping(file: Path) -> Mapping[str, object]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"name a run of evaluate: a folder with {NAME}"
        raise InputError(file, f"cannot be read ({error.strerror})", remedy) from error
    except UnicodeDecodeError as error:
        raise InputError(file, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    except (json.JSONDecodeError, RecursionError) as error:
        place = f"{file}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else str(file)
        raise InputError(place, "is not JSON", "let evaluate write it again") from error
    if not isinstance(value, dict):
        raise InputError(file, f"holds a {type(value).__name__}, not scores", 'write {"model": …, "tasks": {…}}')
    return value


def _plain_id(name: str) -> str:
    """``C-Eval``, ``c_eval`` and ``ceval`` are one; ``math500`` stays another than ``math``."""
    return re.sub(r"[-_ ]", "", name.lower())


def _figure(task: Checked, kind: str | None, file: str) -> Figure:
    differs = []
    limit, form = task.whole("limit", 1), task.text("format", _COLUMNS_OWN_FORMATS[0])
    if limit is not None:
        differs.append(Text(f"{limit:,} items only", f"只测 {limit:,} 题"))
    if form not in _COLUMNS_OWN_FORMATS:
        differs.append(Text(f"format {form}", f"题式 {form}"))
    return Figure(
        value=float(task.number("value", 0, 100)),
        kind=task.choice("kind", KINDS) if task.has("kind") else kind,
        shots=task.whole("shots"),
        protocol=task.text("protocol", NOT_STATED),
        source=task.text("source", file),
        items=task.whole("n", 1),
        stderr=float(task.number("stderr", 0, 100)) if task.has("stderr") else None,
        split=task.text("split") if task.has("split") else None,
        differs=tuple(differs),
    )
