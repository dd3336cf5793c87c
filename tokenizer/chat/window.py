"""Rows longer than the window: whole exchanges go, the oldest first; an answer is never cut.

An exchange is a user's turn and all that follows it up to the next. The system turn and the last exchange stay; of a
pair both sides must fit. What is too long even so is not used, and told: a row is whole, shortened by some exchanges,
or out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from corpus.instructions.rows import Conversation, Faulty, Prompt, Row, Turn
from tokenizer.chat.encode import AT_ONCE, ChatTokenizer, Encoded, Template
from tokenizer.chat.pieces import NoPlace
from tokenizer.chat.views import encode_views, pieces_of, views_of
from workbench.console import note

SHOWN = 3  # faulty rows told one by one


@dataclass(frozen=True)
class Fitted:
    """A row that fits, its sequences (``views_of``) encoded, and how many exchanges it lost."""

    row: Row
    encoded: tuple[Encoded, ...]
    dropped: int

    @property
    def longest(self) -> int:
        """Return the tokens of its longest sequence."""
        return _longest(self.encoded)


def tell(left_out: Sequence[Faulty], shortened: int, window: int) -> None:
    """Say which rows are not used, and how many lost their beginning."""
    for row in left_out[:SHOWN]:
        note(f"{row.place}: {row.cause}; not used")
    if len(left_out) > SHOWN:
        note(f"{len(left_out):,} rows are not used: train data check prints them all")
    if shortened:
        note(f"{shortened:,} rows lost their oldest exchanges to fit {window:,} ids")


def shorter(row: Row) -> list[Row]:
    """Return a row without its oldest exchange, without the two oldest, and so on to the last exchange alone."""
    if isinstance(row, Conversation | Prompt):
        return [replace(row, turns=turns) for turns in _tails(row.turns)]
    return [replace(row, prompt=turns) for turns in _tails(row.prompt)]


def _tails(turns: tuple[Turn, ...]) -> list[tuple[Turn, ...]]:
    system = turns[:1] if turns and turns[0].role == "system" else ()
    starts = [n for n, turn in enumerate(turns) if turn.role == "user"]
    return [(*system, *turns[start:]) for start in starts[1:]]


def fit(
    chat: ChatTokenizer, rows: Iterable[Row], template: Template, window: int | None = None
) -> Iterator[Fitted | Faulty]:
    """Encode rows of any kind into a window.

    Args:
        chat: The tokenizer.
        rows: Rows of any length.
        template: The chat template.
        window: The most tokens of a sequence; none: any number.

    Yields:
        Each row as far as it fits, or why it is not used, in order.
    """
    waiting = iter(rows)
    while some := list(islice(waiting, AT_ONCE)):
        faults = {n: cause for n, row in enumerate(some) if (cause := _no_place(row, template, chat))}
        views = [view for n, row in enumerate(some) if n not in faults for view in views_of(row)]
        coded = encode_views(chat, views, template)
        for n, row in enumerate(some):
            if n in faults:
                yield Faulty(row.id, faults[n])
                continue
            encoded = tuple(next(coded) for _ in views_of(row))
            if window is None or _longest(encoded) <= window:
                yield Fitted(row, encoded, 0)
            else:
                yield _shortened(chat, row, template, window, _longest(encoded))


def _no_place(row: Row, template: Template, chat: ChatTokenizer) -> str | None:
    try:
        for view in views_of(row):
            pieces_of(view, template, chat)
    except NoPlace as error:
        return str(error)
    return None


def _longest(encoded: tuple[Encoded, ...]) -> int:
    return max(len(one.ids) for one in encoded)


def _shortened(chat: ChatTokenizer, row: Row, template: Template, window: int, whole: int) -> Fitted | Faulty:
    """Find by halving the fewest exchanges to drop: the more go, the shorter it is."""

    def encoded(one: Row) -> tuple[Encoded, ...]:
        return tuple(encode_views(chat, views_of(one), template))

    tails = shorter(row)
    least = _longest(encoded(tails[-1])) if tails else whole
    if least > window:
        what = "its last exchange alone" if tails else "it"
        return Faulty(row.id, f"{what} has {least} tokens, {whole} in all; the window is {window}")
    low, high = 0, len(tails) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _longest(encoded(tails[middle])) <= window else (middle + 1, high)
    return Fitted(tails[low], encoded(tails[low]), low + 1)
