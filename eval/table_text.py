"""The benchmark table as Markdown and as CSV.

Markdown is padded, so that it reads on a terminal as it does in a document: **bold** is the best comparable figure,
(brackets) hold one that is not comparable, with the number of its reason. CSV comes twice: wide, a row a model, for a
spreadsheet; and long, a row a figure with everything known of it.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence

from eval.bilingual import plain
from eval.published import NOT_STATED, Row
from eval.table import Cell, Table, number

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MARKS = re.compile(r"([\\`*_\[\]<>|~])")
_FORMULA = ("=", "+", "-", "@")  # a spreadsheet would run a text that begins so


def markdown(found: Table) -> str:
    """Return the table, its reasons, sources and protocols as Markdown."""
    keys = _source_keys(found)
    head = ["Model", "Kind", *(f"{b.name} ({b.shots}-shot)" for b in found.benchmarks), "Source"]
    body = [
        [
            _name(row),
            escape_markdown("/".join(row.kinds)),
            *(_cell(found, cells, b.id) for b in found.benchmarks),
            ", ".join(keys[source] for source in row.sources),
        ]
        for row, cells in found.rows
    ]
    numeric = [False, False, *(True for _ in found.benchmarks), False]
    lines = [
        *_grid(head, body, numeric),
        "",
        "**bold**: the best among comparable figures (base models, by the header's shots). "
        "(brackets): not comparable with its column. –: no figure.",
    ]
    if found.footnotes:
        lines += ["", "Not comparable because:", ""]
        lines += [f"{n}. {escape_markdown('; '.join(t.en for t in why))}" for n, why in enumerate(found.footnotes, 1)]
    lines += ["", "Sources:", ""]
    for name, key in keys.items():
        source = found.published.sources.get(name)
        text = f"{source.title}, {source.address} ({source.checked.en})" if source else name
        lines.append(f"- {key}: {escape_markdown(text)}")
    lines += ["", "Protocols:", ""]
    lines += [f"- {escape_markdown(line)}" for line in _protocols(found)]
    notes = [f"- {escape_markdown(row.model)}: {escape_markdown(row.note.en)}" for row, _ in found.rows if row.note]
    if notes:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines) + "\n"


def wide_csv(found: Table) -> str:
    """Return a row a model; a figure that is not there is empty."""
    head = ["model", "origin", "kind", *(b.name for b in found.benchmarks), "source"]
    body = [
        [
            row.model,
            row.origin,
            "/".join(row.kinds),
            *(number(cells[b.id].figure.value) if b.id in cells else "" for b in found.benchmarks),
            "; ".join(row.sources),
        ]
        for row, cells in found.rows
    ]
    return _csv(head, body)


def long_csv(found: Table) -> str:
    """Return a row a figure, with all that is known of it."""
    head = ["model", "origin", "benchmark", "value", "kind", "shots", "protocol", "source", "split", "n", "stderr"]
    body = []
    for row, cells in found.rows:
        for benchmark in found.benchmarks:
            if benchmark.id not in cells:
                continue
            cell = cells[benchmark.id]
            figure = cell.figure
            shots = NOT_STATED if figure.shots is None else str(figure.shots)
            known = [figure.kind or NOT_STATED, shots, figure.protocol, figure.source]
            taken = ["" if x is None else str(x) for x in (figure.split, figure.items, figure.stderr)]
            marks = ["yes" if cell.comparable else "no", "yes" if cell.best else "no"]
            why = "; ".join(reason.en for reason in cell.why_not)
            body.append([row.model, row.origin, benchmark.name, number(figure.value), *known, *taken, *marks, why])
    return _csv([*head, "comparable", "best", "why_not"], body)


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it stands."""
    return _MARKS.sub(r"\\\1", plain(text))


def width(text: str) -> int:
    """Return how many columns a terminal gives a text: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def _name(row: Row) -> str:
    return escape_markdown(row.model) + {"added": " (added)", "own": " (own)"}.get(row.origin, "")


def _cell(found: Table, cells: Mapping[str, Cell], benchmark: str) -> str:
    if benchmark not in cells:
        return "–"
    cell = cells[benchmark]
    text, note = number(cell.figure.value), found.footnote(cell)
    if note is not None:
        return f"({text}){str(note).translate(_SUPERSCRIPT)}"
    return f"**{text}**" if cell.best else text


def _source_keys(found: Table) -> dict[str, str]:
    names = dict.fromkeys(source for row, _ in found.rows for source in row.sources)
    return {name: f"S{n}" for n, name in enumerate(names, 1)}


def _protocols(found: Table) -> list[str]:
    used = dict.fromkeys(cell.figure.protocol for _, cells in found.rows for cell in cells.values())
    about = found.published.protocols
    return [f"{name}: {about[name].en}" if name in about else f"{name} (own run)" for name in used]


def _grid(head: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    wide = [max(width(line[n]) for line in (head, *body)) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        parts = []
        for text, columns, right in zip(cells, wide, numeric, strict=True):
            space = " " * (columns - width(text))
            parts.append(space + text if right else text + space)
        return f"| {' | '.join(parts)} |"

    rule = ["-" * (n - 1) + (":" if right else "-") for n, right in zip(wide, numeric, strict=True)]
    return [line(head), line(rule), *(line(cells) for cells in body)]


def _csv(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_safe(cell) for cell in row] for row in body)
    return out.getvalue()


def _safe(cell: str) -> str:
    text = plain(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
