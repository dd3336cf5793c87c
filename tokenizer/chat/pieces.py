"""What a chat template is made of here: pieces of text that bear loss or do not, and the specials they name.

Every template has two faces: a jinja template that goes into a tokenizer folder, for whatever serves the model, and a
function that gives the same text in pieces without jinja. Tests hold the two equal. What the model is trained to say is
an answer and what ends it, in every answer of a dialogue.

An answer begins where no token can reach over from the prompt (after a special, a line end, or with its own space), so
that the ids of a prompt are the beginning of the ids of the prompt with its answer; white space around an answer is
taken off where the template says ``trim``, since a line end at its head would join the one before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from corpus.instructions.rows import Turn
from workbench.errors import UserError


class Piece(NamedTuple):
    """Some text, and whether the model is trained to say it."""

    text: str
    bears_loss: bool


@dataclass(frozen=True)
class Specials:
    """The tokens that a template names; empty where a tokenizer has none."""

    bos: str = ""
    eos: str = ""


class NoPlace(UserError):
    """A template has no place for a turn (a tool call in a template without tools)."""


Render = Callable[
    [Sequence[Turn], str | None, Specials, bool], list[Piece]
]  # turns, tools, specials, ask for an answer


@dataclass(frozen=True)
class Preset:
    """A chat template that comes with this package."""

    name: str
    doc: str
    jinja: str
    pieces: Render
    stop: str | None = None  # what ends an answer; none: the tokenizer's eos
    marks: tuple[str, ...] = ()  # what it takes to be single tokens


def no_place(turn_or_tools: str, template: str) -> NoPlace:
    """Return the error that a template has no place for a role, or for tools."""
    return NoPlace(f"template {template}", f"has no place for {turn_or_tools}", "take template=qwen or chatml")


def answer(turn: Turn) -> str:
    """Return an answer's text as the templates that trim give it."""
    return turn.content.strip()


def calls_of(turn: Turn) -> list[dict[str, Any]]:
    """Return the calls of a turn as mappings of name and arguments; a text that is no call is refused.

    Raises:
        NoPlace: If the turn's text is not a call as JSON.
    """
    try:
        value = json.loads(turn.content)
        calls = value if isinstance(value, list) else [value]
        inner = [call.get("function", call) for call in calls]
        return [{"name": call["name"], "arguments": _arguments(call.get("arguments", {}))} for call in inner]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise NoPlace("a tool call", "is not JSON with a name", "see what the record holds") from error


def _arguments(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def messages_of(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Return turns as the messages that jinja templates take: role, content, tool_calls.

    An answer that a call follows directly is one message with it.
    """
    out: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role != "call":
            out.append({"role": turn.role, "content": turn.content})
            continue
        calls = [{"type": "function", "function": call} for call in calls_of(turn)]
        if out and out[-1]["role"] == "assistant" and "tool_calls" not in out[-1]:
            out[-1]["tool_calls"] = calls
        else:
            out.append({"role": "assistant", "content": "", "tool_calls": calls})
    return out


def tools_of(tools: str | None) -> list[Any] | None:
    """Return the tools' JSON as a list, None for none."""
    return json.loads(tools) or None if tools else None
