"""A classifier for the doubtful middle: documents whose score alone does not settle it.

Words in a list do not say what a text does with them: a report on a trial and the trade it tried use the same ones. So
documents near the threshold are judged by fastText on the whole of their characters. The model is a user's (``corpus
classifier train`` makes one from labels), or is trained within the build on what the score does settle: documents far
above the threshold, against as many ordinary ones, half of which contain listed terms too (weak labels, as for
quality). With too few certain examples there is no model, and the score decides alone.

A judgement is the probability of the label ``positive``; null outside the middle. Cost: 1–2 s of training a build; the
middle is one document in hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from corpus import classifier
from corpus.classifier import NEGATIVE, POSITIVE, load_scorer, positive_scores
from corpus.flat import FlatText
from corpus.sampling import keys_of
from corpus.spacing import spaced
from corpus.stages.base import Survivors
from workbench.config import at_least, setting
from workbench.console import note

MODEL = "judge.bin"
EPOCHS, RATE = 15, 0.5  # of a few hundred examples; slower learning would need 60 passes for the same
_NEEDS = ("id", "sensitive_score", "sensitive_hits")
_SCHEMA = {"doc": pl.UInt64, "key": pl.UInt64, "sensitive_score": pl.Float32, "sensitive_hits": pl.UInt32}


@dataclass(frozen=True)
class SensitiveJudge:
    """Judge the documents whose sensitive score is near the threshold."""

    name: ClassVar[str] = "sensitive_judge"
    needs: ClassVar[tuple[str, ...]] = (*_NEEDS, "text")
    reads: ClassVar[tuple[str, ...]] = ("text", "sensitive_score")
    writes: ClassVar[tuple[str, ...]] = ("sensitive_judgement",)

    model: Path | None = setting(None, "a fastText model with the label positive; none trains one")
    low: float = setting(0.5, "score from which a document is doubtful", check=at_least(0))
    high: float = setting(1.5, "score from which it is not doubtful any more", check=at_least(0))
    certain: float = setting(2.0, "score from which a document is an example of what is sensitive", check=at_least(0))
    ordinary: float = setting(0.1, "score below which a document is an example of what is not", check=at_least(0))
    examples: int = setting(400, "documents a side that the model is trained on, at most", check=at_least(1))
    min_examples: int = setting(50, "documents a side below which no model is trained", check=at_least(1))
    read_chars: int = setting(500, "characters of a document that are read", check=at_least(10))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Train the model, unless one is given or the examples do not suffice."""
        if self.model is not None:
            load_scorer(str(self.model))
            return
        rows = _scored(survivors)
        below = rows.filter(pl.col("sensitive_score") < self.ordinary)
        sensitive = rows.filter(pl.col("sensitive_score") >= self.certain).head(self.examples)
        wanted = len(sensitive)
        with_terms = below.filter(pl.col("sensitive_hits") > 0).head(wanted // 2)
        without = below.filter(pl.col("sensitive_hits") == 0).head(wanted - len(with_terms))
        if min(wanted, len(with_terms) + len(without)) < self.min_examples:
            note(f"sensitive_judge: {wanted} certain examples of {self.min_examples} needed; the score decides alone")
            return
        lines: list[str] = []
        for label, docs in ((POSITIVE, sensitive["doc"]), (NEGATIVE, pl.concat([with_terms, without])["doc"])):
            for batch in survivors.each(["text"], only=docs.sort(), said=f"{label} examples"):
                heads, _ = spaced(FlatText.of(batch["text"]), self.read_chars)
                lines += [f"__label__{label} {text}\n" for text in heads]
        classifier.train(lines, desk / MODEL, epochs=EPOCHS, rate=RATE)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``sensitive_judgement``; null for a document that is not doubtful, and without a model."""
        path = self.model or desk / MODEL
        rows = batch["sensitive_score"].is_between(self.low, self.high, closed="left").arg_true()
        judged = pl.Series("sensitive_judgement", [None] * len(batch), dtype=pl.Float32)
        if path.is_file() and len(rows):
            heads, _ = spaced(FlatText.of(batch["text"].gather(rows)), self.read_chars)
            scores = positive_scores(load_scorer(str(path)), heads)
            judged = judged.scatter(rows, pl.Series(scores, dtype=pl.Float32))
        return batch.with_columns(judged)


def _scored(survivors: Survivors) -> pl.DataFrame:
    """Return the documents' scores in an order that is the same on every machine: by the hash of the id."""
    parts = [
        batch.with_columns(keys_of(batch["id"])).select(list(_SCHEMA))
        for batch in survivors.each(list(_NEEDS), said="choose examples")
    ]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *parts]).sort("key", "doc")
