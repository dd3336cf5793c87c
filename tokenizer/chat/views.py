"""What of a row is encoded: a conversation, the two sides of a pair, a rated answer, or a prompt that asks for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Preference, Prompt, Rated, Row, Turn
from tokenizer.chat.encode import ChatTokenizer, Template, encode, encode_many, encode_prompt, only_last, render
from tokenizer.chat.pieces import Piece


@dataclass(frozen=True)
class View:
    """One sequence that a row gives."""

    name: str  # chosen, rejected, good, bad, prompt; empty for a conversation
    conversation: Conversation
    asks: bool = False  # a prompt: the head of an answer follows, and nothing bears loss
    last_only: bool = False  # the last answer alone bears loss


def views_of(row: Row) -> tuple[View, ...]:
    """Return the sequences of a row, as its stage sees them."""
    if isinstance(row, Conversation):
        return (View("", row),)
    if isinstance(row, Prompt):
        return (View("prompt", Conversation(row.id, row.turns, row.source, row.tools), asks=True),)
    if isinstance(row, Rated):
        return (View("good" if row.good else "bad", _with(row, row.answer), last_only=True),)
    sides = (("chosen", row.chosen), ("rejected", row.rejected))
    return tuple(View(name, _with(row, answer), last_only=True) for name, answer in sides)


def _with(row: Preference | Rated, answer: str) -> Conversation:
    return Conversation(row.id, (*row.prompt, Turn("assistant", answer)), row.source, row.tools)


def pieces_of(view: View, template: Template, chat: ChatTokenizer | None) -> list[Piece]:
    """Return a view as text and what bears loss: by its tokens if there is a tokenizer, else by the template."""
    turns, tools = view.conversation.turns, view.conversation.tools
    specials = None if chat is None else chat.specials
    pieces = render(turns, template, tools, specials=specials, ask=view.asks)
    if view.last_only:
        pieces = only_last(pieces)
    if view.asks:
        return [Piece(piece.text, False) for piece in pieces]
    if chat is None:
        return pieces
    loss = encode(chat, view.conversation, template, last_only=view.last_only).loss
    text = "".join(piece.text for piece in pieces)
    bears = np.zeros(len(text), np.bool_)
    for (begin, end), one in zip(chat.tokenizer.encode(text, add_special_tokens=False).offsets, loss, strict=True):
        bears[begin:end] |= one
    cuts = [0, *(np.flatnonzero(np.diff(bears)) + 1).tolist(), len(text)]
    return [Piece(text[a:b], bool(bears[a])) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]


def lengths_of(views: Iterable[View], template: Template, chat: ChatTokenizer | None) -> NDArray[np.int64]:
    """Return the tokens of each view, or its characters without a tokenizer, shape (views,)."""
    several = list(views)
    if chat is None:
        return np.array(
            [sum(len(piece.text) for piece in pieces_of(view, template, None)) for view in several], np.int64
        )
    coded = encode_many(chat, [view.conversation for view in several if not view.asks], template)
    sizes = [
        len(encode_prompt(chat, view.conversation.turns, template, view.conversation.tools))
        if view.asks
        else len(next(coded).ids)
        for view in several
    ]
    return np.array(sizes, np.int64)
