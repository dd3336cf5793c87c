"""Instruction, dialogue and preference data in the forms people have it, read without conversion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from corpus.instructions.rows import Conversation, Faulty, Preference, Row, Turn


def read(path: Path, stage: str) -> Iterator[Row | Faulty]:  # replaced at merge by the readers of branch instruct
    """Yield the rows of a jsonl of ``messages`` (sft), or of ``messages``, ``chosen`` and ``rejected``."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place, record = f"{path.name}:{number}", json.loads(line)
        turns = tuple(Turn(message["role"], message["content"]) for message in record["messages"])
        source = record.get("source", path.stem)
        if not all(turn.content for turn in turns):
            yield Faulty(place, "has an empty turn")
        elif stage == "sft":
            yield Conversation(place, turns, source)
        elif record["chosen"] == record["rejected"]:
            yield Faulty(place, "chosen and rejected are the same")
        else:
            given = (record["chosen"], record["rejected"], source, record.get("margin"), record.get("axis"))
            yield Preference(place, turns, *given)
