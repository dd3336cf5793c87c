"""``curves.html``: the curves of one or several runs over tokens, in one file without scripts or links.

Loss, gradient norm, learning rate and TFLOP/s; a red dot is a spike (its text shows under the pointer), a grey line a
restart or a stop. ``train curves RUN [RUN …] --out FILE`` lays runs over one another. Cost: 20 ms for 1,000 steps.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import write_text
from workbench.runs import metrics
from workbench.runs.curves import PANELS

NAME = "curves.html"
COLOURS = ("#1f6fb2", "#d9730d", "#2b8a3e", "#7048a8", "#a61e4d", "#5c5f66")
WIDE, HIGH, LEFT, BASE = 600, 260, 62, 28  # of a panel, and its margins for the axes
MOST_POINTS = 2000  # of a line: more than there are pixels
PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body{{font:14px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;margin:2em;max-width:1280px}}
svg{{width:600px;max-width:100%;margin:4px}} text{{font-size:11px;fill:#555}} i{{display:inline-block;width:1.4em;
height:.25em;vertical-align:middle;margin-right:.4em}} span{{margin-right:1.5em}}</style>
<h1>{title}</h1><p>{legend}</p>{panels}<p>Over tokens. Red: a loss spike. Grey: a stop or a restart.</p>
"""


def write_html(runs: Sequence[Path], path: Path, panels: Sequence[tuple[str, str]] = PANELS) -> Path:
    """Write the page.

    Args:
        runs: Folders with a ``metrics.jsonl``.
        path: The file to write.
        panels: Key and label of each.

    Raises:
        InputError: If one is no run, or has no step yet.
    """
    rows = [metrics.read(run) for run in runs]
    for run, found in zip(runs, rows, strict=True):
        if not any("lr" in row for row in found):
            raise InputError(run / metrics.NAME, "holds no step", "train first")
    names = [html.escape(run.resolve().name) for run in runs]
    legend = [f'<span><i style="background:{_colour(n)}"></i>{name}</span>' for n, name in enumerate(names)]
    drawn = [_panel(rows, key, label) for key, label in panels]
    write_text(path, PAGE.format(title=" · ".join(names), legend="".join(legend), panels="".join(drawn)))
    return path


def _colour(n: int) -> str:
    return COLOURS[n % len(COLOURS)]


def _panel(runs: Sequence[list[dict[str, Any]]], key: str, label: str) -> str:
    lines = [[(r["tokens"], r[key]) for r in rows if "lr" in r and r.get(key) is not None] for rows in runs]
    xs, ys = [x for line in lines for x, _ in line], [y for line in lines for _, y in line]
    if not ys:
        return ""
    right, low, high = max(xs), min(ys), max(ys)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / right * (WIDE - LEFT - 10), HIGH - BASE - (y - low) / (high - low) * (HIGH - BASE - 24)

    out = [f'<text x="{LEFT}" y="14" style="font-weight:600">{label}</text>']
    for n in range(5):
        value = low + n * (high - low) / 4
        y = at(0, value)[1]
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDE - 10}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        x, anchor = at(n * right / 4, low)[0], "end" if n == 4 else "middle"
        out.append(f'<text x="{x:.1f}" y="{HIGH - 8}" text-anchor="{anchor}">{_tokens(n * right / 4)}</text>')
    for number, (rows, line) in enumerate(zip(runs, lines, strict=True)):
        for row in rows:
            said = html.escape("; ".join(row.get("events", ())))
            x = at(row.get("tokens", 0), low)[0]
            if said and "spike" not in row:
                out.append(f'<path d="M{x:.1f} 24V{HIGH - BASE}" stroke="#999"><title>{said}</title></path>')
        points = line[:: math.ceil(len(line) / MOST_POINTS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        out.append(f'<polyline points="{path}" fill="none" stroke="{_colour(number)}" stroke-width="1.3"/>')
        for row in rows:
            if "spike" in row and row.get(key) is not None:
                x, y = at(row["tokens"], row[key])
                said = html.escape(row["events"][-1])
                out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#e03131"><title>{said}</title></circle>')
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img">{"".join(out)}</svg>'


def _tokens(x: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if x >= size:
            return f"{x / size:.3g}{unit}"
    return f"{x:.0f}"
