"""What a build says of itself: ``report.json``, ``report.html`` (one file), and the dataset card ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus.report.card import card
from corpus.report.measure import measure
from corpus.report.page import page
from workbench.files import write_json, write_text


def write_report(out: Path, recipe: str, steps: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> None:
    """Measure a written corpus and write its report in three forms.

    Args:
        out: The corpus folder, ``kept`` and ``rejected`` already in it.
        recipe: The recipe's name.
        steps: Each step's name, rows in and out, reasons, CPU seconds.
        results: Totals of the build.
    """
    report = measure(out, recipe, steps, results)
    write_json(out / "report.json", report)
    write_text(out / "report.html", page(report))
    write_text(out / "README.md", card(report))
