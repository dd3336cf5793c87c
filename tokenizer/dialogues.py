"""Instruction and preference data as a stage trains on them: read, weighed, held out, encoded, fitted, packed.

A row is held out if the hash of its first question says so: the same rows in every run and on every machine, whatever
else is mixed in, and all rows of one question on the same side, so that no pair is judged by its twin. What is longer
than the window loses its oldest exchanges (``tokenizer.chat.window``); no answer is cut; what is too long even so is
left out. Nothing goes without being counted. Packing is best-fit: a dialogue goes to the fullest sequence that still
has room. Cost: 3 MB of text per CPU-second, nearly all of it the tokenizer's.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from corpus.instructions.gather import gather
from corpus.instructions.rows import Faulty, Preference, Rated, Row, Turn
from corpus.instructions.sets import parse
from tokenizer.chat.encode import ChatTokenizer, Encoded, Template, find_template, load
from tokenizer.chat.window import Fitted, fit, tell
from workbench.console import note
from workbench.errors import InputError

Ids = NDArray[np.uint32]


@dataclass(frozen=True)
class Dialogue:
    """A dialogue that fits."""

    id: str
    ids: Ids
    mask: NDArray[np.bool_]  # which ids bear loss


@dataclass(frozen=True)
class Pair:
    """A prompt with two answers that fit."""

    row: Preference | Rated
    prompt: Ids
    chosen: Ids  # with what ends it
    rejected: Ids
    label: float = 0.0  # the margin that the data give; of a rated answer 1 for good, -1 for bad


@dataclass
class Material:
    """The rows of a stage, and what became of those that it does not use."""

    chat: ChatTokenizer
    template: Template
    window: int
    sets: list[dict[str, Any]]  # what was found in each
    train: list[Row] = field(default_factory=list)
    held_out: list[Row] = field(default_factory=list)
    left_out: list[Faulty] = field(default_factory=list)  # faulty, repeated, contaminated, or too long
    warnings: list[str] = field(default_factory=list)
    shortened: int = 0  # lost their oldest exchanges

    def dialogues(self, rows: Sequence[Row]) -> list[Dialogue]:
        """Encode conversations; what does not fit joins what is left out."""
        return [Dialogue(one.row.id, one.encoded[0].ids, one.encoded[0].loss) for one in self._fit(rows)]

    def pairs(self, rows: Sequence[Row]) -> list[Pair]:
        """Encode preferences; what does not fit, and answers of the same ids, join what is left out."""
        out = []
        for found in self._fit(rows):
            assert isinstance(found.row, Preference)
            (prompt, chosen), (_, rejected) = (_at_answer(one) for one in found.encoded)
            if np.array_equal(chosen, rejected):
                self.left_out.append(Faulty(found.row.id, "chosen and rejected are the same ids"))
            else:
                out.append(Pair(found.row, prompt, chosen, rejected, found.row.margin or 0.0))
        return out

    def rated(self, rows: Sequence[Row]) -> list[Pair]:
        """Encode rated answers; beside each stands the next row's answer, which KTO's KL term is estimated from."""
        found = [(one.row, *_at_answer(one.encoded[0])) for one in self._fit(rows)]
        out = []
        for (row, prompt, answer), (_, _, other) in zip(found, [*found[1:], *found[:1]], strict=True):
            assert isinstance(row, Rated)
            out.append(Pair(row, prompt, answer, other[: max(1, self.window - len(prompt))], 1.0 if row.good else -1.0))
        return out

    def compared(self, rows: Sequence[Row]) -> list[Pair]:
        """Encode preferences or rated answers, whichever they are."""
        return self.rated(rows) if rows and isinstance(rows[0], Rated) else self.pairs(rows)

    def tell(self) -> None:
        """Say what is not used, and what else a person should know."""
        for warning in self.warnings:
            note(f"warning: {warning}")
        tell(self.left_out, self.shortened, self.window)

    def about(self, used: str) -> dict[str, Any]:
        """Return what became of the rows, for a run's results; ``told`` is for people, ``used`` says how often."""
        sets = [f"`{one['data']}`: {one['rows']:,} rows x {one['weight']:g}" for one in self.sets]
        out, held, shortened = len(self.left_out), len(self.held_out), self.shortened
        told = [
            ["data", "; ".join(sets), used],
            ["template", self.template.name, f"window of {self.window:,} ids"],
            ["held out", f"{held:,} rows", "by the hash of their question"],
            ["not used", f"{out:,} rows", f"{shortened:,} more lost their oldest exchanges"],
        ]
        about = {"template": self.template.name, "sets": self.sets, "held_out": held, "left_out": out}
        return {**about, "shortened": shortened, "told": told}

    def _fit(self, rows: Sequence[Row]) -> Iterator[Fitted]:
        for found in fit(self.chat, rows, self.template, self.window):
            if isinstance(found, Fitted):
                self.shortened += found.dropped > 0
                yield found
            else:
                self.left_out.append(found)


def _at_answer(encoded: Encoded) -> tuple[Ids, Ids]:
    """Return what stands before the answer, and the answer with what ends it; what is behind that is left away."""
    bearing = np.flatnonzero(encoded.loss)
    return encoded.ids[: bearing[0]], encoded.ids[bearing[0] : bearing[-1] + 1]


def question(row: Row) -> str:
    """Return the texts of a row up to its first question: rows that share it belong together."""
    turns: Sequence[Turn] = row.prompt if isinstance(row, Preference | Rated) else row.turns
    first = next((n for n, turn in enumerate(turns) if turn.role == "user"), len(turns) - 1)
    return "\x1f".join(turn.content for turn in turns[: first + 1])


def read_material(
    words: Sequence[str],
    stage: str,
    *,
    tokenizer: Path,
    template: str,
    window: int,
    held_out: float,
    min_jaccard: float | None = 0.8,
    benchmarks: Path | None = None,
) -> Material:
    """Read the rows of a stage.

    Args:
        words: ``PATH`` or ``PATH@WEIGHT`` each: a row as often in a pass as its set's weight says.
        stage: sft, rm, dpo or kto.
        tokenizer: The tokenizer's folder.
        template: A chat template's name; own: the tokenizer's.
        window: Most ids of a dialogue, or of a prompt with its answer.
        held_out: Share of the questions that is not trained on, 0 for none.
        min_jaccard: The similarity from which two rows are one; None: repeated rows stay.
        benchmarks: A folder of benchmarks whose items are not trained on.

    Raises:
        InputError: If a set or the tokenizer cannot be read, or no row is left to train on.
        ConfigError: If there is no such template, or a weight is no weight.
    """
    chat = load(tokenizer)
    form, found = find_template(template, chat), gather(words, stage, benchmarks=benchmarks, min_jaccard=min_jaccard)
    out = Material(chat, form, window, [asdict(one) for one in found.sets], warnings=found.warnings)
    out.left_out = [*found.faulty, *(Faulty(one.id, f"{one.reason}: {one.detail}") for one in found.removed)]
    for row, times in zip(found.rows, found.times, strict=True):
        if xxhash.xxh3_64_intdigest(question(row).encode()) / 2**64 < held_out:
            out.held_out.append(row)
        else:
            out.train.extend([row] * times)
    if not out.train:
        said = (
            f"no row that stage={stage} can train on ({len(out.left_out):,} left out, {len(out.held_out):,} held out)"
        )
        raise InputError(", ".join(words), said, "give more data, or a smaller held_out=")
    return out


def files_of(words: Sequence[str]) -> list[Path]:
    """Return the files that the words name; a set's short name is none."""
    paths = [Path(parse(word).word) for word in words]
    return [
        file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file()
    ]


class Packs:
    """Dialogues packed into sequences of one length; what ``eval.packing.Masked`` asks."""

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
        """Return which ids of sequence i bear loss, shape (seq_len,)."""
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
