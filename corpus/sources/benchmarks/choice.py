"""Multiple choice: MMLU (Hendrycks et al. 2021), C-Eval (Huang et al. 2023), CMMLU (Li et al. 2023), as published.

MMLU's CSV has no header; C-Eval's and CMMLU's have one, which must name the columns in their published order, and
C-Eval's test split has no answers. An answer that is no letter of a choice means that the columns are others.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

from corpus.sources.benchmarks.items import ALL, Item, read_csv, split_files
from workbench.errors import InputError

LETTERS = ("A", "B", "C", "D")


def mmlu(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield MMLU: question, four choices, letter."""
    for split in (one for one in ("dev", "val", "test") if one in splits):
        for subject, file in split_files(folder, split, f"_{split}"):
            for number, row in enumerate(read_csv(file, 6, "MMLU")):
                answer = _letter(row[5], file, number, "MMLU")
                yield Item("mmlu", subject, split, number, row[0], tuple(row[1:5]), answer)


def ceval(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield C-Eval: id, question, four choices, letter (not in test), explanation (in dev alone)."""
    for split in (one for one in ("dev", "val", "test") if one in splits):
        for subject, file in split_files(folder, split, f"_{split}"):
            width = 0
            for number, row in enumerate(read_csv(file, 6, "C-Eval")):
                if number == 0:
                    _check_header(file, row, ("id", "question", *LETTERS, "answer", "explanation"), "C-Eval", least=6)
                    width = len(row)
                    continue
                if len(row) != width:
                    found = f"row {number + 1} has {len(row)} columns, its header {width}"
                    raise InputError(file, found, "take C-Eval's official files")
                answer = _letter(row[6], file, number, "C-Eval") if len(row) > 6 else ""
                more = {"explanation": row[7]} if len(row) > 7 else {}
                yield Item("ceval", subject, split, number - 1, row[1], tuple(row[2:6]), answer, more)


def cmmlu(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield CMMLU: number, question, four choices, letter."""
    for split in (one for one in ("dev", "test") if one in splits):
        for subject, file in split_files(folder, split, ""):
            for number, row in enumerate(read_csv(file, 7, "CMMLU")):
                if number == 0:
                    _check_header(file, row, ("", "Question", *LETTERS, "Answer"), "CMMLU", least=7)
                    continue
                answer = _letter(row[6], file, number, "CMMLU")
                yield Item("cmmlu", subject, split, number - 1, row[1], tuple(row[2:6]), answer)


def _check_header(file: Path, row: list[str], names: tuple[str, ...], benchmark: str, *, least: int) -> None:
    found = [name.strip() for name in row]
    if len(found) > len(names) or len(found) < least or found != list(names[: len(found)]):
        wanted = ",".join(names[: max(least, min(len(found), len(names)))])
        raise InputError(file, f"has the columns {','.join(found)}, not {wanted}", f"take {benchmark}'s official files")


def _letter(text: str, file: Path, number: int, benchmark: str) -> str:
    """Return an answer, which must be a letter."""
    letter = text.strip()
    if letter not in LETTERS:
        found = f"row {number + 1} has {text[:40]!r} where an answer, A to D, is expected"
        raise InputError(file, found, f"take {benchmark}'s official files")
    return letter
