"""Records that hold a whole dialogue: ShareGPT's conversations, OpenAI's messages, Firefly's pairs, transcripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.instructions.messages import Bad, check_conversation, system_of, text_of, tools_of, transcript, turns_of
from corpus.instructions.rows import Conversation, Held, Turn

LISTS = ("conversations", "messages", "conversation", "dialog")


def turns_in(record: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the turns of a record's list of messages, after its own system turn."""
    name = next(name for name in LISTS if name in record)
    return (*system_of(record), *turns_of(record[name], name))


def dialogue(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {conversations | messages | conversation | dialog: [message, …][, system, tools]}."""
    turns = turns_in(record)
    check_conversation(turns)
    return [Conversation(place, turns, tools=tools_of(record))]


def one_text(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {text: "### Human: …### Assistant: …"}."""
    turns = transcript(text_of(record["text"], "text"))
    if turns is None:
        raise Bad("the text does not begin with a mark of who speaks")
    check_conversation(turns)
    return [Conversation(place, turns)]


def is_transcript(record: Mapping[str, Any]) -> bool:
    """Tell whether a record's text is a dialogue."""
    text = record["text"]
    return isinstance(text, str) and transcript(text[:2000]) is not None
