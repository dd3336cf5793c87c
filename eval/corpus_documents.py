"""The kept documents of a built corpus, all or a fixed sample, with what each belongs to; one part in memory at a time.

The sample is the documents whose ids hash lowest (``corpus.sampling``): the same on every run and machine, whatever the
parts they lie in, and within any larger one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.kept import kept_parts, kept_paths, read_part
from corpus.rows import MADE_BY
from corpus.sampling import keys_of
from eval.bits import Part
from workbench import manifest
from workbench.errors import InputError


@dataclass(frozen=True)
class Documents:
    """Documents of a corpus."""

    files: tuple[Path, ...]
    count: int
    last: int | None  # the greatest key of the sample; None: all documents

    def __iter__(self) -> Iterator[tuple[Part, str]]:
        """Yield what a document belongs to, and its text, in the order of the corpus."""
        for path in self.files:
            rows = read_part(path, ("id", "text", *Part._fields))
            if self.last is not None:
                rows = rows.filter(keys_of(rows["id"]) <= self.last)
            for text, *part in rows.select("text", *Part._fields).iter_rows():
                yield Part(*part), text


def choose_documents(corpus: Path, wanted: int | None) -> Documents:
    """Return documents of a corpus.

    Args:
        corpus: A folder that ``corpus build`` has written.
        wanted: How many; None for all.

    Raises:
        InputError: If the folder is no complete corpus, has no kept documents, or a part of it is missing or damaged.
    """
    made = manifest.read(corpus, "corpus", MADE_BY)
    kept = sum(int(entry["rows"]) for entry in kept_parts(made))
    if not kept:
        raise InputError(corpus, "has no kept documents", f"see: corpus report {corpus}")
    files = tuple(kept_paths(corpus, made))
    if wanted is None or wanted >= kept:
        return Documents(files, kept, None)
    keys = np.empty(0, np.uint64)
    for path in files:
        keys = np.concatenate([keys, keys_of(read_part(path, ("id",))["id"]).to_numpy()])
        if len(keys) > wanted:
            keys = np.partition(keys, wanted - 1)[:wanted]
    return Documents(files, wanted, int(keys.max()))
