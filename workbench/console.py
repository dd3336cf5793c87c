"""What a person sees: notes and progress on stderr, tables and JSON on stdout.

With a terminal, bars; without one, plain lines, at most one every few seconds. Widths count Chinese as two columns
(rich does). ``rich`` is imported at first use: 70 ms that ``--help`` need not pay.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_SECONDS = 5.0  # between two plain progress lines


def note(text: str) -> None:
    """Say one line on stderr."""
    print(text, file=sys.stderr, flush=True)


def emit_json(value: object) -> None:
    """Print a value as JSON on stdout, Chinese readable."""
    print(json.dumps(value, ensure_ascii=False, indent=1), flush=True)


def stdout_console() -> Console:
    """Return rich's console on stdout; without a terminal as wide as its content needs."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, emoji=False, markup=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Print a table on stdout; numbers to the right, floats with at most four significant places after the point.

    Args:
        columns: The names over the columns.
        rows: One sequence of cells a row, as many as there are columns.
        title: A line above the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    numeric = [all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(columns))]
    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        grid.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(format_cell(cell)) for cell in row))
    stdout_console().print(grid)


def format_cell(value: object) -> str:
    """Return a cell's text: thousands separated, floats short, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def clock(seconds: float) -> str:
    """Return a duration as a person reads it: 3 h 07 min, 2 min 05 s, 40 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress(Protocol):
    """A running count."""

    def advance(self, amount: float = 1, text: str | None = None) -> None:
        """Count more work done, and optionally say where it is."""


class _Plain:
    """Progress without a terminal: a line every few seconds and one at the end."""

    def __init__(self, name: str, total: float | None, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.text = 0.0, ""
        self.started = self.said = time.monotonic()

    def advance(self, amount: float = 1, text: str | None = None) -> None:
        self.done += amount
        self.text = text or self.text
        if time.monotonic() - self.said >= PLAIN_SECONDS:
            self.said = time.monotonic()
            self.say()

    def say(self) -> None:
        share = f" of {self.total:,.0f}" if self.total else ""
        seconds = time.monotonic() - self.started
        note(f"{self.name}: {self.done:,.0f}{share} {self.unit} in {seconds:.0f} s {self.text}".rstrip())


class _Bar:
    """Progress on a terminal, drawn by rich."""

    def __init__(self, name: str, total: float | None, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}" + (f" of {total:,.0f} " if total else " ") + unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self.live = Progress(*columns, console=Console(stderr=True))
        self.task = self.live.add_task(name, total=total, text="")

    def advance(self, amount: float = 1, text: str | None = None) -> None:
        if text is None:
            self.live.update(self.task, advance=amount)
        else:
            self.live.update(self.task, advance=amount, text=text)


class Unseen:
    """Progress that another process shows."""

    def advance(self, amount: float = 1, text: str | None = None) -> None:
        """Show nothing."""


@contextmanager
def progress(name: str, total: float | None = None, unit: str = "", *, shown: bool = True) -> Iterator[Progress]:
    """Show how far a piece of work is.

    Args:
        name: What is being done.
        total: How much there is, None if unknown.
        unit: What is counted.
        shown: Whether by this process.

    Yields:
        The counter to advance.
    """
    if not shown:
        yield Unseen()
    elif sys.stderr.isatty():
        bar = _Bar(name, total, unit)
        with bar.live:
            yield bar
    else:
        plain = _Plain(name, total, unit)
        yield plain
        if time.monotonic() - plain.started >= 1:  # what took no time needs no line
            plain.say()
