"""``curves.png``: loss, gradient norm, learning rate and TFLOP/s over tokens, from ``metrics.jsonl`` alone.

Where there is an event (a resume, a stop) a grey line stands; what is scored on held-out data during the run goes to
the loss's panel, on its own axis. Cost: 1.5 s, most of it matplotlib's import.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import atomic_path
from workbench.runs import metrics
from workbench.runs.summary import SCORES

NAME = "curves.png"
PANELS = (
    ("loss", "loss"),
    ("grad_norm", "gradient norm"),
    ("lr", "learning rate"),
    ("tflops", "model TFLOP/s a device"),
)
PAIR_PANELS = (*PANELS, ("pair_accuracy", "pairs in order"), ("reward_margin", "reward, chosen - rejected"))
DRAWN_PANELS = (
    ("reward", "reward: mean score of the answers"),
    ("kl", "KL to the reference (nats an answer)"),
    ("entropy", "entropy (nats a token)"),
    ("clip_share", "share of tokens held back by the clip"),
    ("value_loss", "value loss"),
    ("explained_variance", "explained variance of the values"),
    ("length", "length of answers (tokens)"),
    ("grad_norm", "gradient norm"),
)


def draw(folder: Path, panels: Sequence[tuple[str, str]] = PANELS) -> Path:
    """Draw the curves of a run.

    Args:
        folder: The run.
        panels: Key and label of each, an even number.

    Returns:
        The path of the picture.

    Raises:
        InputError: If the run has no step yet.
    """
    rows = metrics.read(folder)
    steps = [row for row in rows if "lr" in row]
    if not steps:
        raise InputError(folder / metrics.NAME, "holds no step", "train first")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    lines = len(panels) // 2
    figure, axes = pyplot.subplots(lines, 2, figsize=(11, 3.5 * lines), layout="constrained")
    for axis, (key, label) in zip(axes.flat, panels, strict=True):
        _panel(axis, steps, key, label)
    for key in [key for key in SCORES if rows[0].get(key) is not None][:1]:
        scored = [row for row in rows if row.get(key) is not None]
        other = axes.flat[0].twinx()
        other.plot([r.get("tokens", 0) for r in scored], [r[key] for r in scored], "o", color="tab:orange")
        other.set_ylabel(f"{SCORES[key][0]}, held out", color="tab:orange")
        other.set_ylim(bottom=0)
    figure.suptitle(folder.name)
    with atomic_path(folder / NAME) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    pyplot.close(figure)
    return folder / NAME


def _panel(axis: Any, rows: list[dict[str, Any]], key: str, label: str) -> None:
    from matplotlib.ticker import EngFormatter

    points = [(row["tokens"], row[key]) for row in rows if row.get(key) is not None]
    axis.plot([x for x, _ in points], [y for _, y in points], linewidth=1)
    for row in rows:
        if row.get("events"):
            axis.axvline(row["tokens"], color="0.7", linewidth=0.8)
    axis.set_xlabel("tokens")
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
