"""What every form of instruction and preference data is read into. Readers make these; stages consume these alone.

A turn is one message. A conversation ends where its file's record ends; which turns carry loss is the stage's business.
A preference has one prompt (all turns up to the answer) and two answers to it. A rated answer is KTO's row.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Preference:
    """A prompt, the answer that was preferred, and the one that was not."""

    id: str
    prompt: tuple[Turn, ...]  # system and history included; ends with the user's turn
    chosen: str
    rejected: str
    source: str = ""
    margin: float | None = None
    axis: Axis | None = None


@dataclass(frozen=True)
class Rated:
    """An answer that was found good or bad on its own."""

    id: str
    prompt: tuple[Turn, ...]
    answer: str
    good: bool
    source: str = ""


@dataclass(frozen=True)
class Faulty:
    """A record that is not used: where it stands, what was found, and what was done."""

    place: str  # file:line, or file[index]
    cause: str


Row = Conversation | Preference | Rated
