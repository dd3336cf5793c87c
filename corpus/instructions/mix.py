"""Several sets of instruction or preference data as one: weights, a held-out part, and a count of what is not used.

``FILE@2`` lays a set out twice in each pass; ``@0.5`` takes half of its rows, those whose hash says so. A row is held
out if the hash of its first question says so: the same rows in every run and on every machine, whatever else is mixed
in, and all rows of one question on the same side, so that a pair is not judged by its twin. Cost: 2 µs a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_64_intdigest

from corpus.instructions.rows import Conversation, Faulty, Row, Turn
from workbench.errors import ConfigError, InputError

WHOLE = 1 << 64


@dataclass(frozen=True)
class Mix:
    """What was read."""

    train: list[Row]
    held_out: list[Row]
    faulty: list[Faulty]
    counts: dict[str, dict[str, int]]  # path -> rows, held_out, used (in a pass, with its weight), faulty


def parse_set(word: str) -> tuple[Path, float]:
    """Return path and weight of ``PATH`` or ``PATH@WEIGHT``.

    Raises:
        ConfigError: If the weight is not above 0.
    """
    path, at, weight = word.rpartition("@")
    try:
        number = float(weight)
    except ValueError:
        return Path(word), 1.0  # an @ of the path's own
    if not at:
        return Path(word), 1.0
    if number <= 0:
        raise ConfigError(f"data: {word}", f"its weight is {weight}", "give one above 0, or leave the set out")
    return Path(path), number


def share_of(text: str, salt: str = "") -> float:
    """Return a number in [0, 1) that is a text's own."""
    return xxh3_64_intdigest(f"{salt}\x1f{text}".encode()) / WHOLE


def question(row: Row) -> str:
    """Return the texts of a row up to its first question: rows that share it belong together."""
    turns: Sequence[Turn] = row.turns if isinstance(row, Conversation) else row.prompt
    first = next((n for n, turn in enumerate(turns) if turn.role == "user"), len(turns) - 1)
    return "\x1f".join(turn.content for turn in turns[: first + 1])


def read_mix(words: Sequence[str], stage: str, held_out: float) -> Mix:
    """Read sets.

    Args:
        words: ``PATH`` or ``PATH@WEIGHT`` each.
        stage: Which rows are wanted: sft, rm, dpo, kto.
        held_out: Share of the rows that is not trained on, 0 for none.

    Raises:
        InputError: If a set cannot be read, or none holds a row to train on.
    """
    from corpus.instructions import read

    out = Mix([], [], [], {})
    for word in words:
        path, weight = parse_set(word)
        if not path.exists():
            raise InputError(path, "is not there", "name a file or folder of instruction data")
        count: Counter[str] = Counter()
        for row in read(path, stage):
            if isinstance(row, Faulty):
                out.faulty.append(row)
                count["faulty"] += 1
                continue
            count["rows"] += 1
            asked = question(row)
            if share_of(asked) < held_out:
                out.held_out.append(row)
                count["held_out"] += 1
            else:
                copies = int(weight) + (share_of(asked + row.id, "weight") < weight % 1)
                out.train.extend([row] * copies)
                count["used"] += copies
        out.counts[word] = {key: count[key] for key in ("rows", "held_out", "used", "faulty")}
    if not out.train:
        found = (
            f"holds no row that stage={stage} can train on ({len(out.faulty):,} faulty, {len(out.held_out):,} held out)"
        )
        raise InputError(", ".join(words), found, "see what is in it with: train data check FILE --stage " + stage)
    return out
