"""FineWeb-2's signals for Chinese: counted over jieba's words, defined as datatrove 0.10 defines them.

They are here to compare with (recipe ``fineweb2-zh``), not to build with: 0.4 MB of UTF-8 per CPU-second, half of
it in jieba, where the stages that zh-web's rules rest on take 60 together. jieba is the optional extra ``segment``.

Each column names its definition's place in datatrove (Apache-2.0): *q* GopherQualityFilter, *r* GopherRepetitionFilter,
*f* FineWebQualityFilter. What is peculiar there is kept: shares of n-grams are of all characters, white space
included; the most frequent n-gram counts its occurrences even if they overlap, joined by spaces, also where it occurs
once; a repeated n-gram is skipped whole. Marks that end a sentence are those of Chinese and European scripts.
"""

from __future__ import annotations

import logging
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from corpus.stages.base import Survivors
from workbench.config import setting
from workbench.errors import MissingPackage

STOP_WORDS = tuple("的年在月是和日了於·為有被人中为他與後也而由")  # FineWeb-2, configs/cmn_Hani.yml
TERMINAL = tuple(".?!。？！．｡﹒﹖﹗‼⁇⁈⁉‽")
SYMBOLS = (  # a word of nothing else is no word
    set(string.punctuation)
    | set("—–…、。，；：？！“”„’´《》〈〉「」【】（）～％．∶━►«»１")
    | set(TERMINAL)
    | {chr(code) for low, high in ((0, 9), (11, 13), (13, 32), (127, 160)) for code in range(low, high)}
)
TOP = (2, 3, 4)
REPEATED = (5, 6, 7, 8, 9, 10)
COLUMNS = {
    "seg_words": pl.UInt32(),  # q: words that are not symbols alone
    "seg_mean_word_chars": pl.Float32(),  # q: of those
    "seg_letter_word_share": pl.Float32(),  # q: words with a letter or hanzi, of all with symbols
    "seg_stop_words": pl.UInt32(),  # q: how many of the list occur
    "seg_hash_ratio": pl.Float32(),  # q: "#" to words
    "seg_ellipsis_ratio": pl.Float32(),  # q: "..." and "…" to words
    "seg_bullet_line_share": pl.Float32(),  # q: lines that begin with • or -
    "seg_cut_line_share": pl.Float32(),  # q: lines that end in an ellipsis
    "seg_dup_line_share": pl.Float32(),  # r: lines that came before
    "seg_stop_line_share": pl.Float32(),  # f: lines that end in a terminal mark
    "seg_dup_line_char_share": pl.Float32(),  # f: characters in lines that came before
    "seg_newline_ratio": pl.Float32(),  # f: line breaks to words
    **{f"seg_top_{n}gram_share": pl.Float32() for n in TOP},  # r
    **{f"seg_dup_{n}gram_share": pl.Float32() for n in REPEATED},  # r
}

Cut = Callable[[str], Iterable[str]]


@dataclass(frozen=True)
class Segmented:
    """Count FineWeb-2's signals over jieba's words."""

    name: ClassVar[str] = "segmented"
    needs: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = tuple(COLUMNS)

    stop_words: tuple[str, ...] = setting(STOP_WORDS, "words of which a good text has some")

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """See that jieba is there, before a document is read.

        Raises:
            MissingPackage: If it is not installed.
        """
        segmenter()

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``COLUMNS``; a text without words has 0 everywhere."""
        cut = segmenter()
        rows = [measure(text or "", cut, self.stop_words) for text in batch["text"].to_list()]
        found = pl.DataFrame(rows, schema=COLUMNS, infer_schema_length=None)
        return batch.with_columns(found.get_columns())


@cache
def segmenter() -> Cut:
    """Return jieba's cut, with its dictionary loaded: a second, once in a process."""
    try:
        import jieba
    except ImportError as error:
        raise MissingPackage("jieba", "segment") from error
    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    cut: Cut = jieba.cut
    return cut


def measure(text: str, cut: Cut, stop_words: Sequence[str] = STOP_WORDS) -> dict[str, Any]:
    """Return the signals of one text.

    Args:
        text: The document.
        cut: Splits a text into words; white space among them is dropped.
        stop_words: Words that are looked for.
    """
    words = [word for word in (part.strip() for part in cut(text)) if word]
    if not words:
        return dict.fromkeys(COLUMNS, 0)
    real = [word for word in words if not SYMBOLS.issuperset(word)]
    every_line = text.splitlines()
    lines = [line for line in text.split("\n") if line.strip()]
    values: dict[str, Any] = {
        "seg_words": len(real),
        "seg_mean_word_chars": sum(map(len, real)) / max(1, len(real)),
        "seg_letter_word_share": sum(any(map(str.isalpha, word)) for word in words) / len(words),
        "seg_stop_words": len(set(stop_words).intersection(words)),
        "seg_hash_ratio": text.count("#") / len(words),
        "seg_ellipsis_ratio": (text.count("...") + text.count("…")) / len(words),
        "seg_bullet_line_share": sum(line.lstrip().startswith(("•", "-")) for line in every_line) / len(every_line),
        "seg_cut_line_share": sum(line.rstrip().endswith(("...", "…")) for line in every_line) / len(every_line),
        "seg_dup_line_share": _again(re.split("\n+", text))[0],
        "seg_stop_line_share": sum(line.endswith(TERMINAL) for line in lines) / len(lines),
        "seg_dup_line_char_share": _again(lines)[1] / len(text.replace("\n", "")),
        "seg_newline_ratio": text.count("\n") / len(words),
    }
    values |= {f"seg_top_{n}gram_share": _top(words, n) / len(text) for n in TOP}
    values |= {f"seg_dup_{n}gram_share": _repeated(words, n) / len(text) for n in REPEATED}
    return values


def _again(lines: Sequence[str]) -> tuple[float, int]:
    """Return the share of lines that came before, and their characters."""
    seen: set[str] = set()
    again = [line for line in lines if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
    return len(again) / len(lines), sum(map(len, again))


def _top(words: Sequence[str], n: int) -> int:
    """Return the characters of the most frequent n-gram, spaces between its words included, times its occurrences."""
    grams = Counter(zip(*(words[k:] for k in range(n)), strict=False))
    if not grams:
        return 0
    gram, times = grams.most_common(1)[0]
    return (sum(map(len, gram)) + n - 1) * times


def _repeated(words: Sequence[str], n: int) -> int:
    """Return the characters of n-grams that came before; after such a one the search goes on behind it."""
    seen: set[str] = set()
    characters = place = 0
    while place <= len(words) - n:
        gram = "".join(words[place : place + n])
        if gram in seen:
            characters += len(gram)
            place += n
        else:
            seen.add(gram)
            place += 1
    return characters
