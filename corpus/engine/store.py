"""The documents of a build under way: a column store, a shard at a time, a file a pass.

Pass 0 writes the text and everything the first steps found; each later pass writes only its new columns, for the
documents that were still in when it began. So a text is written once, a pass that needs no text reads none, and the
file of a finished shard is what an interrupted build goes on from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from corpus.rows import VERDICT
from workbench.files import atomic_path, read_json, write_json


@dataclass(frozen=True)
class Store:
    """Files ``pass-<p>/<shard>.arrow`` and ``.json`` in one folder."""

    folder: Path

    def path(self, number: int, shard: str) -> Path:
        """Return the file of a shard's columns of one pass."""
        return self.folder / f"pass-{number}" / f"{shard}.arrow"

    def shards(self) -> list[str]:
        """Return the names of all shards, in the order in which their documents were read."""
        return sorted(file.stem for file in (self.folder / "pass-0").glob("*.arrow"))

    def write(self, number: int, shard: str, columns: pl.DataFrame, account: Any) -> None:
        """Write a shard's columns of one pass; the account first, so that complete columns have one."""
        path = self.path(number, shard)
        write_json(path.with_suffix(".json"), account)
        with atomic_path(path) as temporary:
            columns.write_ipc(temporary, compression="uncompressed")

    def account(self, number: int, shard: str) -> Any:
        """Return what was written with a shard's columns."""
        return read_json(self.path(number, shard).with_suffix(".json"))

    def done(self, number: int, shard: str) -> bool:
        """Tell whether a shard has passed."""
        return self.path(number, shard).is_file()

    def survivors(self, shard: str, names: Sequence[str], before: int) -> pl.DataFrame:
        """Return columns of the documents that are still in before a pass.

        Args:
            shard: The shard.
            names: Columns that passes before wrote; the latest one of a name counts.
            before: The pass about to run.
        """
        parts = [_read(self.path(number, shard), {"doc", "stage", *names}) for number in range(before)]
        columns: dict[str, pl.Series] = {}
        still: NDArray[np.bool_] | None = None  # of a pass's documents, those that later ones kept; None: all
        for part in reversed(parts):
            if "stage" in part.columns and part["stage"].null_count() < len(part):
                kept = part["stage"].is_null().to_numpy()
                if still is not None:
                    kept[kept] = still
                still = kept
            mask = None if still is None else pl.Series(still)
            for name in part.columns:
                if name not in columns and name != "stage":
                    columns[name] = part[name] if mask is None else part[name].filter(mask)
        return pl.DataFrame([columns[name] for name in dict.fromkeys(("doc", *names))])

    def everything(self, shard: str, passes: int) -> Iterator[pl.DataFrame]:
        """Yield the documents of a shard with all their columns: for each pass those it rejected, at last the kept."""
        frame = pl.DataFrame()
        for number in range(passes):
            part = _read(self.path(number, shard))
            if frame.width:
                part = frame.drop(part.columns, strict=False).hstack(part)
            if "stage" not in part.columns:
                part = part.with_columns(pl.lit(None, kind).alias(name) for name, kind in VERDICT.items())
            yield part.filter(pl.col("stage").is_not_null())
            frame = part.filter(pl.col("stage").is_null())
        yield frame


def _read(path: Path, names: set[str] | None = None) -> pl.DataFrame:
    """Read columns of a file, those of the names that it has; by pyarrow, in half the time of polars' own reader."""
    with pa.memory_map(str(path)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()  # mapped: what is not selected is not read
    if names is not None:
        table = table.select([name for name in table.column_names if name in names])
    if not table.num_columns:
        return pl.DataFrame()
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame
