"""What every form of instruction and preference data is read into. Readers make these; stages consume these alone.

A turn is one message. A conversation ends where its file's record ends; which turns carry loss is the stage's business.
A preference has one prompt (all turns up to the answer) and two answers to it. A rated answer is KTO's row. A prompt
alone is what the reinforcement stages sample answers to. A ranking is what a file may hold; no stage sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "call", "tool"]  # call: asks a tool; tool: its return
Axis = Literal["helpful", "honest", "harmless"]


@dataclass(frozen=True)
class Turn:
    """One message."""

    role: Role
    content: str


@dataclass(frozen=True)
class Conversation:
    """Turns in order, with what they came from."""

    id: str  # file name and line or index, as a person would look it up
    turns: tuple[Turn, ...]
    source: str = ""
    tools: str | None = None  # the tools' JSON, verbatim

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """Return all turns before the last answer."""
        return self.turns[:-1]


@dataclass(frozen=True)
class Preference:
    """A prompt, the answer that was preferred, and the one that was not."""

    id: str
    prompt: tuple[Turn, ...]  # system and history included; ends with the user's turn
    chosen: str
    rejected: str
    source: str = ""
    margin: float | None = None  # by how much the chosen one is better, where the data say it
    axis: Axis | None = None
    tools: str | None = None


@dataclass(frozen=True)
class Rated:
    """An answer that was found good or bad on its own."""

    id: str
    prompt: tuple[Turn, ...]
    answer: str
    good: bool
    source: str = ""
    tools: str | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt to which a model answers by itself; the data's own answer, for rewards that compare with it."""

    id: str
    turns: tuple[Turn, ...]  # ends with the user's turn (or a tool's return)
    answer: str | None = None
    source: str = ""
    tools: str | None = None


@dataclass(frozen=True)
class Ranking:
    """Answers to one prompt, best first; a pair is a ranking of two."""

    id: str
    prompt: tuple[Turn, ...]
    answers: tuple[str, ...]
    source: str = ""
    margin: float | None = None  # of a pair
    axis: Axis | None = None
    tools: str | None = None


@dataclass(frozen=True)
class Faulty:
    """A record that is not used: where it stands, and what was found."""

    place: str  # file:line, file:line[n] for the n-th record (from 0) that begins on one line, file#row of a table
    cause: str


Row = Conversation | Preference | Rated | Prompt  # what stages see
Held = Conversation | Ranking | Rated | Prompt  # what a record holds

_PART = re.compile(r"((?::\d+(?:\[\d+\])?|#\d+))/[^/]*\Z")


def record_of(row_id: str) -> str:
    """Return the place of the record that a row came from: a ranked list gives several rows."""
    return _PART.sub(r"\1", row_id)
