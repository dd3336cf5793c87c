"""Readers of the eight benchmarks' official files: decontamination needs them first, evaluation uses the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from corpus.sources.benchmarks.choice import ceval, cmmlu, mmlu
from corpus.sources.benchmarks.generation import bbh, gsm8k, humaneval, math, mbpp
from corpus.sources.benchmarks.items import Item, Reader
from workbench.errors import InputError

BENCHMARKS: dict[str, Reader] = {
    "mmlu": mmlu,
    "ceval": ceval,
    "cmmlu": cmmlu,
    "gsm8k": gsm8k,
    "math": math,
    "humaneval": humaneval,
    "mbpp": mbpp,
    "bbh": bbh,
}


def read_benchmarks(folder: Path) -> Iterator[Item]:
    """Yield every item below a folder that has one folder a benchmark, named as in ``BENCHMARKS``.

    Raises:
        InputError: If the folder is not there, or holds no benchmark.
    """
    there = [name for name in BENCHMARKS if (folder / name).is_dir()]
    if not there:
        found = "holds no benchmark" if folder.is_dir() else "no such folder"
        raise InputError(folder, found, f"lay the official files out as {', '.join(BENCHMARKS)}")
    for name in there:
        yield from BENCHMARKS[name](folder / name)


__all__ = ["BENCHMARKS", "Item", "read_benchmarks"]
