"""A model that scores documents, whatever file it is in: our query table where that can be, else KenLM."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from corpus.flat import FlatText, Offsets
from corpus.ngram.arpa_reader import read_arpa
from corpus.ngram.query import SUFFIX, QueryTable
from corpus.ngram.smoothing import Floats
from corpus.spacing import spaced_bytes
from workbench.errors import InputError


class Scorer(Protocol):
    """What gives documents their log probability."""

    def score(self, texts: FlatText) -> tuple[Floats, Offsets]:
        """Return log10 of the probability of each document, begin and end included, and its characters."""
        ...


class KenLM:
    """A model that only KenLM reads: its binaries, and ARPA files of an unusual make."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            InputError: If the file is not there or is no model.
        """
        self.model = load_kenlm(path)

    def score(self, texts: FlatText) -> tuple[Floats, Offsets]:
        """Return what ``kenlm.Model.score`` gives of each document spaced, and its characters."""
        spaced, counts = spaced_bytes(texts)
        return np.array([self.model.score(text) for text in spaced], np.float32), counts


@lru_cache(maxsize=2)
def load_scorer(path: str) -> Scorer:
    """Return the model of a file: a query table (``.ngrams``), an ARPA file, KenLM's binary.

    Raises:
        InputError: If the file is not there or is no model.
    """
    file = Path(path)
    if file.suffix == SUFFIX:
        return QueryTable.load(file)
    if file.is_file() and file.stat().st_size:
        try:
            return read_arpa(file)
        except ValueError:  # a binary, or what our table does not hold
            pass
    return KenLM(file)


def load_kenlm(path: Path) -> Any:
    """Return a ``kenlm.Model``.

    Raises:
        InputError: If the file is not there or is no model.
    """
    import kenlm

    if not path.is_file():
        raise InputError(path, "no such model file", "make one: corpus lm train, or leave model out")
    settings = kenlm.Config()
    settings.show_progress = False
    settings.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), settings)
    except (OSError, RuntimeError) as error:
        raise InputError(path, f"is no KenLM model ({error})", "give an ARPA file or KenLM's binary") from error
