"""Dialogues and preference pairs as ids that fit a window, and dialogues packed into sequences without cutting one.

What does not fit is cut by a stated rule and counted, never silently:

    a dialogue    keeps its first ids; one whose kept part holds no answer is left out
    a pair        its prompt, the same for both answers, loses its first ids until the longer answer fits, but keeps a
                  quarter of the window; then the answers lose their last ids. Left out if they are equal after that

Packing is best-fit: a dialogue goes to the fullest sequence that still has room. Cost: the template's encoding, and 3
µs a dialogue.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Preference, Row, Turn

Ids = NDArray[np.uint32]
Encode = Callable[[Sequence[Turn], str | None], tuple[Ids, NDArray[np.bool_]]]  # turns, tools -> ids, loss mask


@dataclass(frozen=True)
class Dialogue:
    """A dialogue that fits."""

    id: str
    ids: Ids
    mask: NDArray[np.bool_]  # which ids carry loss


@dataclass(frozen=True)
class Pair:
    """A prompt with two answers that fit."""

    row: Preference
    prompt: Ids
    chosen: Ids  # with the end of its turn
    rejected: Ids


def dialogues(rows: Sequence[Row], encode: Encode, window: int, left_out: Counter[str]) -> list[Dialogue]:
    """Encode conversations.

    Args:
        rows: The conversations.
        encode: Turns and tools to ids and loss mask.
        window: Most ids.
        left_out: Counts what was cut or left out, by reason.
    """
    out = []
    for row in rows:
        assert isinstance(row, Conversation)
        ids, mask = encode(row.turns, row.tools)
        if len(ids) > window:
            left_out[f"longer than {window} ids: end cut off"] += 1
            ids, mask = ids[:window], mask[:window]
        if mask[1:].any():
            out.append(Dialogue(row.id, ids, mask))
        else:
            left_out["no answer within the window: left out"] += 1
    return out


def pairs(rows: Sequence[Row], encode: Encode, window: int, left_out: Counter[str]) -> list[Pair]:
    """Encode preferences; arguments as those of ``dialogues``."""
    out = []
    for row in rows:
        assert isinstance(row, Preference)
        tools: str | None = getattr(row, "tools", None)
        halves = [
            _answer(*encode((*row.prompt, Turn("assistant", text)), tools)) for text in (row.chosen, row.rejected)
        ]
        (prompt, chosen), (_, rejected) = halves
        keep = min(len(prompt), max(window - max(len(chosen), len(rejected)), window // 4))
        if keep < len(prompt):
            left_out[f"prompt and answer longer than {window} ids: the prompt's beginning cut off"] += 1
        room = window - keep
        if max(len(chosen), len(rejected)) > room:
            left_out[
                f"answer longer than {room if keep == window // 4 else 'the rest of the window'}: end cut off"
            ] += 1
        pair = Pair(row, prompt[len(prompt) - keep :], chosen[:room], rejected[:room])
        if np.array_equal(pair.chosen, pair.rejected):
            left_out["answers equal as ids: left out"] += 1
        else:
            out.append(pair)
    return out


def _answer(ids: Ids, mask: NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """Return what stands before the last answer, and that answer; what a template lays behind it is left away."""
    end = int(np.flatnonzero(mask)[-1]) + 1
    before = np.flatnonzero(~mask[:end])
    start = int(before[-1]) + 1 if len(before) else 0
    return ids[:start], ids[start:end]


class Packs:
    """Dialogues packed into sequences of one length; what ``eval.packing.Packed`` asks, and the loss mask beside it."""

    def __init__(self, parts: Sequence[Dialogue], seq_len: int, *, together: bool = True) -> None:
        """Pack.

        Args:
            parts: Dialogues of at most ``seq_len`` ids.
            seq_len: Ids in a sequence.
            together: Several in a sequence; else each in its own.
        """
        self.parts, self.seq_len = parts, seq_len
        self.bins: list[list[int]] = []
        space: list[tuple[int, int]] = []  # room left and number of each sequence that has some, ordered
        for number, part in enumerate(parts):
            at = bisect_left(space, (len(part.ids), -1)) if together else len(space)
            left, where = space.pop(at) if at < len(space) else (seq_len, len(self.bins))
            if where == len(self.bins):
                self.bins.append([])
            self.bins[where].append(number)
            if left > len(part.ids):
                insort(space, (left - len(part.ids), where))

    def __len__(self) -> int:
        return len(self.bins)

    def ids(self, i: int) -> NDArray[np.int64]:
        """Return sequence i, shape (seq_len,); padding is 0."""
        ids = np.concatenate([self.parts[n].ids for n in self.bins[i]]).astype(np.int64)
        return np.pad(ids, (0, self.seq_len - len(ids)))

    def mask(self, i: int) -> NDArray[np.bool_]:
        """Return which ids of sequence i carry loss, shape (seq_len,)."""
        mask = np.concatenate([self.parts[n].mask for n in self.bins[i]])
        return np.pad(mask, (0, self.seq_len - len(mask)))

    def starts(self, i: int) -> NDArray[np.int64]:
        """Return where in sequence i a dialogue begins."""
        lengths = [len(self.parts[n].ids) for n in self.bins[i]]
        return np.cumsum([0, *lengths[:-1]], dtype=np.int64)

    def valid(self, i: int) -> int:
        """Return how many ids of sequence i are not padding."""
        return sum(len(self.parts[n].ids) for n in self.bins[i])

    def position_ids(self, i: int) -> NDArray[np.int64]:
        """Return positions that restart at each dialogue; padding counts as one more."""
        begins = np.unique(np.append(self.starts(i), self.valid(i)))
        begins = begins[begins < self.seq_len]
        lengths = np.diff(np.append(begins, self.seq_len))
        out: NDArray[np.int64] = np.arange(self.seq_len, dtype=np.int64) - np.repeat(begins, lengths)
        return out

    def documents(self, i: int) -> list[str]:
        """Return the ids of the dialogues in sequence i."""
        return [self.parts[n].id for n in self.bins[i]]
