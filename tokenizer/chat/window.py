"""Conversations longer than the window: whole exchanges go, the oldest first; an answer is never cut.

An exchange is a user's turn and all that follows it up to the next. The system turn and the last exchange stay. What is
too long even so is not used, and told. So a row is whole, shortened by some exchanges, or out, and each is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Faulty, Turn
from tokenizer.chat.encode import ChatTokenizer, Encoded, Template, encode, encode_many, encode_prompt


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
    """Encode conversations into a window.

    Args:
        chat: The tokenizer.
        conversations: Any length.
        template: The chat template.
        window: The most tokens of one.

    Yields:
        Each conversation as far as it fits, or why it is not used.
    """
    several = list(conversations)
    for conversation, coded in zip(several, encode_many(chat, several, template), strict=True):
        whole, left, encoded, dropped = len(coded.ids), conversation, coded, 0
        while len(encoded.ids) > window:
            turns = shorter(left.turns)
            if turns is None:
                break
            left, dropped = replace(left, turns=turns), dropped + 1
            encoded = encode(chat, left, template)
        if len(encoded.ids) > window:
            what = "its last exchange alone" if dropped else "it"
            yield Faulty(
                conversation.id, f"{what} has {len(encoded.ids)} tokens, {whole} in all; the window is {window}"
            )
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
