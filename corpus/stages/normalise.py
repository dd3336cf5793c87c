"""One form for each character: compatibility forms folded, control characters out, spaces and lines tidy.

Not NFKC as a whole: it turns ，！？：；（） into ASCII and ① into 1. Folded are full-width ASCII other than Chinese
punctuation, half-width katakana, CJK compatibility ideographs and radicals, Latin ligatures and every kind of space.
Superscripts, circled numbers and units stay: in formulas and lists they carry meaning. Nothing is folded inside a code
fence (whose layout stays too) or a formula between dollar signs.

Text whose tokens were parted by spaces (为 什 么) is joined again: where spaces stand between two fifths of the hanzi,
and a fifth of what they part is single hanzi, which neither verse nor a list of names shows.

Mojibake (UTF-8 or GBK that was read as Latin-1) is repaired where it decodes; HTML entities and layout tags are
resolved outside code fences. Both are rare: only documents that show them leave the compiled path. Cost: 210 MB per
CPU-second.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets
from workbench.compiled import compiled
from workbench.config import between, setting

KEPT_FULL_WIDTH = "，！？：；（）"
_DELETE, _SPACE, _LINE = 0, 32, 10  # what the table maps a character to, besides itself or another one

_MARKUP = (
    r"&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|[a-zA-Z]{2,8});|</?(?:p|br|div|span|font|center|script|style)\b[^<>]*>|[ﬀ-ﬆ]"
)
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?center)\b[^<>]*>", re.IGNORECASE)
_BLOCK = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile("(```.*?```)", re.DOTALL)
_LIGATURES = "ﬀﬁﬂﬃﬄﬅﬆ"
_TAG = re.compile(r"</?(?:span|font|b|i|u|em|strong|a|img|script|style)\b[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class Normalise:
    """Rewrite text and title in normal form and count what changed."""

    name: ClassVar[str] = "normalise"
    reads: ClassVar[tuple[str, ...]] = ("text", "title")
    writes: ClassVar[tuple[str, ...]] = ("text", "title", "normalised_chars", "mojibake_repaired")

    keep_layout: bool = setting(False, "source code: keep indentation, blank lines and compatibility forms")
    mojibake_share: float = setting(0.1, "share of U+0080–U+00FF above which repair is tried", check=between(0, 1))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text`` and ``title``; add the counts."""
        text = batch["text"].fill_null("")
        flat = FlatText.of(text)
        high = np.zeros(len(flat), np.int64)
        markup = np.zeros(len(flat), np.bool_)
        spaced = np.zeros(len(flat), np.bool_)
        look_over(flat.chars, flat.offsets, high, markup, spaced)
        suspect = high > self.mojibake_share * np.maximum(flat.lengths, 1)
        new: dict[int, str] = {}
        repaired = np.zeros(len(flat), np.bool_)
        rows = np.flatnonzero(suspect)
        for i, one in zip(rows.tolist(), text.gather(rows).to_list(), strict=True):
            mended = repair_mojibake(one)
            if mended != one:
                new[i], repaired[i] = mended, True
        marked = _marked_up(text, np.flatnonzero(markup))
        for i, one in zip(marked, text.gather(marked).to_list(), strict=True):
            new[i] = _plain(new.get(i) or one)
        if new:
            flat = flat.replaced(new)
        titles = FlatText.of(batch["title"].fill_null(""))
        title, _ = self._fold(titles, np.zeros(len(titles), np.bool_))
        out, changed = self._fold(flat, spaced)  # last, so that the next step finds the text decoded
        return batch.with_columns(
            out.alias("text"),
            title.alias("title"),
            pl.Series("normalised_chars", changed, dtype=pl.UInt32),
            pl.Series("mojibake_repaired", repaired, dtype=pl.Boolean),
        )

    def _fold(self, flat: FlatText, spaced: NDArray[np.bool_]) -> tuple[pl.Series, NDArray[np.int64]]:
        chars, offsets = np.empty_like(flat.chars), np.empty_like(flat.offsets)
        changed = np.zeros(len(flat), np.int64)
        composing = np.zeros(len(flat), np.bool_)
        table = folding_table(compatibility=not self.keep_layout)
        fold(flat.chars, flat.offsets, table, self.keep_layout, spaced, chars, offsets, changed, composing)
        series = FlatText(chars[: offsets[-1]], offsets).to_series()
        rows = np.flatnonzero(composing)  # é as e + accent: only such documents pay for NFC
        if len(rows):
            composed = [unicodedata.normalize("NFC", one) for one in series.gather(rows).to_list()]
            series = series.scatter(rows, pl.Series(composed, dtype=pl.String))
        return series, changed


def _marked_up(text: pl.Series, rows: NDArray[np.int64]) -> list[int]:
    """Return those of the rows whose text shows entities or layout tags."""
    some = text.gather(rows)
    return [int(row) for row in rows[some.str.contains(_MARKUP).to_numpy()]]


def repair_mojibake(text: str) -> str:
    """Return text with the lines that are UTF-8 or GBK bytes read as Latin-1 decoded as what they are."""
    whole = _redecode(text)
    return whole if whole is not None else "\n".join(_redecode(line) or line for line in text.split("\n"))


def _redecode(text: str) -> str | None:
    for codec in ("latin-1", "cp1252"):
        try:
            raw = text.encode(codec)
        except UnicodeEncodeError:
            continue
        for target, worst in (("utf-8", 0.01), ("gb18030", 0.0)):
            out = raw.decode(target, "replace")
            han = sum("\u4e00" <= c <= "\u9fff" for c in out)
            if out.count("\ufffd") <= worst * len(out) and han > 0.2 * len(out):
                return out
    return None


def _plain(text: str) -> str:
    """Return text with its entities and layout tags resolved; code fences stay as they are."""
    if "```" not in text:
        return _resolved(text)
    parts = _FENCE.split(text)
    parts[::2] = [_resolved(part) for part in parts[::2]]
    return "".join(parts)


def _resolved(text: str) -> str:
    if "<" in text:
        text = _BLOCK.sub(" ", text)
        text = _TAG.sub("", _BREAK.sub("\n", text))
    if "&" in text:
        text = html.unescape(text).encode("utf-8", "replace").decode("utf-8")  # &#xD800; is no character
    for ligature in _LIGATURES:
        if ligature in text:
            text = text.replace(ligature, unicodedata.normalize("NFKC", ligature))
    return text


@cache
def folding_table(*, compatibility: bool = True) -> NDArray[np.uint32]:
    """Return what each code point becomes, shape (0x110000,): itself, another, or one of the three marks.

    Args:
        compatibility: Whether compatibility forms are folded; not in source code.
    """
    table = np.arange(0x110000, dtype=np.uint32)
    foldable = (
        []
        if not compatibility
        else [*range(0xFF01, 0xFFEF), *range(0xF900, 0xFB00), *range(0x2E80, 0x2FD6), *range(0x2F800, 0x2FA20)]
    )
    for code in foldable:
        folded = unicodedata.normalize("NFKC", chr(code))
        if len(folded) == 1 and chr(code) not in KEPT_FULL_WIDTH:
            table[code] = ord(folded)
    for code in range(0x10000):
        category = unicodedata.category(chr(code))
        if category == "Zs" or code == 9:
            table[code] = _SPACE
        elif category in ("Cc", "Cf", "Cs") or 0xFE00 <= code <= 0xFE0F:
            table[code] = _DELETE  # NUL, zero-width, bidi marks, byte-order mark, variation selectors
    for code in (0xFFFE, 0xFFFF, *range(0xE0000, 0xE0080)):
        table[code] = _DELETE
    table[0x200D] = 0x200D  # the joiner inside an emoji
    for code in (10, 11, 12, 13, 0x85, 0x2028, 0x2029):
        table[code] = _LINE
    return table


@compiled
def look_over(
    chars: CodePoints,
    offsets: Offsets,
    high: NDArray[np.int64],
    markup: NDArray[np.bool_],
    spaced: NDArray[np.bool_],
) -> None:
    """Count the characters U+0080–U+00FF of each document; tell whether it shows markup, or spaces between tokens."""
    for i in range(len(offsets) - 1):
        n = 0
        sign = False
        han, parted, runs, singles, run = 0, 0, 0, 0, 0  # a run is hanzi with no space in between
        before = np.uint32(10)
        for k in range(offsets[i], offsets[i + 1]):
            c = chars[k]
            n += (c >= 0x80) & (c <= 0xFF)
            sign |= (c == 38) | (c == 60) | ((c >= 0xFB00) & (c <= 0xFB06))
            if 0x4E00 <= c < 0xA000:
                han += 1
                run += 1
                parted += (before == 32) & (run == 1)
            elif c == 32 or c == 10:
                runs += run > 0
                singles += run == 1
                run = 0
            before = c
        high[i] = n
        markup[i] = sign
        spaced[i] = han >= 6 and 5 * parted >= 2 * han and 5 * (singles + (run == 1)) >= runs + (run > 0)


@compiled
def is_symbol(c: int) -> bool:
    """Tell whether a character may follow a joiner inside an emoji."""
    return (0x2190 <= c < 0x2C00) | (0x1F000 <= c < 0x20000)


@compiled
def is_wide(c: int) -> bool:
    """Tell whether a character is a hanzi or Chinese punctuation: between two of them no space is needed."""
    return (0x4E00 <= c < 0xA000) | (0x3000 <= c < 0x3040) | (0xFF00 <= c < 0xFFF0) | (c in (0x201C, 0x201D, 0x2026))


@compiled
def end_of_fence(chars: CodePoints, start: int, end: int) -> int:
    """Return where the code fence that begins here ends; ``start`` if none does."""
    for k in range(start + 3, end - 2):
        if chars[k] == 96 and chars[k + 1] == 96 and chars[k + 2] == 96:
            return k + 3
    return start


@compiled
def end_of_formula(chars: CodePoints, start: int, end: int) -> int:
    """Return where the formula between dollar signs that begins here ends; ``start`` if it is a sum of money."""
    formula = False
    for k in range(start + 1, min(end, start + 300)):
        c = chars[k]
        if c == 10:
            return start
        if c == 36 and k > start + 1:
            return k + 1 if formula else start
        formula |= (c == 92) | (c == 94) | (c == 95) | (c == 61) | (c == 123)  # \\ ^ _ = {
    return start


@compiled
def fold(
    chars: CodePoints,
    offsets: Offsets,
    table: NDArray[np.uint32],
    keep_layout: bool,
    spaced: NDArray[np.bool_],
    out: CodePoints,
    out_offsets: Offsets,
    changed: NDArray[np.int64],
    composing: NDArray[np.bool_],
) -> None:
    """Map every character through the table; unless layout is kept, collapse spaces and trim lines.

    ``composing`` tells which documents have a combining diacritic (U+0300–U+036F).

    A line break pending is written when the next visible character comes, so no document ends in white space; two
    breaks (an empty line) are kept as one empty line.
    """
    n = 0
    out_offsets[0] = 0
    for i in range(len(offsets) - 1):
        begin = n
        space, breaks = False, 0
        fence, formula, end = offsets[i], offsets[i], offsets[i + 1]  # to where the present ones reach
        for k in range(offsets[i], end):
            c = chars[k]
            to = table[c]
            if c == 96 and k >= fence and k + 2 < end and chars[k + 1] == 96 and chars[k + 2] == 96:
                fence = end_of_fence(chars, k, end)
            elif c == 36 and k >= formula:
                formula = end_of_formula(chars, k, end)
            if (k < fence or k < formula) and to != 0 and to != 10 and to != 32:
                to = c
            if c == 13 and k + 1 < offsets[i + 1] and chars[k + 1] == 10:
                continue  # CRLF is one break
            if c == 0x200D and not (k + 1 < offsets[i + 1] and is_symbol(chars[k + 1])):
                to = np.uint32(0)  # a joiner joins emoji; elsewhere it is invisible dirt
            if to == 0:
                changed[i] += 1
                continue
            if 0x300 <= c <= 0x36F:
                composing[i] = True
            if to != c and to != 10 and to != 32:
                changed[i] += 1
            if keep_layout or (k < fence and n > begin and space is False and breaks == 0):
                out[n] = c if c == 9 else to
                n += 1
            elif to == 32:
                space = True
            elif to == 10:
                breaks += 1
            else:
                if n > begin:
                    for _ in range(min(breaks, 2)):
                        out[n] = 10
                        n += 1
                    if space and breaks == 0:
                        if spaced[i] and is_wide(c) and is_wide(out[n - 1]):
                            changed[i] += 1
                        else:
                            out[n] = 32
                            n += 1
                space, breaks = False, 0
                out[n] = to
                n += 1
        out_offsets[i + 1] = n
