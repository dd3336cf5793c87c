"""What is known of a benchmark: what it measures, its sizes, paper, code, verdict and faults, in English and Chinese.

The cards are data (``data/cards.yaml``), checked when they are read; each fault names its source. Cost: 30 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.bilingual import Text
from eval.checked import Checked, unique

SHIPPED = Path(__file__).parent / "data" / "cards.yaml"
COUNTED = "counted"


@dataclass(frozen=True)
class Size:
    """A split, its items, and what it is for."""

    split: str
    items: int
    use: Text
    counted: bool  # in the official files; otherwise as the paper states it


@dataclass(frozen=True)
class Paper:
    """Where a benchmark was published."""

    title: str
    year: int
    arxiv: str


@dataclass(frozen=True)
class Fault:
    """What is wrong, or to be known, and who found it."""

    text: Text
    source: str


@dataclass(frozen=True)
class Card:
    """A benchmark."""

    id: str
    name: Text
    measures: Text
    sizes: tuple[Size, ...]
    paper: Paper | None  # None: this project's own selection
    code: str | None
    shots: int
    verdict: Text
    faults: tuple[Fault, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the card for JSON."""
        return {
            "id": self.id,
            "name": self.name.as_dict(),
            "measures": self.measures.as_dict(),
            "sizes": [
                {"split": s.split, "items": s.items, "use": s.use.as_dict(), "counted": s.counted} for s in self.sizes
            ],
            "paper": None if self.paper is None else vars(self.paper),
            "code": self.code,
            "shots": self.shots,
            "verdict": self.verdict.as_dict(),
            "faults": [{**fault.text.as_dict(), "source": fault.source} for fault in self.faults],
        }


def cards(path: Path = SHIPPED) -> dict[str, Card]:
    """Return the cards by id.

    Args:
        path: A file of the form of ``data/cards.yaml``.

    Raises:
        ConfigError: If a key is missing, unknown or wrong; the line names file, key, finding and remedy.
    """
    root = Checked.root(path)
    entries = root.entries("cards")
    unique(entries)
    root.done()
    found = map(_card, entries)
    return {card.id: card for card in found}


def _card(entry: Checked) -> Card:
    paper = entry.inner("paper") if entry.has("paper") else None
    shots = entry.whole("shots")
    if shots is None:
        entry.fail("shots", "is missing", "write the standard number of shots")
    card = Card(
        id=entry.text("id"),
        name=entry.words("name"),
        measures=_both(entry, "measures"),
        sizes=tuple(map(_size, entry.entries("sizes", named="split"))),
        paper=None if paper is None else _paper(paper),
        code=entry.text("code") if entry.has("code") else None,
        shots=shots,
        verdict=_both(entry, "verdict"),
        faults=tuple(map(_fault, entry.entries("faults", named="source"))),
    )
    entry.done()
    return card


def _both(entry: Checked, key: str) -> Text:
    found = entry.words(key)
    return found if not found.single else entry.fail(key, "is in one language", "write {en: …, zh: …}")


def _size(entry: Checked) -> Size:
    items = entry.whole("items", 1)
    if items is None:
        entry.fail("items", "is missing", "write how many there are")
    counted = entry.choice("from", ("files", "paper"), "files") == "files"
    found = Size(entry.text("split"), items, _both(entry, "use"), counted)
    entry.done()
    return found


def _paper(entry: Checked) -> Paper:
    year = entry.whole("year", 1990)
    if year is None:
        entry.fail("year", "is missing", "write the year of the paper")
    found = Paper(entry.text("title"), year, entry.text("arxiv"))
    entry.done()
    return found


def _fault(entry: Checked) -> Fault:
    source = entry.text("source")
    en, zh = entry.text("en"), entry.text("zh")
    entry.done()
    return Fault(Text(en, zh), source)


def as_text(card: Card) -> str:
    """Return a card to be read on a terminal, each statement in English and below it in Chinese."""
    title = card.name.en if card.name.single else f"{card.name.en} · {card.name.zh}"
    lines = [f"{title}  ({card.id})", ""]
    lines += _statement("measures · 衡量", card.measures)
    lines += ["", "size · 规模"]
    for size in card.sizes:
        stated = "" if size.counted else " (as the paper states · 据论文)"
        lines += [f"  {size.split:<11}{size.items:>7,}  {size.use.en}{stated}", f"{'':22}{size.use.zh}"]
    shots = f"{card.shots}-shot" if card.shots else "0-shot"
    lines += ["", *_statement(f"verdict · 评判, {shots}", card.verdict), ""]
    if card.paper is not None:
        lines.append(f"paper · 论文  {card.paper.title}, {card.paper.year}, arXiv {card.paper.arxiv}")
    if card.code is not None:
        lines.append(f"code · 代码   {card.code}")
    lines += ["", "known faults and notes · 已知缺陷与须知"]
    for fault in card.faults:
        lines += [f"  - {fault.text.en}", f"    {fault.text.zh}", f"    [{_source(fault.source)}]"]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _statement(head: str, text: Text) -> list[str]:
    return [head, f"  {text.en}", f"  {text.zh}"]


_SAID: Mapping[str, str] = {COUNTED: "counted in the official files · 据官方文件统计"}


def _source(source: str) -> str:
    return "; ".join(_SAID.get(part, part) for part in source.split("; "))
