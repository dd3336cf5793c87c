"""A task's items from the official files below ``--data``, counted and known again by a digest of their content.

Nothing is fetched. What is missing is named with the project that publishes it; items that are fewer, more or other
than the official ones are said so in a line and in ``scores.json``, and still scored.
Cost: MMLU's 14,042 items are read and digested in 0.3 s.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.sources.benchmarks import BENCHMARKS, Item
from corpus.sources.benchmarks.generation import bbh_exemplars
from corpus.sources.benchmarks.packed import archives, roots
from eval.tasks.base import Asked, Task
from workbench.errors import InputError
from workbench.manifest import describe_file

EXEMPLARS: dict[str, Callable[[Path], Iterator[Item]]] = {"bbh": bbh_exemplars}  # from files beside the items


@dataclass(frozen=True)
class Loaded:
    """What a task's files hold."""

    items: Sequence[Item]
    exemplars: Mapping[tuple[str, str], Sequence[Item]]  # by benchmark and subject
    digest: str  # of the items
    official: bool | None  # whether the digest is the official files'; None where none is known
    remarks: Sequence[str]  # what differs from the official files
    files: Sequence[Mapping[str, Any]]  # for the manifest


@dataclass
class Shelf:
    """What was read already: tasks of one run share readers' items and files' hashes."""

    items: dict[tuple[str, frozenset[str]], tuple[Path, list[Item]]] = field(default_factory=dict)
    files: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)


def load(task: Task, data: Path, asked: Asked, shelf: Shelf | None = None) -> Loaded:
    """Read a task's items and exemplars.

    Args:
        task: The task.
        data: The folder of all benchmarks.
        asked: The split, and how many exemplars are needed.
        shelf: What other tasks of the run have read.

    Raises:
        InputError: If files are missing or are not what they should be.
    """
    if not data.is_dir():
        raise InputError(data, "no such folder", "name the folder that holds the official files, a folder a benchmark")
    shelf = shelf or Shelf()
    items: list[Item] = []
    shots: dict[tuple[str, str], list[Item]] = defaultdict(list)
    files: list[Mapping[str, Any]] = []
    for reader in task.readers:
        split, subjects = task.parts.get(reader, (asked.split, None))
        root, found = _read(task, data, reader, shelf, frozenset((split, task.exemplars or split)))
        chosen = [i for i in found if i.split == split and (subjects is None or i.subject in subjects)]
        if not chosen:
            raise _missing(task, data, f"has no {split} items of {reader if task.parts else task.name}")
        if task.exemplars:
            more = list(EXEMPLARS[reader](root)) if reader in EXEMPLARS else found
            for one in more:
                if one.split == task.exemplars:
                    shots[one.benchmark, one.subject].append(one)
            _see_exemplars(task, data, asked, chosen, shots)
            absent = sorted({s for b, s in shots if b == reader} - {i.subject for i in found if i.split == split})
            if absent and subjects is None and reader != "mbpp":
                raise _missing(task, data, f"has exemplars but no {split} items of {absent[0]}")
        items += chosen
        if reader not in shelf.files:
            shelf.files[reader] = [describe_file(path, data) for path in _inputs(data, reader, root)]
        files += shelf.files[reader]
    code = digest(items)
    known = task.digests.get(asked.split)
    return Loaded(items, shots, code, None if known is None else known == code, _remarks(task, asked, items), files)


def has_items(task: Task, data: Path, asked: Asked) -> bool:
    """Return whether there are files of a task at all."""
    try:
        return bool(_read(task, data, task.readers[0], Shelf(), frozenset((asked.split,)))[1])
    except InputError:
        return False


def digest(items: Sequence[Item]) -> str:
    """Return the sha256 of what items ask and answer, whatever files and archives they came in."""
    state = hashlib.sha256()
    for item in sorted(items, key=lambda one: one.id):
        state.update("\x1f".join((item.id, item.question, *item.choices, item.answer, "\x1e")).encode())
    return state.hexdigest()


def _read(task: Task, data: Path, reader: str, shelf: Shelf, splits: frozenset[str]) -> tuple[Path, list[Item]]:
    """Return where a benchmark lies, and its items of some splits: C-Eval's test split is nine times its val."""
    key = (task.keeps or reader, splits)
    if key in shelf.items:
        return shelf.items[key]
    for root in roots(data, reader):
        found = [item for item in BENCHMARKS[reader](root, splits) if item.benchmark == key[0]]
        if found:
            shelf.items[key] = (root, found)
            return root, found
    raise _missing(task, data, f"has no {task.name} ({reader})")


def _missing(task: Task, data: Path, found: str) -> InputError:
    return InputError(data, f"{found}; expected: {task.files}", f"take them from {task.source}, or leave {task.id} out")


def _see_exemplars(
    task: Task, data: Path, asked: Asked, items: Sequence[Item], shots: Mapping[tuple[str, str], Sequence[Item]]
) -> None:
    for key in dict.fromkeys((item.benchmark, item.subject) for item in items) if asked.shots else ():
        if key not in shots:
            raise _missing(task, data, f"has no exemplars of {key[0]} {key[1]} ({task.exemplars})")


def _inputs(data: Path, reader: str, root: Path) -> list[Path]:
    """Return the files that were read: the archive, or the folder's own."""
    if root.is_relative_to(data):
        return sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in (".md", ".zip", ".tar"))
    return archives(data, reader)


def _remarks(task: Task, asked: Asked, items: Sequence[Item]) -> list[str]:
    want = task.counts.get(asked.split)
    have = (len(items), len({(item.benchmark, item.subject) for item in items}))
    if want is None or want == have:
        return []
    return [
        f"{task.id}: {have[0]:,} {asked.split} items in {have[1]} subjects; "
        f"the official files have {want[0]:,} in {want[1]}"
    ]
