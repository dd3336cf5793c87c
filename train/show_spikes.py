"""``train spikes RUN``: the spikes of a run, and with a corpus the texts of their batches, so that a person can look.

Cost: the metrics, and a scan of the corpus's id column.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from train import metrics
from workbench.console import table
from workbench.errors import InputError
from workbench.manifest import read

EXCERPT = 200  # characters of a text


def spikes_of(run: Path) -> list[dict[str, Any]]:
    """Return the spikes in a run's metrics, in order.

    Raises:
        InputError: If the folder is no run.
    """
    return [row["spike"] for row in metrics.read(run) if "spike" in row]


def texts_of(corpus: Path, ids: Iterable[str]) -> dict[str, str]:
    """Return the texts of documents of a corpus by id; those it does not have are left out.

    Raises:
        InputError: If the folder is no corpus.
    """
    import polars as pl

    read(corpus, "corpus", "corpus build --src NAME")
    parts = sorted((corpus / "kept").glob("bucket=*/part-*.parquet"))
    if not parts:
        raise InputError(corpus, "has no kept documents", "name the corpus that was packed")
    wanted = pl.scan_parquet(parts, hive_partitioning=False).select("id", "text").filter(pl.col("id").is_in(list(ids)))
    return dict(wanted.collect().iter_rows())


def print_spikes(run: Path, spikes: list[dict[str, Any]], texts: dict[str, str] | None) -> None:
    """Print the spikes as a table, and the texts below it if there are any."""
    rows = [
        (s["step"], s["cause"], s["value"], s["expected"], s["deviations"], s["action"], len(s["documents"]))
        for s in spikes
    ]
    title = f"{len(spikes)} spikes of {run}" if spikes else f"{run} had no spike"
    table(("step", "cause", "value", "expected", "deviations", "done", "documents"), rows, title=title)
    for spike in spikes if texts is not None else []:
        found = [(name, _short((texts or {}).get(name, "(not in this corpus)"))) for name in spike["documents"]]
        table(("document", "text"), found, title=f"step {spike['step']}")


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= EXCERPT else f"{flat[:EXCERPT]}… ({len(text):,} characters)"
