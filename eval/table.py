"""The benchmark table: own rows beside published ones, the best among comparable figures marked.

A column is a statement of kind and shots: base models, by the header's number of examples. A figure of another kind,
of other or unstated shots, of part of the items or in another format is not comparable with it: it is shown in grey
with the reason, and never bold. The protocol (prompts, harness) is shown and does not decide, since the published
figures themselves come from several. Cost: under 1 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.bilingual import Text
from eval.published import NOT_STATED, Benchmark, Figure, Published, Row

REFERENCE_KIND = "base"


@dataclass(frozen=True)
class Cell:
    """A figure in its column."""

    figure: Figure
    why_not: tuple[Text, ...]  # why it is not comparable; empty if it is
    best: bool

    @property
    def comparable(self) -> bool:
        """Whether it is of the column's kind and shots."""
        return not self.why_not


@dataclass(frozen=True)
class Table:
    """The rows with their cells by benchmark id, and the reasons numbered as footnotes."""

    published: Published
    rows: tuple[tuple[Row, Mapping[str, Cell]], ...]
    footnotes: tuple[tuple[Text, ...], ...]

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """The columns."""
        return self.published.benchmarks

    def footnote(self, cell: Cell) -> int | None:
        """Return the number of a cell's reason, from 1; None for a comparable one."""
        return None if cell.comparable else self.footnotes.index(cell.why_not) + 1


def table(published: Published, own: Sequence[Row] = ()) -> Table:
    """Compare published and own rows.

    Args:
        published: The published rows.
        own: Rows of ``own_row``; they stand below.
    """
    rows = [*published.rows, *own]
    best = {b.id: _best(b, rows) for b in published.benchmarks}
    out, footnotes = [], dict[tuple[Text, ...], None]()
    for row in rows:
        cells = {}
        for benchmark in published.benchmarks:
            if benchmark.id in row.figures:
                figure = row.figures[benchmark.id]
                why = why_not(figure, benchmark)
                cells[benchmark.id] = Cell(figure, why, not why and figure.value == best[benchmark.id])
                if why:
                    footnotes.setdefault(why)
        out.append((row, cells))
    return Table(published, tuple(out), tuple(footnotes))


def why_not(figure: Figure, benchmark: Benchmark) -> tuple[Text, ...]:
    """Return why a figure is not comparable with its column, nothing if it is."""
    return (*_kind_differs(figure.kind), *_shots_differ(figure.shots, benchmark.shots), *figure.differs)


def _kind_differs(kind: str | None) -> list[Text]:
    if kind is None:
        return [Text("kind not stated", "未注明是基座还是对话模型")]
    return [] if kind == REFERENCE_KIND else [Text("a chat model, not a base", "对话模型，非基座")]


def _shots_differ(shots: int | None, wanted: int) -> list[Text]:
    if shots is None:
        return [Text(f"shots {NOT_STATED}", "样例数未注明")]
    return [] if shots == wanted else [Text(f"{shots}-shot, not {wanted}-shot", f"{shots} 样例，非 {wanted} 样例")]


def _best(benchmark: Benchmark, rows: Sequence[Row]) -> float | None:
    figures = (row.figures[benchmark.id] for row in rows if benchmark.id in row.figures)
    return max((figure.value for figure in figures if not why_not(figure, benchmark)), default=None)


def number(value: float) -> str:
    """Return a percentage as published: one place after the point, two where there are two."""
    return f"{value:.1f}" if round(value, 2) == round(value, 1) else f"{value:.2f}"


def shots_text(shots: int | None) -> str:
    """Return ``5-shot``, or ``not stated``."""
    return NOT_STATED if shots is None else f"{shots}-shot"


def as_dict(found: Table) -> dict[str, Any]:
    """Return the table for JSON: rows × benchmarks, each figure with kind, shots, protocol and source."""
    return {
        "benchmarks": [{"id": b.id, "name": b.name, "shots": b.shots} for b in found.benchmarks],
        "rows": [
            {
                "model": row.model,
                "origin": row.origin,
                "kind": " / ".join(row.kinds),
                "note": row.note and row.note.as_dict(),
                "figures": {b.id: _cell(cells[b.id]) if b.id in cells else None for b in found.benchmarks},
            }
            for row, cells in found.rows
        ],
        "sources": {
            s.id: {"title": s.title, "address": s.address, "checked": s.checked.as_dict()}
            for s in found.published.sources.values()
        },
        "protocols": {name: about.as_dict() for name, about in found.published.protocols.items()},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    figure = cell.figure
    return {
        "value": figure.value,
        "kind": figure.kind or NOT_STATED,
        "shots": NOT_STATED if figure.shots is None else figure.shots,
        "protocol": figure.protocol,
        "source": figure.source,
        "n": figure.items,
        "stderr": figure.stderr,
        "split": figure.split,
        "comparable": cell.comparable,
        "why_not": [reason.en for reason in cell.why_not],
        "best": cell.best,
    }
