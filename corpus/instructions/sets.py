"""Sets with weights: stands in, to be replaced by branch instruct's module of this name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

from corpus.instructions.reading import Reading, read
from corpus.instructions.rows import Row
from workbench.errors import ConfigError


@dataclass(frozen=True)
class Given:
    """One word of the user's: a path, and its weight."""

    word: str
    weight: float = 1.0


def parse(word: str) -> Given:
    """Split ``PATH@WEIGHT``; an @ that no number follows belongs to the path."""
    head, at, tail = word.rpartition("@")
    if not at or not head or not tail.replace(".", "", 1).isdigit():
        return Given(word)
    if not 0 < float(tail) <= 100:
        raise ConfigError(word, f"the weight {tail} is not in (0, 100]", "1 is each row once")
    return Given(head, float(tail))


def readings(givens: Sequence[Given], stage: str) -> list[tuple[Given, Reading]]:
    """Return what is to be read for each given set."""
    return [(given, read(given.word, stage)) for given in givens]


def contained(givens: Sequence[Given]) -> list[str]:
    """Return a warning for each set that lies within another."""
    return []


def copies(row: Row, weight: float) -> int:
    """Return how often a row is laid out at a weight."""
    draw = xxhash.xxh64_intdigest(f"{row.source}\0{row.id}".encode()) / 2**64
    return int(weight) + (draw < weight - int(weight))
