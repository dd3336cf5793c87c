"""Records of one answer that was found good or bad (KTO): {messages, label} or {prompt, completion, label}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.instructions.answers import ANSWERS, QUESTIONS, answer_of, prompt_of
from corpus.instructions.dialogues import LISTS, turns_in
from corpus.instructions.messages import Bad, check_conversation, text_of, tools_of
from corpus.instructions.rows import Held, Rated, Turn

LABELS = ("label", "kto_tag")
WORDS = {"true": True, "1": True, "good": True, "false": False, "0": False, "bad": False}


def rated(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read a dialogue, or a question and its answer, with a label."""
    if any(name in record for name in LISTS):
        turns = turns_in(record)
    else:
        asked, answer = (next(record[name] for name in names if name in record) for names in (QUESTIONS, ANSWERS))
        turns = (*prompt_of(asked, record), Turn("assistant", text_of(answer_of(answer), "the answer")))
    check_conversation(turns)
    label = next(record[name] for name in LABELS if name in record)
    good = WORDS.get(str(label).strip().lower())
    if good is None:
        raise Bad(f"the label is {label!r}, not true or false")
    return [Rated(place, turns[:-1], turns[-1].content, good, tools=tools_of(record))]


def is_labelled(record: Mapping[str, Any]) -> bool:
    """Tell whether a record's label is a verdict, not the name of a class."""
    return str(next(record[name] for name in LABELS if name in record)).strip().lower() in WORDS
