"""``train spikes RUN``: the spikes of a run, and with a corpus the texts of their batches, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.console import table
from workbench.runs import metrics

EXCERPT = 200  # characters of a text


@dataclass(frozen=True)
class Spike:
    """One event."""

    step: int
    cause: Literal["loss", "grad_norm"]
    value: float
    expected: float  # the trend's
    deviations: float
    action: str
    samples: tuple[int, int]  # of the order of the data, from and up to
    documents: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"spike at step {self.step}: {self.cause} {self.value:.4g}, expected {self.expected:.4g}"
            f" ({self.deviations:.1f} deviations): {self.action}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**self.__dict__, "samples": list(self.samples), "documents": list(self.documents)}


def spikes_of(run: Path) -> list[dict[str, Any]]:
    """Return the spikes in a run's metrics, in order.

    Raises:
        InputError: If the folder is no run.
    """
    return [row["spike"] for row in metrics.read(run) if "spike" in row]


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
