"""Perplexity under a character 5-gram model: the lower, the more a text reads like the reference.

With ``model`` a KenLM file is used as it is. Without, a model is estimated within the build: from the documents of the
reference domains, or from all if none of those is there. Two models, each from one half of the reference (by document
id); a document is scored by the model of the other half, so none is scored by a model that has seen it.

Tokens are characters, white space dropped; the score is KenLM's own ``score`` of the spaced text with begin and end,
perplexity is 10 ** (-score / (tokens + 1)). (Heafield 2011; Wenzek et al. 2020, CCNet, section 3.3.)
Cost: 11–16 MB per CPU-second; estimation 1.6 MB per CPU-second of reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from corpus.flat import FlatText
from corpus.sampling import half_of, sample
from corpus.spacing import spaced_bytes
from corpus.stages.base import Survivors
from workbench.config import at_least, setting
from workbench.console import note
from workbench.errors import InputError

ARPA = "reference-{}.arpa"


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
            load_model(str(self.model))
            return
        from corpus.ngram import estimate

        for half in (0, 1):
            docs = sample(survivors, self.reference_chars, domains=self.reference_domains, half=half)
            if self.reference_domains and docs.is_empty():
                note("perplexity: no document of the reference domains; the reference is a sample of all documents")
                docs = sample(survivors, self.reference_chars, half=half)
            if docs.is_empty():
                note(f"perplexity: half {half} of the reference is empty; what it should score has none")
                continue
            model = estimate(_texts(survivors, docs), order=self.order, prune=self.prune[: self.order])
            model.write_arpa(desk / ARPA.format(half))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``perplexity``; null for a text without a character."""
        if self.model is not None:
            models = [load_model(str(self.model))] * 2
        else:
            paths = [desk / ARPA.format(half) for half in (1, 0)]  # never its own half's
            models = [load_model(str(path)) if path.is_file() else None for path in paths]
        texts, tokens = spaced_bytes(FlatText.of(batch["text"]))
        values: list[float | None] = []
        for half, text, count in zip(half_of(batch["id"]), texts, tokens.tolist(), strict=True):
            model = models[half]
            values.append(10.0 ** (-model.score(text) / (count + 1)) if model is not None and count else None)
        return batch.with_columns(pl.Series("perplexity", values, dtype=pl.Float32))


def _texts(survivors: Survivors, docs: pl.Series) -> Iterator[FlatText]:
    for batch in survivors.each(["text"], only=docs, said="read the reference"):
        yield FlatText.of(batch["text"])


@lru_cache(maxsize=2)
def load_model(path: str) -> Any:
    """Return a KenLM model.

    Raises:
        InputError: If the file is not there or is no model.
    """
    import kenlm

    if not Path(path).is_file():
        raise InputError(path, "no such model file", "make one: corpus lm train, or leave model out")
    settings = kenlm.Config()
    settings.show_progress = False
    settings.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, settings)
    except (OSError, RuntimeError) as error:
        raise InputError(path, f"is no KenLM model ({error})", "give an ARPA file or KenLM's binary") from error
