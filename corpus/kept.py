"""The kept documents of a built corpus, as what comes after reads them: the parts that its manifest names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import InputError
from workbench.manifest import Manifest


def kept_parts(made: Manifest) -> list[Mapping[str, Any]]:
    """Return a corpus's entries of kept documents, in the order of the manifest."""
    return [entry for entry in made.files if str(entry["path"]).startswith("kept/")]


def kept_paths(corpus: Path, made: Manifest) -> list[Path]:
    """Return the files of a corpus's kept documents, in the order of the manifest."""
    return [corpus / str(entry["path"]) for entry in kept_parts(made)]


def read_part(path: Path, words: Sequence[str], others: Sequence[str] = ()) -> pl.DataFrame:
    """Read columns of a part.

    Args:
        path: The parquet file.
        words: Columns that it must have; they come as strings, null as empty.
        others: Columns that come as they are, if it has them.

    Raises:
        InputError: If the file is missing, is no parquet, or lacks one of ``words``.
    """
    if not path.is_file():
        raise InputError(path, "is missing", "build the corpus again")
    try:
        there = pl.read_parquet_schema(path) if others else {}
        names = [*words, *(name for name in others if name in there)]
        rows = pl.read_parquet(path, columns=names, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(path, f"is not a part of a corpus ({str(error).splitlines()[0]})", "build it again") from error
    return rows.select(*(pl.col(name).cast(pl.String).fill_null("") for name in words), *names[len(words) :])
