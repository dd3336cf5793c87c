"""What a step is.

A step marks rows: it is a pure function from a batch to the same batch, in the same order, with more columns. It
declares what it reads and writes, so that a recipe is checked before a row is read. Its settings are the fields of a
frozen dataclass (``workbench.config``), so a recipe's YAML is checked whole too.

A step that must look at all documents first (duplicates, a model to estimate, quantiles) also has ``prepare``; it is
called once, after every document has passed the steps before it, and leaves what ``mark`` needs in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import polars as pl


class Survivors(Protocol):
    """All documents that are still in, in the order in which they were read."""

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        """Yield ``doc`` and the named columns, a shard at a time.

        Args:
            names: Columns that earlier steps wrote.
            only: Numbers of the documents that are wanted; all by default. Shards without any are not read.
            said: What the progress line calls the work.
        """
        ...

    def lookup(self, docs: pl.Series, names: Sequence[str]) -> pl.DataFrame:
        """Return ``doc`` and the named columns of some documents, sorted by number."""
        ...

    def meet(self, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Bring equal keys together: the shuffle.

        Args:
            key: A column of 64-bit keys, or of lists of them.
            names: Further columns to carry.

        Yields:
            Columns ``key``, ``doc`` and the named ones, for the keys that at least two documents have, sorted by key
            and document; a part of the key space at a time, so that memory is bounded.
        """
        ...


@runtime_checkable
class Stage(Protocol):
    """A step that marks rows."""

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[tuple[str, ...]]

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Return the batch with the columns of ``writes`` added (or, for ``text``, rewritten).

        Args:
            batch: At least the columns of ``reads``; only documents that are still in.
            desk: The folder that ``prepare`` filled; empty for a step without one.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """What a step has besides ``mark`` if it must see all documents first."""

    needs: ClassVar[tuple[str, ...]]  # the columns that prepare looks at; none: it looks at no document

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Look at all surviving documents and leave in ``desk`` what ``mark`` needs."""
        ...
