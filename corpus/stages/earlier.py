"""The documents of an earlier corpus beside those of this build: what ``--against`` compares with.

An earlier corpus is already free of duplicates and is not built again: its kept texts are read from their parquet
files, and their keys are made by the same steps that make this build's. Its documents come first, so of two like
documents the earlier one stays, and the new one is rejected in favour of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from corpus.kept import kept_paths, read_part
from corpus.meeting import meet
from corpus.rows import MADE_BY
from corpus.stages.base import Survivors
from workbench import manifest
from workbench.console import progress

NEW = 1 << 63  # added to the numbers of this build's documents, so that the earlier ones sort first
Frames = Iterator[pl.DataFrame]


def parts_of(corpus: Path) -> list[Path]:
    """Return the parquet files of a corpus's kept documents, in order.

    Raises:
        InputError: If it is no complete corpus.
    """
    return kept_paths(corpus, manifest.read(corpus, "corpus", MADE_BY))


def texts_of(corpus: Path) -> Frames:
    """Yield ``id`` and ``text`` of a corpus's kept documents, a file at a time."""
    files = parts_of(corpus)
    with progress(f"read {corpus.name}", len(files), "parts") as count:
        for file in files:
            yield read_part(file, ("id", "text"))
            count.advance()


@dataclass(frozen=True)
class Together:
    """This build's survivors and an earlier corpus's documents, the earlier ones first (``Survivors`` in part)."""

    survivors: Survivors
    corpus: Path
    key: str
    keys_of: Callable[[pl.DataFrame], pl.DataFrame]  # adds the key column to a batch with ``text``
    desk: Path

    def prepare(self) -> None:
        """Make the earlier documents' keys, once, a file a part."""
        for number, batch in enumerate(texts_of(self.corpus)):
            self.keys_of(batch).select(self.key).write_ipc(self._file(number))

    def _file(self, number: int) -> Path:
        return self.desk / f"earlier-{number:06d}.arrow"

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Frames:
        """Yield ``doc`` and the named columns: the key alone, or any of id and text."""
        for number, file in enumerate(parts_of(self.corpus)):
            first = number << 32
            if list(names) == [self.key]:
                frame = pl.read_ipc(self._file(number))
            else:
                if only is not None and only.filter((only >= first) & (only < first + (1 << 32))).is_empty():
                    continue
                frame = pl.read_parquet(file, columns=list(names), hive_partitioning=False)
            frame = frame.with_columns(doc=pl.int_range(first, first + len(frame), dtype=pl.UInt64))
            if only is not None:
                frame = frame.join(only.to_frame("doc"), on="doc", how="semi", maintain_order="left")
            yield frame.select("doc", *names)
        mine = None if only is None else only.filter(only >= NEW) - NEW
        for frame in self.survivors.each(names, only=mine, said=said):
            yield frame.with_columns(pl.col("doc") + pl.lit(NEW, pl.UInt64))

    def meet(self, key: str, names: Sequence[str]) -> Frames:
        """Bring equal keys together."""
        return meet(self, key, names)
