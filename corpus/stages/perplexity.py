"""Perplexity under a character 5-gram model: the lower, the more a text reads like the reference.

With ``model`` a KenLM file is used as it is. Without, a model is estimated within the build: from the documents of the
reference domains, or from all if none of those is there. Two models, each from one half of the reference (by document
id); a document is scored by the model of the other half, so none is scored by a model that has seen it.

Tokens are characters, white space dropped; the score is that of KenLM, to the last bit (``corpus.ngram.query``), of the
spaced text with begin and end; perplexity is 10 ** (-score / (tokens + 1)). (Heafield 2011; Wenzek et al. 2020, CCNet,
section 3.3.) Cost: 35 MB per CPU-second; a reference of 12 MB takes 1.5 CPU-s to estimate and make ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from corpus.flat import FlatText
from corpus.ngram.query import SUFFIX
from corpus.ngram.scorer import load_scorer
from corpus.sampling import half_of, sample
from corpus.stages.base import Survivors
from workbench.config import at_least, setting
from workbench.console import note

TABLE = f"reference-{{}}{SUFFIX}"


@dataclass(frozen=True)
class Perplexity:
    """Score each document with KenLM."""

    name: ClassVar[str] = "perplexity"
    needs: ClassVar[tuple[str, ...]] = ("id", "text", "domain", "chars")
    reads: ClassVar[tuple[str, ...]] = ("id", "text")
    writes: ClassVar[tuple[str, ...]] = ("perplexity",)

    model: Path | None = setting(None, "a KenLM model (ARPA or binary) over spaced characters; none estimates one")
    reference_domains: tuple[str, ...] = setting((), "domains whose documents are the reference; empty: all")
    reference_chars: int = setting(4_000_000, "characters of reference a model", check=at_least(1000))
    order: int = setting(5, "order of the model that is estimated", check=at_least(2))
    prune: tuple[int, ...] = setting(
        (0, 0, 1, 1, 2), "per order, the count up to which n-grams are pruned (lmplz --prune)"
    )

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Estimate the two models, unless one is given."""
        if self.model is not None:
            load_scorer(str(self.model))
            return
        from corpus.ngram import estimate

        load_scorer.cache_clear()  # an interrupted build may have left others under these names
        for half in (0, 1):
            docs = sample(survivors, self.reference_chars, domains=self.reference_domains, half=half)
            if self.reference_domains and docs.is_empty():
                note("perplexity: no document of the reference domains; the reference is a sample of all documents")
                docs = sample(survivors, self.reference_chars, half=half)
            if docs.is_empty():
                note(f"perplexity: half {half} of the reference is empty; what it should score has none")
                continue
            model = estimate(_texts(survivors, docs), order=self.order, prune=self.prune[: self.order])
            model.query_table().save(desk / TABLE.format(half))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``perplexity``; null for a text without a character."""
        flat = FlatText.of(batch["text"])
        if self.model is not None:
            scores, tokens = load_scorer(str(self.model)).score(flat)
        else:
            scores, tokens = np.zeros(len(flat), np.float32), np.zeros(len(flat), np.int64)
            halves = half_of(batch["id"]).to_numpy()
            for half in (0, 1):
                rows, path = np.flatnonzero(halves == half), desk / TABLE.format(1 - half)  # never its own half's
                if path.is_file():
                    scores[rows], tokens[rows] = load_scorer(str(path)).score(flat.rows(rows))
        value = pl.Series(10.0 ** (-scores.astype(np.float64) / (tokens + 1)), dtype=pl.Float32)
        return batch.with_columns(value.set(pl.Series(tokens == 0), None).alias("perplexity"))


def _texts(survivors: Survivors, docs: pl.Series) -> Iterator[FlatText]:
    for batch in survivors.each(["text"], only=docs, said="read the reference"):
        yield FlatText.of(batch["text"])
