"""Learn words of several hanzi from a corpus, and admit as many as are asked for, by what they save.

    sample     documents by the hash of their id, until they hold ``sample_hanzi``; three in ten of them are held out
    merges     byte pair encoding of their runs of hanzi (``tokenizer.words``), half as many again as are asked for
    admission  a merge saves one token each time it is applied: those applied most often to the held-out part

What a word is made of is applied at least as often as the word, so every admitted word can be reached by merging
admitted ones. The same corpus gives the same list, however it is cut into files. 8 MB of text take 2 s;
memory stays under 1.5 GB for any corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from corpus.kept import kept_paths, read_part
from tokenizer.bpe import CODE_POINTS
from tokenizer.vocabularies import HANZI_BLOCKS, MAX_PIECE_CHARS
from tokenizer.words import BREAK, Int32, Merges, learn_merges
from workbench import manifest
from workbench.compiled import compiled
from workbench.console import note, progress, table
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import make_folder, write_text

HELD_OUT = 0.3
HELD_OUT_SEED = 1  # of the hash that holds documents out; another than the sample's
SURPLUS = 1.5  # candidates to one admitted word


@dataclass(frozen=True)
class LearnSettings:
    """What decides the list, besides the corpus."""

    count: int
    max_chars: int = 6
    sample_hanzi: int = 30_000_000
    min_count: int = 10  # places in the sample that a word must have

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one makes no sense.
        """
        if self.count < 1:
            raise ConfigError("--count", f"{self.count} is less than one", "give the number of words")
        if not 2 <= self.max_chars <= MAX_PIECE_CHARS:
            raise ConfigError("--max-chars", f"{self.max_chars} is not from 2 to {MAX_PIECE_CHARS}", "give 6, say")
        if self.sample_hanzi < 1000:
            raise ConfigError("--sample-hanzi", f"{self.sample_hanzi} is less than 1,000", "give 30000000, say")
        if self.min_count < 1:
            raise ConfigError("--min-count", f"{self.min_count} is less than one", "give 10, say")


@dataclass(frozen=True)
class Learnt:
    """What came of it."""

    words: tuple[str, ...]  # in the order in which they merge
    documents: int  # of the sample
    corpus_documents: int
    hanzi: int  # of the sample, held-out ones included
    held_out_hanzi: int
    held_out_saved: int  # tokens that the words save there, of one token a hanzi
    candidates: int

    @property
    def tokens_per_hanzi(self) -> float:
        """Return the tokens a hanzi costs in the held-out part, every hanzi being a piece."""
        return 1 - self.held_out_saved / max(1, self.held_out_hanzi)


def learn(corpus: Path, settings: LearnSettings) -> tuple[Learnt, str]:
    """Learn words from a built corpus.

    Args:
        corpus: The corpus.
        settings: How many, and how long.

    Returns:
        What was learnt, and the corpus's fingerprint.

    Raises:
        InputError: If the corpus is none or has no hanzi to learn from.
    """
    made = manifest.read(corpus, "corpus", "corpus build --src NAME --out DIR")
    parts = kept_paths(corpus, made)
    sample = Sample(settings.sample_hanzi)
    with progress("read", len(parts), "files") as count:
        for path in parts:
            rows = read_part(path, ("id", "text"))
            sample.add(rows["id"], rows["text"])
            count.advance()
    found = learn_words(sample, settings)
    if not found.words:
        raise InputError(
            corpus,
            f"has no pair of hanzi {settings.min_count} times in its {found.hanzi:,} hanzi",
            "name a larger corpus, or a lower --min-count",
        )
    return found, made.fingerprint


class Sample:
    """Documents whose hash is below a limit, as runs of hanzi. The limit is halved whenever they grow too many.

    Which documents are in it at the end depends on the documents alone: on no order, and no division into files.
    """

    def __init__(self, most: int) -> None:
        """Start empty.

        Args:
            most: Hanzi that it may hold.
        """
        self.most = most
        self.documents = 0  # all that were offered
        self._limit = 1 << 64
        self._rows: list[tuple[int, bool, Int32]] = []  # of a document: its hash, whether it is held out, its runs
        self._places = 0

    def add(self, ids: pl.Series, texts: pl.Series) -> None:
        """Offer documents.

        Args:
            ids: Their ids, shape (documents,).
            texts: Their texts, shape (documents,).
        """
        self.documents += len(ids)
        names = [name.encode() for name in ids]
        hashes = [xxhash.xxh3_64_intdigest(name) for name in names]
        rows = [row for row, value in enumerate(hashes) if value < self._limit]
        if not rows:
            return
        flat = FlatText.of(texts[rows])
        runs, ends = np.empty(len(flat.chars) + len(rows), np.int32), np.zeros(len(rows) + 1, np.int64)
        _runs_of_hanzi(flat.chars, flat.offsets, _hanzi_table(), runs, ends)
        for n, row in enumerate(rows):
            held_out = xxhash.xxh3_64_intdigest(names[row], HELD_OUT_SEED) < int(HELD_OUT * 2**64)
            self._rows.append((hashes[row], held_out, runs[ends[n] : ends[n + 1]].copy()))
            self._places += int(ends[n + 1] - ends[n])
        while self._places > self.most and len(self._rows) > 1:
            self._limit //= 2
            self._rows = [row for row in self._rows if row[0] < self._limit]
            self._places = sum(len(row[2]) for row in self._rows)

    def __len__(self) -> int:
        """Return the number of documents in the sample."""
        return len(self._rows)

    def symbols(self) -> tuple[Int32, int]:
        """Return all runs of code points, those held out behind the others, and the place where these begin."""
        parts = [[runs for _, held_out, runs in self._rows if held_out is side] for side in (False, True)]
        train, held_out = (np.concatenate([np.empty(0, np.int32), *part]) for part in parts)
        return np.concatenate([train, held_out]), len(train)


def _hanzi_table() -> NDArray[np.bool_]:
    table = np.zeros(CODE_POINTS, np.bool_)
    for low, high in HANZI_BLOCKS:
        table[low : high + 1] = True
    return table


@compiled
def _runs_of_hanzi(
    chars: CodePoints, offsets: Offsets, is_hanzi: NDArray[np.bool_], out: Int32, ends: NDArray[np.int64]
) -> None:
    """Copy runs of hanzi, one ``BREAK`` behind each."""
    w = 0
    for d in range(len(offsets) - 1):
        for k in range(offsets[d], offsets[d + 1]):
            if is_hanzi[chars[k]]:
                out[w] = chars[k]
                w += 1
            elif w > ends[d] and out[w - 1] != -1:
                out[w] = -1
                w += 1
        if w > ends[d] and out[w - 1] != -1:
            out[w] = -1
            w += 1
        ends[d + 1] = w


def learn_words(sample: Sample, settings: LearnSettings) -> Learnt:
    """Learn words from a sample.

    Args:
        sample: Documents.
        settings: How many words, and how long.
    """
    codes, mark = sample.symbols()
    alphabet = np.unique(codes[codes != BREAK])
    number = np.full(CODE_POINTS, BREAK, np.int32)
    number[alphabet] = np.arange(len(alphabet), dtype=np.int32)
    held_out_hanzi = int((codes[mark:] != BREAK).sum())
    hanzi = int((codes[:mark] != BREAK).sum()) + held_out_hanzi
    symbols = np.where(codes == BREAK, np.int32(BREAK), number[codes])
    candidates = int(settings.count * SURPLUS) + 1
    merges = learn_merges(symbols, mark, len(alphabet), candidates, settings.min_count, settings.max_chars)
    admitted = admit(merges, settings.count)
    words = _spell(merges, alphabet)
    return Learnt(
        words=tuple(words[n] for n in admitted),
        documents=len(sample),
        corpus_documents=sample.documents,
        hanzi=hanzi,
        held_out_hanzi=held_out_hanzi,
        held_out_saved=int(merges.held_out[admitted].sum()),
        candidates=len(words),
    )


def admit(merges: Merges, count: int) -> NDArray[np.int64]:
    """Return the merges that save most, in the order of merging; of equals those learnt first.

    Args:
        merges: What was learnt.
        count: How many to admit.
    """
    best = np.lexsort((np.arange(len(merges.left)), -merges.train, -merges.held_out))[:count]
    return np.sort(best).astype(np.int64)


def _spell(merges: Merges, alphabet: Int32) -> list[str]:
    known = [chr(code) for code in alphabet]
    for left, right in zip(merges.left.tolist(), merges.right.tolist(), strict=True):
        known.append(known[left] + known[right])
    return known[len(alphabet) :]


def write_words(path: Path, found: Learnt, about: Sequence[str], *, overwrite: bool) -> None:
    """Write a list that ``tokenizer extend --add`` takes, in the order of merging.

    Args:
        path: The file.
        found: The words.
        about: Lines for its head.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        OutputError: If there is another file, or it cannot be written.
    """
    lines = [*(f"# {line}" for line in about), *found.words]
    text = "\n".join(lines) + "\n"
    if path.is_dir():
        raise OutputError(path, "is a folder", "name a file with --out")
    if path.is_file():
        if path.read_bytes() == text.encode():
            note(f"{path}: holds these words; nothing to do")
            return
        if not overwrite:
            raise OutputError(path, "exists with other content", "name another --out, or add --overwrite")
    make_folder(path.parent)
    write_text(path, text)


def about(corpus: Path, fingerprint: str, found: Learnt, settings: LearnSettings) -> list[str]:
    """Return the head of a list: what it is, and what made it."""
    return [
        f"{len(found.words):,} words of 2 to {settings.max_chars} hanzi, in the order in which they merge.",
        f"Learnt from {found.documents:,} documents ({found.hanzi:,} hanzi) of {corpus.name}, {fingerprint}.",
        f"Made by: tokenizer learn CORPUS --count {settings.count} --max-chars {settings.max_chars}"
        f" --min-count {settings.min_count}",
    ]


def as_report(found: Learnt) -> dict[str, Any]:
    """Return what ``--json`` prints: everything but the words."""
    return {
        "words": len(found.words),
        "candidates": found.candidates,
        "documents": found.documents,
        "corpus_documents": found.corpus_documents,
        "hanzi": found.hanzi,
        "held_out_hanzi": found.held_out_hanzi,
        "held_out_saved": found.held_out_saved,
        "held_out_tokens_per_hanzi": found.tokens_per_hanzi,
    }


def print_summary(found: Learnt) -> None:
    """Print what was learnt on stdout."""
    rows = [
        ("documents read", found.corpus_documents),
        ("documents in the sample", found.documents),
        ("hanzi in the sample", found.hanzi),
        ("of them held out", found.held_out_hanzi),
        ("merges learnt", found.candidates),
        ("words admitted", len(found.words)),
        ("tokens saved, held out", found.held_out_saved),
        ("tokens/hanzi, held out", found.tokens_per_hanzi),
    ]
    table(("learnt", "count"), rows)
