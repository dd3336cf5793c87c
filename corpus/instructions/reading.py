"""Rows of a jsonl of ``messages`` (sft), or of ``messages``, ``chosen``, ``rejected``: stands in for the readers.

To be replaced by branch instruct's module of this name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.instructions.rows import Conversation, Faulty, Preference, Rated, Row, Turn
from workbench.errors import InputError


@dataclass
class Reading:
    """The rows of a path for a stage."""

    path: Path
    stage: str

    def __iter__(self) -> Iterator[Row | Faulty]:
        """Read the file."""
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            place, record = f"{self.path.name}:{number}", json.loads(line)
            turns = tuple(Turn(message["role"], message["content"]) for message in record["messages"])
            source = record.get("source", self.path.stem)
            if not all(turn.content for turn in turns):
                yield Faulty(place, "has an empty turn")
            elif self.stage == "sft":
                yield Conversation(place, turns, source)
            elif self.stage == "kto":
                yield Rated(place, turns[:-1], turns[-1].content, record["label"], source)
            elif record["chosen"] == record["rejected"]:
                yield Faulty(place, "chosen and rejected are the same")
            else:
                given = (record["chosen"], record["rejected"], source, record.get("margin"), record.get("axis"))
                yield Preference(place, turns, *given)


def read(path: Path | str, stage: str) -> Reading:
    """Return the rows of a file, to be iterated over."""
    if not Path(path).exists():
        raise InputError(path, "is not there", "name a file")
    return Reading(Path(path), stage)
