"""What a user names as data: a path or a set's short name, each with a weight; and the rows of several of them mixed.

    数据/belle.json@2     every row twice a pass
    alpaca-zh@0.5         half of the rows, the same half every time
    belle-0.5m            a short name of ``sets.yaml``, loaded from a hub once

A path that exists is a path, whatever its name. The part of a weight below one takes a record if the hash of its source
and place falls below it: all rows of a ranked list, or none, and no record depends on another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import xxhash
import yaml

from corpus.instructions.convert import kind_of_stage
from corpus.instructions.reading import Reading, read
from corpus.instructions.rows import Axis, Faulty, Row, record_of
from workbench.command import did_you_mean
from workbench.errors import ConfigError, InputError

MAX_WEIGHT = 100.0


@dataclass(frozen=True)
class KnownSet:
    """A set that is known by a short name."""

    name: str
    repositories: Mapping[str, str]  # hub to repository
    stated: int  # rows, by its source
    said_by: str
    contains: Mapping[str, str]  # short name of a set within it, and where that is said
    folders: Mapping[str, str]  # stage to the folder that serves it; none: the whole repository


@dataclass(frozen=True)
class Given:
    """One word of the user's: a path or a name, and its weight."""

    word: str
    weight: float = 1.0


@cache
def known_sets() -> Mapping[str, KnownSet]:
    """Return the sets by their short names."""
    table: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "sets.yaml").read_text(encoding="utf-8"))
    return {
        name: KnownSet(
            name,
            {hub: one[hub] for hub in ("hf", "modelscope") if hub in one},
            one["stated"],
            one["source"],
            one.get("contains", {}),
            one.get("folders", {}),
        )
        for name, one in table.items()
    }


def parse(word: str) -> Given:
    """Split ``PATH@WEIGHT``; an @ that no number follows belongs to the path.

    Raises:
        ConfigError: If the weight is not in (0, 100].
    """
    head, at, tail = word.rpartition("@")
    if not at or not head or not tail.replace(".", "", 1).isdigit():
        return Given(word)
    weight = float(tail)
    if not 0 < weight <= MAX_WEIGHT:
        raise ConfigError(word, f"the weight {tail} is not in (0, {MAX_WEIGHT:.0f}]", "1 is each row once")
    return Given(head, weight)


def find(given: Given, stage: str, hub: str | None = None, store: Path | None = None) -> tuple[Path, str | None]:
    """Return where a given set lies, loaded from a hub if it is a name, and the short name if it is one.

    Args:
        given: A path, a short name, or (if ``hub`` is given) a repository ``owner/name``.
        stage: The stage that reads it.
        hub: ``hf`` or ``modelscope``; none means hf for a short name.
        store: Where sets of hubs are kept.

    Raises:
        InputError: If it is none of these, or the hub does not give it.
    """
    from corpus.instructions.hub import STORE, snapshot

    path = Path(given.word)
    if path.exists() or any(sign in given.word for sign in "*?["):
        return path, None
    known = known_sets().get(given.word)
    if known is None:
        if hub is None or given.word.count("/") != 1:
            found = "no such file or folder" if "/" in given.word else "neither a path nor a set's short name"
            raise InputError(given.word, found, f"{did_you_mean(given.word, known_sets())} (--hub reads owner/name)")
        return snapshot(given.word, hub, store or STORE), None
    repository = known.repositories.get(hub or "hf")
    if repository is None:
        raise InputError(f"{given.word} on {hub}", "its repository is not known", "take it from the other hub")
    folder = snapshot(repository, hub or "hf", store or STORE)
    part = known.folders.get(kind_of_stage(stage))
    return (folder / part if part and (folder / part).is_dir() else folder), given.word


def name_of(word: str) -> str | None:
    """Return the short name of the set that a word means: the name, or a path with its repository's name in it."""
    if word in known_sets():
        return word
    parts = Path(word).parts
    for name, one in known_sets().items():
        for repository in one.repositories.values():
            owner, _, last = repository.partition("/")
            if (owner, last) in pairwise(parts) or ("_" in last and last in parts):  # a plain word says too little
                return name
    return None


def contained(givens: Sequence[Given]) -> list[str]:
    """Return a warning for each set that lies within another one that is given too."""
    names = {name_of(given.word) for given in givens}
    return [
        f"{outer} contains {inner}, so its rows count twice ({why})"
        for outer, one in known_sets().items()
        for inner, why in one.contains.items()
        if outer in names and inner in names
    ]


def readings(
    givens: Sequence[Given], stage: str, *, axis: Axis | None = None, hub: str | None = None, store: Path | None = None
) -> list[tuple[Given, Reading]]:
    """Return what is to be read for each given set, loading what a hub has.

    Raises:
        ConfigError: If there is no such stage.
        InputError: If a set is not there.
    """
    found = []
    shared = Counter(Path(given.word).name for given in givens)
    for given in givens:
        path, name = find(given, stage, hub, store)
        reading = read(path, stage, axis=axis, source=name)
        if shared[Path(given.word).name] > 1:  # 甲/train.json and 乙/train.json
            reading.in_full, reading.source = True, name or given.word
        found.append((given, reading))
    return found


def mix(parts: Sequence[tuple[Given, Reading]]) -> Iterator[Row | Faulty]:
    """Yield the rows of sets one after another, each as often as its weight says; faulty ones once."""
    for given, reading in parts:
        for row in reading:
            times = 1 if isinstance(row, Faulty) else copies(row, given.weight)
            for _ in range(times):
                yield row


def copies(row: Row, weight: float) -> int:
    """Return how often a row is laid out at a weight."""
    whole = int(weight)
    draw = xxhash.xxh64_intdigest(f"{row.source}\0{record_of(row.id)}".encode()) / 2**64
    return whole + (draw < weight - whole)
