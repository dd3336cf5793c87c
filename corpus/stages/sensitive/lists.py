"""Word lists: what is looked for, in which category, and how far a list is believed.

A list is ``<category>.txt``, UTF-8, one term a line, an optional weight after a tab, ``#`` before a comment. The
shipped ones are short and chosen for what they cannot also mean: they are believed. A user's lists are usually large
and over-broad (政府, 月经): a term of theirs without a weight weighs what it tells in this corpus (``information``); a
weight that is written out is believed.

``allow.txt`` names what is no hit: domains (a label that contains the word; ``*`` is all), a tab, terms. An allowed
term that contains a listed one covers it: 出口交易 hides the middle of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.stages.sensitive.match import squeezed
from corpus.stages.sensitive.spelled import spelled
from workbench.errors import InputError

SHIPPED = Path(__file__).parent.parent / "data" / "sensitive"
ALLOW = "allow.txt"
EVERYWHERE = "*"  # the word for every domain in allow.txt
ALLOWED = ""  # the category of terms that only cover others
MIN_ASCII_CHARS = 4  # of a term without a hanzi: shorter ones are in every web address


@dataclass(frozen=True)
class Term:
    """One thing to look for."""

    text: str  # squeezed: letters, digits and hanzi, lower case
    category: str
    weight: float | None  # None: as much as it tells in the corpus
    spelled: bool = False  # a form of a listed term in pinyin


@dataclass(frozen=True)
class Lexicon:
    """All terms, each once, and the domains in which some are allowed."""

    terms: tuple[Term, ...]
    allowed: tuple[tuple[str, str], ...]  # (word of a domain's label or *, squeezed term)

    @property
    def categories(self) -> tuple[str, ...]:
        """Return the names of the categories, sorted."""
        return tuple(sorted({term.category for term in self.terms} - {ALLOWED}))


def read_lexicon(lists: Path | None, shipped: bool, min_chars: int, *, pinyin: bool = False) -> Lexicon:
    """Read the shipped lists and a user's.

    Args:
        lists: A folder of ``<category>.txt``, or None.
        shipped: Whether the shipped lists count.
        min_chars: Terms shorter than this (of four letters or digits, if they have no hanzi) are left out.
        pinyin: Whether terms spelled in pinyin are looked for too.

    Raises:
        InputError: If a folder has no list, a file is not UTF-8, a weight is no number, or there is no term at all.
    """
    folders = ([(SHIPPED, 1.0)] if shipped else []) + ([(Path(lists), None)] if lists is not None else [])
    chosen: dict[str, Term] = {}
    allowed: list[tuple[str, str]] = []
    for folder, weight in folders:
        for term in _read_folder(folder, weight):
            shortest = MIN_ASCII_CHARS if term.text.isascii() else 2
            if len(term.text) >= max(min_chars, shortest):
                chosen.setdefault(term.text, term)  # the shipped lists come first
        if (folder / ALLOW).is_file():
            allowed += _read_allowed(folder / ALLOW)
    if not chosen:
        place, remedy = lists or "sensitive", "write one term a line in <category>.txt, or leave shipped on"
        raise InputError(place, "there is no term to look for", remedy)
    for _, text in allowed:
        if len(text) >= 2:
            chosen.setdefault(text, Term(text, ALLOWED, 0.0))
    for term in list(chosen.values()) if pinyin else ():
        for form in spelled(term.text) if term.category != ALLOWED else ():
            chosen.setdefault(form, Term(form, term.category, term.weight, spelled=True))
    return Lexicon(tuple(chosen.values()), tuple(allowed))


def _read_folder(folder: Path, weight: float | None) -> Iterator[Term]:
    files = sorted(file for file in folder.glob("*.txt") if file.name != ALLOW)
    if not files:
        found = "has no .txt file" if folder.is_dir() else "no such folder"
        raise InputError(folder, found, "name a folder of lists <category>.txt, one term a line")
    for file in files:
        for line, text in _lines(file):
            word, tab, number = text.partition("\t")
            own = weight
            if tab and number.strip():
                own = _weight(number.strip(), f"{file}:{line}")
            if squeezed(word):
                yield Term(squeezed(word), file.stem, own)


def _read_allowed(file: Path) -> Iterator[tuple[str, str]]:
    for line, text in _lines(file):
        domains, tab, words = text.partition("\t")
        if not tab:
            raise InputError(f"{file}:{line}", f"{text[:20]!r} has no tab", "write domains, a tab, terms")
        for domain in domains.replace(",", " ").split():
            for word in words.replace(",", " ").split():
                yield domain, squeezed(word)


def _lines(file: Path) -> Sequence[tuple[int, str]]:
    """Return the lines that say something, with their numbers."""
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(file, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [(n, line) for n, line in enumerate(lines, 1) if line]


def _weight(text: str, place: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise InputError(place, f"the weight {text!r} is no number from 0 up", "write term, tab, weight, as in 裸聊\t1")
    return weight
