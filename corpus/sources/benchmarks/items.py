"""One item of a benchmark, as its official file has it; and how such files are opened."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import InputError

ALL = frozenset(("dev", "train", "val", "test"))


@dataclass(frozen=True)
class Item:
    """A question of a benchmark."""

    benchmark: str
    subject: str
    split: str  # dev (exemplars), train, val, test
    number: int  # within subject and split, from 0
    question: str
    choices: tuple[str, ...] = ()
    answer: str = ""  # a letter, a number, code; empty where the file has none
    more: Mapping[str, Any] = field(default_factory=dict)  # what else the file has

    @property
    def id(self) -> str:
        """Return benchmark/subject/split/number."""
        return f"{self.benchmark}/{self.subject}/{self.split}/{self.number}"


class Reader(Protocol):
    """Reads a benchmark's official files."""

    def __call__(self, folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
        """Yield the items of some splits; files of others are not opened.

        Args:
            folder: The benchmark's folder.
            splits: Which.
        """


def read_csv(path: Path, columns: int, benchmark: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, each with at least so many columns.

    Raises:
        InputError: If the file is not UTF-8, or a row has fewer columns.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            for number, row in enumerate(csv.reader(stream), start=1):
                if row and len(row) < columns:
                    found = f"row {number} has {len(row)} columns, {columns} are expected"
                    raise InputError(path, found, f"take {benchmark}'s official files")
                if row:
                    yield row
        except UnicodeDecodeError as error:
            raise InputError(
                path, f"is not UTF-8 at byte {error.start}", f"take {benchmark}'s official files"
            ) from error


def read_jsonl(path: Path, keys: tuple[str, ...], benchmark: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON lines file, plain or .gz, each with the given keys.

    Raises:
        InputError: If a line is not JSON or lacks a key.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}:{number}", "is not JSON", f"take {benchmark}'s official files") from error
            missing = [key for key in keys if key not in record]
            if missing:
                raise InputError(f"{path}:{number}", f"has no {missing[0]}", f"take {benchmark}'s official files")
            yield record


def split_files(folder: Path, split: str, suffix: str) -> list[tuple[str, Path]]:
    """Return (subject, file) of ``<split>/<subject><suffix>.csv`` below a folder or its ``data``, by subject."""
    for root in (folder / split, folder / "data" / split):
        if root.is_dir():
            return sorted((file.name[: -len(f"{suffix}.csv")], file) for file in root.glob(f"*{suffix}.csv"))
    return []
