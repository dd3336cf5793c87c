"""What of a row is encoded: a conversation, the two sides of a pair, a rated answer, or a prompt that asks for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from corpus.instructions.rows import Conversation, Preference, Prompt, Rated, Row, Turn
from tokenizer.chat.encode import ChatTokenizer, Encoded, Template, encode_pieces, only_last, render
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
    """Return a view as the template's pieces.

    Args:
        view: The view.
        template: The chat template.
        chat: The tokenizer whose specials are named; none: ``<s>`` and ``</s>``.

    Raises:
        NoPlace: If the template has no place for a turn or for tools.
    """
    specials = None if chat is None else chat.specials
    pieces = render(view.conversation.turns, template, view.conversation.tools, specials=specials, ask=view.asks)
    if view.asks:
        return [Piece(piece.text, False) for piece in pieces]
    return only_last(pieces) if view.last_only else pieces


def encode_views(chat: ChatTokenizer, views: Iterable[View], template: Template) -> Iterator[Encoded]:
    """Encode views; of a prompt nothing bears loss."""
    return encode_pieces(chat, (pieces_of(view, template, chat) for view in views))


def shown(view: View, template: Template, chat: ChatTokenizer) -> list[Piece]:
    """Return a view as text, cut where loss begins and ends by its tokens: what is trained, not what is meant."""
    pieces = pieces_of(view, template, chat)
    (coded,) = encode_pieces(chat, [pieces])
    text = "".join(piece.text for piece in pieces)
    bears = np.zeros(len(text), np.bool_)
    offsets = chat.tokenizer.encode(text, add_special_tokens=False).offsets
    for (begin, end), one in zip(offsets, coded.loss, strict=True):
        bears[begin:end] |= one
    cuts = [0, *(np.flatnonzero(np.diff(bears)) + 1).tolist(), len(text)]
    return [Piece(text[a:b], bool(bears[a])) for a, b in pairwise(cuts) if b > a]
