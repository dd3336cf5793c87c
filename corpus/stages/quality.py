"""Quality: how much a text reads like edited text, by a fastText classifier over characters.

With ``model`` a fastText file is used; its label ``positive`` is the score. Without, one is trained within the build
from weak labels: documents of the reference domains against all others (the scheme of GPT-3, Brown et al. 2020,
appendix A, with edited domains for its curated corpora). If either side has too few, there is no score and it says so.

Cost: the first 500 characters of a text are read, which gives 100 MB per CPU-second on long documents (held-out AUC
0.9990, of the first 1,000 0.9990).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from corpus import classifier
from corpus.classifier import NEGATIVE, POSITIVE, load_scorer, positive_scores
from corpus.flat import FlatText
from corpus.sampling import sample
from corpus.spacing import spaced
from corpus.stages.base import Survivors
from workbench.config import at_least, setting
from workbench.console import note

MODEL = "quality.bin"
NGRAMS = 2  # held-out AUC .9991 between edited and other domains, .9987 with 3; a sixth faster


@dataclass(frozen=True)
class Quality:
    """Score each document with fastText."""

    name: ClassVar[str] = "quality"
    needs: ClassVar[tuple[str, ...]] = ("id", "text", "domain", "chars")
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("quality",)

    model: Path | None = setting(None, "a fastText model with the label positive; none trains one")
    reference_domains: tuple[str, ...] = setting((), "domains whose documents are the positive examples")
    sample_chars: int = setting(3_000_000, "characters of examples a side", check=at_least(1000))
    read_chars: int = setting(500, "characters of a document that are read", check=at_least(10))
    min_examples: int = setting(100, "documents a side below which no model is trained", check=at_least(1))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Train the model, unless one is given."""
        if self.model is not None:
            load_scorer(str(self.model))
            return
        if not self.reference_domains:
            note("quality: the recipe names no reference domains; no quality model is trained")
            return
        lines: list[str] = []
        for label, outside in ((POSITIVE, False), (NEGATIVE, True)):
            docs = sample(survivors, self.sample_chars, domains=self.reference_domains, outside=outside)
            if len(docs) < self.min_examples:
                note(
                    f"quality: {len(docs)} {label} examples of {self.min_examples} needed; no quality model is trained"
                )
                return
            for batch in survivors.each(["text"], only=docs, said=f"{label} examples"):
                heads, _ = spaced(FlatText.of(batch["text"]), self.read_chars)
                lines += [f"__label__{label} {text}\n" for text in heads]
        classifier.train(lines, desk / MODEL, ngrams=NGRAMS)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``quality``: the probability of the positive label; null without a model."""
        path = self.model or desk / MODEL
        if not path.is_file():
            return batch.with_columns(pl.lit(None, pl.Float32).alias("quality"))
        heads, _ = spaced(FlatText.of(batch["text"]), self.read_chars)
        scores = positive_scores(load_scorer(str(path)), heads)
        return batch.with_columns(pl.Series("quality", scores, dtype=pl.Float32))
