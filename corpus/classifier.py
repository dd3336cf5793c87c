"""Train a fastText classifier, the same on every run.

fastText 0.9.3 initialises only ``thread`` tenths of its input matrix (``DenseMatrix::uniformThread`` fills one of ten
blocks a thread) and leaves the rest as the allocator gave it: with one thread, runs differ, and some meet NaN. So it
trains in a process of its own in which every matrix comes straight from the system, as zeros
(``MALLOC_MMAP_THRESHOLD_``): the words have their random start, the n-gram buckets start from zero. What else of the
environment would change the allocator (``MALLOC_PERTURB_`` fills memory) is taken away. Quantisation draws from
generators with fixed seeds, and gives the same file too.

Cost: 0.7 CPU-seconds a million characters and epoch, one thread; 12 to quantise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import InputError
from workbench.files import remove

SETTINGS = {"lr": 0.1, "dim": 16, "wordNgrams": 3, "bucket": 200_000, "minCount": 2, "thread": 1, "seed": 0}
POSITIVE, NEGATIVE = "positive", "negative"  # the labels of a model that scores
UNSET = ("MALLOC_PERTURB_", "GLIBC_TUNABLES")


def load_model(path: str | Path, *, missing: str, other: str) -> Any:
    """Return a fastText model.

    Args:
        path: The model file.
        missing: What to do if it is not there.
        other: What to do if it is no model.

    Raises:
        InputError: If the file is not there or is no model.
    """
    import fasttext

    if not Path(path).is_file():
        raise InputError(path, "no such model file", missing)
    try:
        return fasttext.load_model(str(path))
    except ValueError as error:
        raise InputError(path, f"is no fastText model ({error})", other) from error


@lru_cache(maxsize=3)
def load_scorer(path: str) -> Any:
    """Return a fastText model whose label ``positive`` is a score.

    Raises:
        InputError: If the file is not there, is no model, or has no label ``positive``.
    """
    missing = "make one: corpus classifier train, or leave model out"
    model = load_model(path, missing=missing, other="give a .bin or .ftz file")
    if f"__label__{POSITIVE}" not in model.get_labels():
        raise InputError(path, f"has labels {', '.join(model.get_labels())[:80]}", f"one must be __label__{POSITIVE}")
    return model


def positive_scores(model: Any, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the probability of the positive label for each spaced text."""
    if not texts:
        return np.empty(0, np.float32)
    labels, probabilities = model.predict(list(texts), k=1)
    first = np.array([values[0] if len(values) else 0.5 for values in probabilities], np.float32)
    is_positive = np.array([bool(names) and names[0] == f"__label__{POSITIVE}" for names in labels])
    return np.clip(np.where(is_positive, first, 1 - first), 0, 1).astype(np.float32)


def epochs_of(examples: int, most: int = 100) -> int:
    """Return how often a set is read: a small one more often, 5 passes teach it nothing."""
    return max(5, min(most, 50_000 // max(1, examples)))


def train(
    lines: Sequence[str],
    path: Path,
    quantised: Path | None = None,
    epochs: int | None = None,
    rate: float = SETTINGS["lr"],
    ngrams: int = int(SETTINGS["wordNgrams"]),
) -> None:
    """Train a model on labelled lines and save it.

    Args:
        lines: ``__label__<name> <tokens>``, one example each, with its newline.
        path: The model file; the examples lie beside it, as ``.txt``, while it is trained.
        quantised: Where to save the model quantised too (product quantisation, an eighth of the size).
        epochs: How often the lines are read; None: as their number asks for.
        rate: The learning rate; a higher one makes up for few passes over few lines.
        ngrams: The longest n-gram of tokens that is a feature.
    """
    examples = path.with_suffix(".txt")
    order = np.random.default_rng(0).permutation(len(lines))  # fastText learns in the order of the file
    examples.write_text("".join(lines[i] for i in order), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment = {**kept, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "corpus.classifier",
        str(examples),
        str(path),
        str(epochs or epochs_of(len(lines))),
        str(rate),
        str(ngrams),
    ]
    command += [str(quantised)] if quantised else []
    try:
        subprocess.run(command, env=environment, check=True)
    finally:
        remove(examples)


def main() -> None:
    """Train, in a process whose allocator is set."""
    import fasttext

    examples, path, epochs, rate, ngrams, *quantised = sys.argv[1:]
    own = {"lr": float(rate), "wordNgrams": int(ngrams), "epoch": int(epochs)}
    model = fasttext.train_supervised(examples, verbose=0, **SETTINGS | own)
    model.save_model(path)
    for smaller in quantised:
        model.quantize(retrain=False)
        model.save_model(smaller)


if __name__ == "__main__":
    main()
