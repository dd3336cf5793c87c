"""Multiple choice: MMLU (Hendrycks et al. 2021), C-Eval (Huang et al. 2023), CMMLU (Li et al. 2023), as published.

MMLU's CSV has no header; C-Eval's and CMMLU's have one, and C-Eval's test split has no answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from corpus.sources.benchmarks.items import Item, read_csv, split_files


def mmlu(folder: Path) -> Iterator[Item]:
    """Yield MMLU: question, four choices, letter."""
    for split in ("dev", "val", "test"):
        for subject, file in split_files(folder, split, f"_{split}"):
            for number, row in enumerate(read_csv(file, 6, "MMLU")):
                yield Item("mmlu", subject, split, number, row[0], tuple(row[1:5]), row[5].strip())


def ceval(folder: Path) -> Iterator[Item]:
    """Yield C-Eval: id, question, four choices, letter (not in test), explanation (in dev alone)."""
    for split in ("dev", "val", "test"):
        for subject, file in split_files(folder, split, f"_{split}"):
            for number, row in enumerate(read_csv(file, 6, "C-Eval")):
                if number == 0:
                    continue  # the header
                answer = row[6].strip() if len(row) > 6 else ""
                more = {"explanation": row[7]} if len(row) > 7 else {}
                yield Item("ceval", subject, split, number - 1, row[1], tuple(row[2:6]), answer, more)


def cmmlu(folder: Path) -> Iterator[Item]:
    """Yield CMMLU: number, question, four choices, letter."""
    for split in ("dev", "test"):
        for subject, file in split_files(folder, split, ""):
            for number, row in enumerate(read_csv(file, 7, "CMMLU")):
                if number:
                    yield Item("cmmlu", subject, split, number - 1, row[1], tuple(row[2:6]), row[6].strip())
