"""Rows longer than the window lose their oldest exchanges: stands in, to be replaced by branch instruct's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from corpus.instructions.rows import Conversation, Faulty, Preference, Row, Turn
from tokenizer.chat.encode import ChatTokenizer, Encoded, Template, encode


@dataclass(frozen=True)
class Fitted:
    """A row that fits, its sequences encoded, and how many exchanges it lost."""

    row: Row
    encoded: tuple[Encoded, ...]  # of a pair: chosen, rejected
    dropped: int


def fit(
    chat: ChatTokenizer, rows: Iterable[Row], template: Template, window: int | None = None
) -> Iterator[Fitted | Faulty]:
    """Encode rows into a window."""
    for row in rows:
        dropped, left, encoded = 0, row, _encoded(chat, row, template)
        while window is not None and max(len(one.ids) for one in encoded) > window:
            shorter = _shorter(left)
            if shorter is None:
                break
            dropped, left, encoded = dropped + 1, shorter, _encoded(chat, shorter, template)
        longest = max(len(one.ids) for one in encoded)
        if window is not None and longest > window:
            yield Faulty(row.id, f"it has {longest} tokens; the window is {window}")
        else:
            yield Fitted(left, encoded, dropped)


def _encoded(chat: ChatTokenizer, row: Row, template: Template) -> tuple[Encoded, ...]:
    if isinstance(row, Conversation):
        return (encode(chat, row, template),)
    answers = (row.chosen, row.rejected) if isinstance(row, Preference) else (row.answer,)
    sides = (Conversation(row.id, (*row.prompt, Turn("assistant", text))) for text in answers)
    return tuple(encode(chat, side, template, last_only=True) for side in sides)


def _shorter(row: Row) -> Row | None:
    turns = row.turns if isinstance(row, Conversation) else row.prompt
    starts = [n for n, turn in enumerate(turns) if turn.role == "user"]
    if len(starts) < 2:
        return None
    tail = turns[starts[1] :]
    return replace(row, turns=tail) if isinstance(row, Conversation) else replace(row, prompt=tail)
