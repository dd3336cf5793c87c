"""How often each document is laid out: the corpus's own weights, times those of the command line.

``--weight source=wudao:2 --weight bucket=head:3 --weight domain=医疗:2`` multiply: a medical document of
wudao's head is laid out 12 times. What comes of it is in the ledger as epochs; above four, repetition teaches little
(Muennighoff et al. 2023, "Scaling Data-Constrained Language Models"), and ``pack`` says so. A weight of 0 leaves
documents out of training; the ledger still counts them. Held-out documents are laid out once, whatever their weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from workbench.errors import ConfigError, InputError

COLUMNS = ("source", "domain", "bucket")
COLUMN = "weight"  # of a corpus's parts: what corpus build --src NAME=PATH@WEIGHT gave a source
SEED = 0  # of the chance of a fraction: fixed, so that a seed of the shuffle lays out the same documents
MANY_EPOCHS = 4
NAMED = 6  # of those with many epochs, the most repeated are named


@dataclass(frozen=True)
class Weight:
    """Documents of one source, domain or bucket, and how often they are laid out."""

    column: str
    name: str
    times: float

    @property
    def word(self) -> str:
        """Return the words that gave it."""
        return f"--weight {self.column}={self.name}:{self.times:g}"


def parse(words: Sequence[str]) -> tuple[Weight, ...]:
    """Return the weights of the command line.

    Args:
        words: Each ``source=NAME:TIMES``, ``domain=…`` or ``bucket=…``; a name may hold ``=`` and ``:``.

    Raises:
        ConfigError: If one is none, or two are of the same documents.
    """
    found: dict[tuple[str, str], Weight] = {}
    for word in words:
        column, _, rest = word.partition("=")
        name, colon, number = rest.rpartition(":")
        try:
            times = float(number)
        except ValueError:
            times = math.nan
        if column not in COLUMNS or not colon or not (0 <= times < math.inf):
            remedy = f"give {'|'.join(COLUMNS)}=NAME:TIMES, as source=books:2"
            raise ConfigError(f"--weight {word}", "is no weight", remedy)
        if (column, name) in found:
            raise ConfigError(f"--weight {word}", f"{column} {name} is weighted twice", "give it once")
        found[column, name] = Weight(column, name, times)
    return tuple(found[key] for key in sorted(found))  # the order of the words changes nothing


def check_names(weights: Sequence[Weight], files: Sequence[Path]) -> None:
    """Refuse weights of documents that the corpus has not: a misspelt name would change nothing, in silence.

    Raises:
        ConfigError: Naming what there is.
    """
    for column in sorted({weight.column for weight in weights}):
        names = pl.col(column).cast(pl.String).fill_null("").unique().sort()
        try:
            there = pl.scan_parquet(list(files), hive_partitioning=False).select(names).collect()[column].to_list()
        except (pl.exceptions.PolarsError, OSError) as error:
            found = f"has parts that cannot be read ({str(error).splitlines()[0]})"
            raise InputError(files[0].parents[2], found, "build it again") from error
        for weight in weights:
            if weight.column == column and weight.name not in there:
                some = ", ".join(there[:12]) + (", …" if len(there) > 12 else "")
                raise ConfigError(weight.word, f"no document has that {column}", f"name one of: {some}")


def of_documents(frame: pl.DataFrame, weights: Sequence[Weight]) -> NDArray[np.float64]:
    """Return the weight of each document, shape (documents,)."""
    out: NDArray[np.float64] = frame[COLUMN].to_numpy().copy()
    for weight in weights:
        out[(frame[weight.column] == weight.name).to_numpy()] *= weight.times
    return out


def copies(weights: NDArray[np.float64], ids: Sequence[bytes]) -> NDArray[np.int64]:
    """Return how often each document is laid out: its weight's whole part, and once more by chance for the rest.

    Args:
        weights: Of each document.
        ids: Whose hashes are the chance, so that it is the same on every run; not hashed where all weights are whole.
    """
    whole = np.floor(weights)
    times: NDArray[np.int64] = whole.astype(np.int64)
    if (whole == weights).all():
        return times
    chance = np.fromiter((xxhash.xxh3_64_intdigest(name + b"/weight", SEED) for name in ids), np.uint64, len(ids))
    times += chance / 2.0**64 < weights - whole
    return times


def many_epochs(ledger: Sequence[dict[str, Any]]) -> str | None:
    """Return what is laid out more than four times, most first, in one phrase; None if nothing is."""
    many = sorted((row for row in ledger if row["epochs"] > MANY_EPOCHS), key=lambda row: -row["epochs"])
    if not many:
        return None
    named = [f"{'/'.join(row[name] for name in COLUMNS)} {row['epochs']:.1f}" for row in many[:NAMED]]
    return ", ".join(named) + (f" and {len(many) - NAMED} more" if len(many) > NAMED else "")
