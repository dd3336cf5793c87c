"""Encoded documents on their way to the shards: for each unit of the corpus a run, ordered by the shuffle's key.

A document's key is a hash of its id and the seed, and the order of keys is the global shuffle. Each run is in that
order. How many ids fall into each of 4,096 ranges of keys, over all runs, says which ranges a shard is made of: it is
merged from a slice of every run, and needs no more memory than itself and two ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tokenizer.encode import Encoded
from tokenizer.packing import Documents
from workbench.compiled import compiled
from workbench.files import atomic_path

RANGES = 1 << 12
RANGE_BITS = 64 - 12
COLUMNS = ("key", "length", "bytes", "id", "source", "domain", "bucket")


@dataclass(frozen=True)
class RunStore:
    """Runs in a folder: ``<split>/<unit>.ids`` and ``.docs``."""

    folder: Path
    dtype: np.dtype[Any]

    def path(self, split: str, unit: int, suffix: str) -> Path:
        """Return a file of a run."""
        return self.folder / split / f"{unit:06d}{suffix}"

    def write(self, split: str, unit: int, documents: pl.DataFrame, ids: NDArray[np.uint32]) -> None:
        """Write the run of a unit.

        Args:
            split: Which split.
            unit: The number of the unit.
            documents: ``COLUMNS`` of the run, by key.
            ids: Those of its documents end to end, in the same order.
        """
        with atomic_path(self.path(split, unit, ".ids")) as temporary:
            ids.astype(self.dtype, copy=False).tofile(temporary)
        with atomic_path(self.path(split, unit, ".docs")) as temporary:
            documents.select(COLUMNS).write_ipc(temporary)

    def count(self, split: str, units: int) -> int:
        """Leave where each range of keys begins in a split, in ids, for ``window``; returns how many ids it has."""
        totals = np.zeros(RANGES + 1, np.int64)
        for unit in range(units):
            run = self._documents(split, unit)
            ranges = (_column(run, "key") >> np.uint64(RANGE_BITS)).astype(np.int64)
            totals[1:] += np.bincount(ranges, _column(run, "length"), RANGES).astype(np.int64)
        totals = np.cumsum(totals)
        with atomic_path(self._totals(split)) as temporary, temporary.open("wb") as file:
            np.save(file, totals)
        return int(totals[-1])

    def window(
        self, split: str, units: int, begin: int, end: int, *, whole: bool = False
    ) -> tuple[Documents, pl.DataFrame]:
        """Return the documents that reach into a window of a split, by position, and their names.

        Args:
            split: Which split; it has been counted.
            units: How many runs there are.
            begin: First position.
            end: Last position, excluded; may lie behind the last id.
            whole: Only the documents that begin in the window, so that each is in one window alone.
        """
        totals = np.load(self._totals(split))
        first = int(np.searchsorted(totals, begin, "right")) - 1
        after = min(int(np.searchsorted(totals, end, "left")), RANGES)
        low, high = np.uint64(first << RANGE_BITS), np.uint64((after << RANGE_BITS) - 1)
        frames, flats, sources, at = [], [], [], 0
        for unit in range(units):
            run = self._documents(split, unit)
            keys, lengths = _column(run, "key"), _column(run, "length")
            a, b = int(np.searchsorted(keys, low, "left")), int(np.searchsorted(keys, high, "right"))
            skipped, taken = int(lengths[:a].sum()), int(lengths[a:b].sum())
            if not taken:
                continue
            ids = np.memmap(self.path(split, unit, ".ids"), self.dtype, "r")
            flats.append(np.array(ids[skipped : skipped + taken]))
            sources.append(at + np.cumsum(lengths[a:b]) - lengths[a:b])
            frames.append(pl.DataFrame(run.slice(a, b - a)))
            at += taken
        merged = pl.concat(frames).with_columns(pl.Series("begin", np.concatenate(sources)))
        merged = merged[np.argsort(merged["key"].to_numpy(), kind="stable")]
        lengths = merged["length"].to_numpy()
        positions = totals[first] + np.cumsum(lengths) - lengths
        inside = (positions < end) & ((positions if whole else positions + lengths - 1) >= begin)
        merged, positions = merged.filter(pl.Series(inside)), positions[inside]
        begins, lengths, sizes = (merged[name].to_numpy() for name in ("begin", "length", "bytes"))
        return Documents(np.concatenate(flats), begins, lengths, sizes, positions), merged

    def _documents(self, split: str, unit: int) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(self.path(split, unit, ".docs")))).read_all()

    def _totals(self, split: str) -> Path:
        return self.folder / f"{split}.npy"


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table.column(name).to_numpy()
    return values


def with_ends(encoded: Encoded, rows: NDArray[np.int64], bos: int | None, eos: int) -> NDArray[np.uint32]:
    """Return the ids of some texts end to end, bos (if there is one) before and eos behind each.

    Args:
        encoded: Texts without them.
        rows: Which texts, in what order.
        bos: The id, None if the model has none.
        eos: The id.
    """
    lengths = np.diff(encoded.offsets)[rows]
    out = np.empty(int(lengths.sum()) + len(rows) * ends(bos), np.uint32)
    _gather(encoded.ids, encoded.offsets, rows, -1 if bos is None else bos, eos, out)
    return out


def ends(bos: int | None) -> int:
    """Return how many ids ``with_ends`` adds to a text."""
    return 1 + (bos is not None)


@compiled
def _gather(
    ids: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    bos: int,
    eos: int,
    out: NDArray[np.uint32],
) -> None:
    at = 0
    for n in range(len(rows)):
        if bos >= 0:
            out[at] = bos
            at += 1
        for k in range(offsets[rows[n]], offsets[rows[n] + 1]):
            out[at] = ids[k]
            at += 1
        out[at] = eos
        at += 1


def order_by_key(keys: NDArray[np.uint64], chosen: Sequence[bool] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows that are chosen, by key; of equal keys the earlier row is first."""
    rows = np.flatnonzero(np.asarray(chosen))
    return rows[np.argsort(keys[rows], kind="stable")]
