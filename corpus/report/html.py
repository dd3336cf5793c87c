"""The parts every page of ours is made of: escaped text, tables, bars, one self-contained file.

A page has no script and no address outside, and says so to the browser (Content-Security-Policy), so a hostile title is
shown, not run. Light and dark, wide and narrow are the style sheet's; Chinese is set in Chinese faces (``lang`` picks
them). Whatever comes from documents goes through ``text``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from workbench.console import format_cell

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Html(str):
    """Text that is HTML already; a cell of it is not escaped."""

    __slots__ = ()


@cache
def style() -> str:
    """Return the style sheet of every page."""
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def page(title: str, lead: str, sections: Iterable[tuple[str, str, str]], figures: str = "") -> str:
    """Return a whole page.

    Args:
        title: Its heading.
        lead: A line below it.
        sections: Anchor, heading and HTML of each.
        figures: HTML before the first section.
    """
    parts = list(sections)
    links = [f"<a href='#{anchor}'>{escape(heading)}</a>" for anchor, heading, _ in parts]
    nav = f"<nav>{''.join(links)}</nav>" if len(links) > 1 else ""
    body = "\n".join(f"<h2 id='{anchor}'>{escape(heading)}</h2>{html}" for anchor, heading, html in parts)
    return (
        "<!doctype html><html lang='zh-CN'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>研墨 · {escape(title)}</title><style>{style()}</style></head><body>"
        f"<h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p>{figures}\n"
        f"{nav}\n{body}\n</body></html>\n"
    )


def text(value: object) -> str:
    """Return a value as HTML text: escaped, numbers grouped and with a true minus sign, None a dash."""
    if isinstance(value, Html):
        return value
    shown = escape(format_cell(value))
    return shown.replace("-", "−") if isinstance(value, int | float) else shown


def figures(entries: Sequence[tuple[str, object]]) -> str:
    """Return the large numbers at the top."""
    return "<div class='figures'>" + "".join(f"<div><b>{text(v)}</b>{escape(k)}</div>" for k, v in entries) + "</div>"


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, sums: Sequence[int] = ()) -> str:
    """Return a table.

    Args:
        rows: Values by column; a column that no row has is left out.
        columns: The heading of each column, in order.
        sums: Numbers of the rows that are set in bold.
    """
    shown = [name for name in columns if any(name in row for row in rows)]
    numeric = {name for name in shown if all(_is_number(row.get(name)) for row in rows)}
    head = "".join(f"<th{' class=n' if name in numeric else ''}>{escape(columns[name])}</th>" for name in shown)
    lines = []
    for n, row in enumerate(rows):
        cells = "".join(f"<td{' class=n' if name in numeric else ''}>{text(row.get(name))}</td>" for name in shown)
        lines.append(f"<tr{' class=sum' if n in sums else ''}>{cells}</tr>")
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float | Share)


class Share(Html):
    """A number that is set as a percentage, to the right."""

    __slots__ = ()


def percent(value: float | None, digits: int = 1) -> Html:
    """Return a share as a percentage cell."""
    return Share("–" if value is None else f"{100 * value:.{digits}f} %".replace("-", "−"))


def bar(share: float) -> Html:
    """Return a bar that is filled to a share of its length."""
    return Html(
        f"<span class='track'><span class='share' style='width:{100 * min(1, max(0, share)):.2f}%'></span></span>"
    )


def details(summary: str, html: str, *, opened: bool = False) -> str:
    """Return something that folds.

    Args:
        summary: Plain text.
        html: What is inside.
        opened: Whether it begins unfolded.
    """
    return f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{html}</details>"


def document(label: Sequence[object], body: str) -> str:
    """Return a document's beginning below what is known of it; whatever is None or empty is left out."""
    known = " · ".join(escape(format_cell(one)) for one in label if one is not None and one != "")
    return f"<div class='doc'><div>{known}</div><div class='text'>{escape(body)}</div></div>"
