"""Conversations longer than the window lose their oldest exchanges: stands in, to be replaced by branch instruct's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Faulty, Turn
from tokenizer.chat.encode import ChatTokenizer, Encoded, Template, encode, encode_prompt


@dataclass(frozen=True)
class Fitted:
    """A conversation that fits, its ids, and how many exchanges it lost."""

    conversation: Conversation
    encoded: Encoded
    dropped: int


def shorter(turns: tuple[Turn, ...]) -> tuple[Turn, ...] | None:
    """Return turns without their oldest exchange, None if only one is left."""
    system = turns[:1] if turns and turns[0].role == "system" else ()
    starts = [n for n, turn in enumerate(turns) if turn.role == "user"]
    return (*system, *turns[starts[1] :]) if len(starts) > 1 else None


def fit(
    chat: ChatTokenizer, conversations: Iterable[Conversation], template: Template, window: int
) -> Iterator[Fitted | Faulty]:
    """Encode conversations into a window."""
    for conversation in conversations:
        left, dropped, encoded = conversation, 0, encode(chat, conversation, template)
        while len(encoded.ids) > window and (turns := shorter(left.turns)) is not None:
            left, dropped = replace(left, turns=turns), dropped + 1
            encoded = encode(chat, left, template)
        if len(encoded.ids) > window:
            yield Faulty(conversation.id, f"it has {len(encoded.ids)} tokens; the window is {window}")
        else:
            yield Fitted(left, encoded, dropped)


def fit_prompt(
    chat: ChatTokenizer, turns: tuple[Turn, ...], template: Template, window: int, tools: str | None = None
) -> tuple[NDArray[np.uint32], int] | None:
    """Return a prompt's ids by the same rule, and how many exchanges it lost; None if its question is too long."""
    left: tuple[Turn, ...] | None = turns
    dropped = 0
    while left is not None:
        ids = encode_prompt(chat, left, template, tools)
        if len(ids) <= window:
            return ids, dropped
        left, dropped = shorter(left), dropped + 1
    return None
