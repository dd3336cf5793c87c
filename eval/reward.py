"""What a reward model is worth: accuracy by source and axis, calibration, and whether it only counts characters.

A pair is in order if its chosen answer has the higher reward; a tie counts half. Beside it stands what the length alone
would give (the longer answer is the better one), and the accuracy where the chosen answer is the shorter one: a model
that only learnt length is right on the longer and wrong on the shorter. Calibration: sigmoid(r_chosen - r_rejected) is
the model's probability that the label is as it is, so of pairs judged with confidence p a share p should be in order.
Intervals are Wilson's (1927), 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.instructions.rows import Preference
from eval.pairs import batch, hidden_states
from tokenizer.dialogues import Pair

if TYPE_CHECKING:
    import torch

AXES = ("helpful", "honest", "harmless")
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of confidence
Z = 1.959964  # of 95 %


@dataclass(frozen=True)
class Judged:
    """A held-out pair with its rewards."""

    chosen: float
    rejected: float
    chosen_size: int  # characters
    rejected_size: int
    source: str = ""
    axis: str | None = None

    @property
    def right(self) -> float:
        """1 if in order, 0.5 for a tie."""
        return order(self.chosen - self.rejected)


def rewards(model: Any, input_ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return a reward model's numbers in fp32, shape (sequences,): the head's at each sequence's last id.

    Args:
        model: A sequence classifier of one label (``eval.models.load_reward_model``).
        input_ids: Padded on the right, shape (sequences, longest).
        lengths: Ids of each sequence, shape (sequences,).
    """
    import torch

    last = hidden_states(model, input_ids)[torch.arange(len(lengths), device=lengths.device), lengths - 1]
    with torch.autocast(
        last.device.type, enabled=False
    ):  # in bf16 two rewards near 5 would differ by 0.03 or not at all
        found: torch.Tensor = model.score(last.to(next(model.score.parameters()).dtype))[:, 0].float()
    return found


def judge(model: Any, pairs: Sequence[Pair], batch_size: int = 8) -> list[Judged]:
    """Return pairs with a reward model's numbers.

    Args:
        model: The reward model, in evaluation mode; without gradients is the caller's business.
        pairs: The pairs.
        batch_size: Pairs in a forward pass.
    """
    rows, out = model.get_input_embeddings().num_embeddings, []
    for low in range(0, len(pairs), batch_size):
        part = pairs[low : low + batch_size]
        inputs = {key: value.to(model.device) for key, value in batch(part, rows).items()}
        chosen, rejected = rewards(model, inputs["input_ids"], inputs["lengths"]).double().cpu().chunk(2)
        for pair, c, r in zip(part, chosen.tolist(), rejected.tolist(), strict=True):
            row = pair.row
            assert isinstance(row, Preference)
            out.append(Judged(c, r, len(row.chosen), len(row.rejected), row.source, row.axis))
    return out


def order(apart: float) -> float:
    """Return 1 for a positive difference, 0 for a negative, a half for none."""
    return 0.5 if apart == 0 else float(apart > 0)


def wilson(right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share; nan for no data."""
    if n == 0:
        return math.nan, math.nan
    share, extra = right / n, Z * Z / n
    half = Z * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return (share + extra / 2 - half) / (1 + extra), (share + extra / 2 + half) / (1 + extra)


def accuracy(judged: Sequence[Judged]) -> float:
    """Return the share of pairs in order; nan for none."""
    return sum(pair.right for pair in judged) / len(judged) if judged else math.nan


def _share(rights: Sequence[float]) -> dict[str, Any]:
    n = len(rights)
    if not n:
        return {"n": 0, "accuracy": None, "interval": None}
    return {"n": n, "accuracy": sum(rights) / n, "interval": list(wilson(sum(rights), n))}


def calibration(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return bins of confidence with what came true, and the expected calibration error."""
    apart = np.array([pair.chosen - pair.rejected for pair in judged])
    confidence = 1 / (1 + np.exp(-np.abs(apart)))
    rights = np.array([pair.right for pair in judged])
    bins, error = [], 0.0
    for low, high in zip(BINS[:-1], BINS[1:], strict=True):
        inside = (confidence >= low) & ((confidence < high) | (high == BINS[-1]))
        n = int(inside.sum())
        row: dict[str, Any] = {"from": low, "to": high, "n": n, "confidence": None, "accuracy": None}
        if n:
            row |= {"confidence": float(confidence[inside].mean()), "accuracy": float(rights[inside].mean())}
            error += n * abs(row["confidence"] - row["accuracy"])
        bins.append(row)
    return {"bins": bins, "expected_error": error / len(judged) if judged else None}


def length_bias(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return what the length explains: its own accuracy, the correlation, and accuracy by which answer is longer."""
    sizes = np.array([pair.chosen_size - pair.rejected_size for pair in judged], float)
    apart = np.array([pair.chosen - pair.rejected for pair in judged])
    varies = len(judged) > 1 and sizes.std() > 0 and apart.std() > 0
    return {
        "length_only": _share([order(float(size)) for size in sizes]),
        "correlation": float(np.corrcoef(sizes, apart)[0, 1]) if varies else None,
        "chosen_longer": _share([p.right for p, size in zip(judged, sizes, strict=True) if size > 0]),
        "chosen_shorter": _share([p.right for p, size in zip(judged, sizes, strict=True) if size < 0]),
    }


def report(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the report of held-out pairs, for JSON; ``told`` are its lines for people."""
    sources = sorted({pair.source for pair in judged})
    out: dict[str, Any] = {
        "all": _share([pair.right for pair in judged]),
        "sources": {name: _share([p.right for p in judged if p.source == name]) for name in sources},
        "axes": {axis: _share([p.right for p in judged if p.axis == axis]) for axis in AXES},
        "calibration": calibration(judged),
        "length": length_bias(judged),
        "mean_reward": float(np.mean([[p.chosen, p.rejected] for p in judged])) if judged else None,
    }
    lines = {f"source {name or '(unnamed)'}": share for name, share in out["sources"].items()}
    lines |= {f"axis {axis}": share for axis, share in out["axes"].items()}
    bias = out["length"]
    lines |= {"length alone": bias["length_only"], "chosen shorter": bias["chosen_shorter"]}
    told = [["held-out pairs", *_words(out["all"])], *([name, *_words(share)] for name, share in lines.items())]
    error, r = out["calibration"]["expected_error"], bias["correlation"]
    told.append(["calibration error", "no data" if error is None else f"{error:.3f}", "|confidence - accuracy|, mean"])
    told.append(["reward and length", "no data" if r is None else f"r = {r:+.2f}", "correlation of the differences"])
    return {**out, "told": told}


def _words(share: dict[str, Any]) -> tuple[str, str]:
    if not share["n"]:
        return "no data", ""
    low, high = share["interval"]
    return f"{share['accuracy']:.3f}", f"in order, 95 % interval {low:.3f} to {high:.3f}, {share['n']:,} pairs"
