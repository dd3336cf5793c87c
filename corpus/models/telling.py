"""The most telling n-grams of each label: candidates from the training text, ranked by what they do to the model.

Candidates are n-grams of 1 to 3 characters (what the model reads) that are at least twice as frequent under a label as
under the others, those with the highest log-likelihood ratio G² (Dunning 1993). Frequent means in many documents: a
document counts once, and rates are taken of all distinct n-grams, so that neither repetition nor length decides.

They are ranked by the model: each is appended to the training documents of which it is least certain (nearest to one
half), and the mean change of the label's probability is its effect. An n-gram alone would not do: the model takes any
text of three characters for whatever short texts were. Cost: 2.3 CPU-seconds for two labels and 8,000 documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import FlatText
from corpus.models.judging import probabilities
from workbench.console import table

MAX_N = 3
MOST_DOCUMENTS = 3000  # of a label that are looked at
MIN_DOCUMENTS = 3  # in which an n-gram must be
MIN_TIMES = 2.0  # as frequent as under the other labels
TITLE = "most telling n-grams, each appended to the documents least decided"
FIELD = 21  # bits of a character
CANDIDATES = 150  # of a label, which the model ranks
UNDECIDED = 20  # documents to which a candidate is appended


@dataclass(frozen=True)
class Telling:
    """One n-gram of a label."""

    label: str
    ngram: str
    documents: int  # of the label that have it
    other_documents: int
    times: float  # as frequent as under the other labels
    effect: float  # mean change of the label's probability where it is appended to undecided documents


def telling(model: Any, texts: Sequence[str], truth: NDArray[np.int64], labels: Sequence[str], n: int) -> list[Telling]:
    """Return the most telling n-grams of each label, the most telling first.

    Args:
        model: The trained model.
        texts: Spaced training documents.
        truth: The number of each one's label, shape (documents,).
        labels: The labels by number.
        n: How many a label.
    """
    if not n:
        return []
    counts = count_ngrams(texts, truth, len(labels))
    chances = probabilities(model, texts, labels)
    out = []
    for number, label in enumerate(labels):
        nearest = np.argsort(np.abs(chances[:, number] - 0.5), kind="stable")[:UNDECIDED]
        before = chances[nearest, number].mean()
        found = []
        for row in candidates(counts, number).iter_rows(named=True):
            longer = [f"{texts[i]} {' '.join(row['ngram'])}" for i in nearest]
            effect = float(probabilities(model, longer, labels)[:, number].mean() - before)
            found.append(Telling(label, row["ngram"], row["own"], row["other"], row["times"], effect))
        found.sort(key=lambda one: (-one.effect, one.ngram))
        out += apart(found, n)
    return out


def count_ngrams(texts: Sequence[str], truth: NDArray[np.int64], labels: int) -> pl.DataFrame:
    """Return ``ngram``, its length ``n``, ``label_0`` …: how many documents of each label have it.

    Of each label the first ``MOST_DOCUMENTS`` are counted; n-grams in fewer than ``MIN_DOCUMENTS`` are left out, but
    count for the columns' sums ``all_0`` …
    """
    kept = np.concatenate([np.flatnonzero(truth == number)[:MOST_DOCUMENTS] for number in range(labels)])
    flat = FlatText.of(pl.Series([texts[i].replace(" ", "") for i in kept], dtype=pl.String))
    doc = np.repeat(np.arange(len(flat), dtype=np.uint32), flat.lengths)
    label = truth[kept].astype(np.uint8)
    parts = []
    key = np.zeros(len(flat.chars), np.uint64)
    for n in range(1, MAX_N + 1):
        size = max(0, len(flat.chars) - n + 1)
        key = key[:size] << np.uint64(FIELD) | flat.chars[n - 1 :].astype(np.uint64)
        inside = doc[:size] == doc[n - 1 :]
        rows = pl.DataFrame({"key": key[inside], "doc": doc[:size][inside]}).unique()
        rows = rows.with_columns(pl.Series("label", label[rows["doc"].to_numpy()]))
        counted = rows.group_by("key").agg(
            *((pl.col("label") == number).sum().alias(f"label_{number}") for number in range(labels))
        )
        sums = [pl.col(f"label_{number}").sum().alias(f"all_{number}") for number in range(labels)]
        counted = counted.with_columns(*sums, pl.lit(n).alias("n"))
        parts.append(counted.filter(pl.sum_horizontal(pl.col("^label_.*$").cast(pl.Int64)) >= MIN_DOCUMENTS))
    found = pl.concat(parts)
    return found.with_columns(pl.Series("ngram", _spell(found["key"].to_list(), found["n"].to_list()), dtype=pl.String))


def _spell(keys: list[int], sizes: list[int]) -> list[str]:
    mask = (1 << FIELD) - 1
    return [
        "".join(chr(key >> FIELD * k & mask) for k in range(n - 1, -1, -1)) for key, n in zip(keys, sizes, strict=True)
    ]


def candidates(counts: pl.DataFrame, number: int) -> pl.DataFrame:
    """Return ``ngram``, ``own``, ``other`` (documents that have it) and ``times`` of one label's candidates."""
    others = [name for name in counts.columns if name.startswith("label_") and name != f"label_{number}"]
    all_others = [name.replace("label", "all") for name in others]
    own, own_all = pl.col(f"label_{number}").cast(pl.Float64), pl.col(f"all_{number}").cast(pl.Float64)
    other = pl.sum_horizontal(pl.col(others).cast(pl.Float64))
    other_all = pl.sum_horizontal(pl.col(all_others).cast(pl.Float64))
    pooled = (own + other) / (own_all + other_all)
    times = ((own + 0.5) / (own_all + 0.5)) / ((other + 0.5) / (other_all + 0.5))
    gain = own * (own / (pooled * own_all)).log() + pl.when(other > 0).then(
        other * (other / (pooled * other_all)).log()
    ).otherwise(0.0)
    scored = counts.filter(own > 0).select(
        "ngram",
        own.cast(pl.Int64).alias("own"),
        other.cast(pl.Int64).alias("other"),
        times.alias("times"),
        gain.alias("gain"),
    )
    best = scored.filter(pl.col("times") >= MIN_TIMES).sort(["gain", "ngram"], descending=[True, False])
    return best.head(CANDIDATES)


def apart(found: Sequence[Telling], n: int) -> list[Telling]:
    """Return the first ``n``; of those that share two characters, or hold one another, the first alone."""
    chosen: list[Telling] = []
    for one in found:
        pairs = {one.ngram[i : i + 2] for i in range(len(one.ngram) - 1)}
        known = [other.ngram for other in chosen]
        if not any(one.ngram in k or k in one.ngram or any(pair in k for pair in pairs) for k in known):
            chosen.append(one)
        if len(chosen) == n:
            break
    return chosen


def print_telling(found: Sequence[dict[str, Any]]) -> None:
    """Print the n-grams of each label (as a record holds them)."""
    rows = [
        (one["label"], visible(one["ngram"]), one["documents"], one["other_documents"], one["times"], one["effect"])
        for one in found
    ]
    columns = ("label", "n-gram", "its documents", "others", "times as frequent", "change of P(label)")
    table(columns, rows, TITLE)


def visible(text: str) -> str:
    """Return a text whose unprintable characters are spelt out."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
