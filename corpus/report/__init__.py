"""What a build says of itself: ``report.json``, ``report.html`` (one file), and the dataset card ``README.md``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.ledger import Ledger
    from corpus.recipe import Recipe
    from corpus.tally import Tally


def write_report(
    out: Path,
    recipe: Recipe,
    steps: Sequence[Mapping[str, Any]],
    results: Mapping[str, Any],
    tally: Tally,
    ledger: Ledger,
    *,
    proxy: bool,
) -> dict[str, float]:
    """Measure a written corpus and write its report in three forms.

    Args:
        out: The corpus folder, ``kept`` and ``rejected`` already in it.
        recipe: The recipe.
        steps: Each step's name, rows in and out, reasons, CPU seconds, by source too.
        results: Totals of the build.
        tally: What was written, added up.
        ledger: What was read, taken and kept.
        proxy: Whether to judge the buckets by models trained on them.

    Returns:
        ``report_cpu_seconds``: what it cost.
    """
    from corpus.report.card import card
    from corpus.report.measure import measure
    from corpus.report.page import page
    from workbench.files import write_json, write_text

    clock = time.process_time()
    report = measure(out, recipe, steps, results, tally, ledger, proxy=proxy)
    write_json(out / "report.json", report)
    write_text(out / "report.html", page(report))
    write_text(out / "README.md", card(report))
    return {"report_cpu_seconds": round(time.process_time() - clock, 3)}
