"""Sensitive topics by weighted words: density and breadth of hits that tell something, not any hit at all.

Terms of the lists (``lists``) are found in one compiled pass (``match``), also where symbols break them up or pinyin
spells them (``spelled``), and weighed by what they tell in the document's domain (``information``). The score is

    hits per 1,000 characters / per_1000 · min(1, distinct hits / breadth)        (hits by weight; 1 is sensitive)

so one threshold serves short believed lists and large over-broad ones: in the latter, what good documents of a domain
contain weighs next to nothing there. Cost: 170–200 MB per CPU-second with 1,000–3,500 terms, 75 with
80,000; prepare looks at a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import FlatText
from corpus.sampling import sample
from corpus.stages.base import Survivors
from corpus.stages.sensitive.information import Counted, Floats, Scale, counted_of, estimate, joined, scores
from corpus.stages.sensitive.lists import EVERYWHERE, read_lexicon
from corpus.stages.sensitive.match import Matcher, find
from workbench.config import at_least, between, setting

TERMS, WEIGHTS, ALLOWED_TERMS = "terms.parquet", "weights.parquet", "allowed.parquet"  # in the desk
ELSEWHERE = "\0"  # the row of weights for a domain that the reference does not have
MAX_DOMAINS = 200  # with weights of their own: those with the most text
SHOWN_TERMS = 8
SHOWN_SCORE = 0.1  # below it no terms are named


@dataclass(frozen=True)
class Sensitive:
    """Score documents by the sensitive words they are dense in."""

    name: ClassVar[str] = "sensitive"
    needs: ClassVar[tuple[str, ...]] = ("id", "text", "domain", "chars")
    reads: ClassVar[tuple[str, ...]] = ("text", "domain")
    writes: ClassVar[tuple[str, ...]] = (
        "sensitive_score",
        "sensitive_category",
        "sensitive_terms",
        "sensitive_hits",
        "veiled_share",
    )

    lists: Path | None = setting(None, "a folder of word lists <category>.txt, besides the shipped ones")
    shipped: bool = setting(default=True, doc="look for the shipped lists' terms")
    min_chars: int = setting(2, "characters of the shortest term that is looked for", check=at_least(2))
    pinyin: bool = setting(default=True, doc="look for the terms spelled in pinyin too, whole or one hanzi of them")
    per_1000: float = setting(20.0, "informative hits per 1,000 characters that make a score of 1", check=at_least(0.1))
    breadth: float = setting(3.0, "informative distinct terms below which the score is less", check=at_least(0.1))
    floor_chars: int = setting(100, "characters as long as which a shorter text counts", check=at_least(1))
    believed_floor: float = setting(0.5, "least weight of a believed term, however common it is", check=between(0, 1))
    reference_chars: int = setting(20_000_000, "characters of the sample that weighs the terms", check=at_least(1000))

    @property
    def _scale(self) -> Scale:
        return Scale(self.per_1000, self.breadth, self.floor_chars)

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Weigh each term in each domain by a sample of the documents; leave terms and weights in ``desk``."""
        lexicon = read_lexicon(self.lists, self.shipped, self.min_chars, pinyin=self.pinyin)
        terms = [term.text for term in lexicon.terms]
        forms = np.array([term.spelled for term in lexicon.terms])
        matcher = Matcher.of(terms)
        chosen = sample(survivors, self.reference_chars)
        names = _largest_domains(survivors, chosen)
        parts: list[Counted] = []
        seen = 0
        for batch in survivors.each(["text", "domain"], only=chosen, said="weigh the sensitive words"):
            hits = find(matcher, FlatText.of(batch["text"]))
            parts.append(counted_of(hits, forms, _rows_of(batch["domain"], names), seen))
            seen += len(batch)
        labels = [*names, ELSEWHERE]
        believed = [term.weight is not None and not term.spelled for term in lexicon.terms]
        floors = np.where(believed, self.believed_floor, 0.0)
        own = np.array([1.0 if term.weight is None else term.weight for term in lexicon.terms])
        number = {text: n for n, text in enumerate(terms)}
        allowed = [(word, number[text]) for word, text in lexicon.allowed if text in number]
        factors = np.stack([own * _unless_allowed(label, allowed, len(terms)) for label in labels])
        weights = estimate(joined(parts), factors, floors, self._scale)
        categories = [term.category for term in lexicon.terms]
        pl.DataFrame({"term": terms, "category": categories, "spelled": forms}).write_parquet(desk / TERMS)
        pl.DataFrame({"domain": labels, "weights": weights}).write_parquet(desk / WEIGHTS)
        schema = {"domain": pl.String(), "number": pl.Int64()}
        pl.DataFrame(allowed, schema=schema, orient="row").write_parquet(desk / ALLOWED_TERMS)

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add the columns of ``writes``; ``sensitive_terms`` names the heaviest of a document that has some score."""
        prepared = _load(str(desk), (desk / WEIGHTS).stat().st_mtime_ns)
        rows, table = prepared.with_others(batch["domain"])
        domains = _rows_of(batch["domain"], rows)
        hits = find(prepared.matcher, FlatText.of(batch["text"]))
        counted = counted_of(hits, prepared.forms, domains)
        weights = table[domains[counted.docs], counted.terms]
        score = scores(counted, weights, self._scale)
        told = np.flatnonzero((score[counted.docs] >= SHOWN_SCORE) & (weights > 0))
        heavy = (
            pl.DataFrame({"doc": counted.docs[told], "number": counted.terms[told], "n": counted.counts[told]})
            .with_columns(pl.Series("weight", weights[told] * counted.counts[told]))
            .with_columns(prepared.terms["term"].gather(counted.terms[told]))
            .with_columns(prepared.terms["category"].gather(counted.terms[told]))
            .sort("doc", "weight", "number", descending=[False, True, False])
        )
        shown = heavy.group_by("doc", maintain_order=True).agg(pl.col("term").head(SHOWN_TERMS).str.join(" "))
        heaviest = (
            heavy.group_by("doc", "category")
            .agg(pl.col("weight").sum())
            .sort("doc", "weight", "category", descending=[False, True, False])
            .unique("doc", keep="first", maintain_order=True)
        )
        named = pl.DataFrame({"doc": np.arange(len(batch))})
        named = named.join(shown, on="doc", how="left", maintain_order="left")
        named = named.join(heaviest, on="doc", how="left", maintain_order="left")
        informative = np.bincount(counted.docs, counted.counts * (weights > 0), len(batch))
        return batch.with_columns(
            pl.Series("sensitive_score", score, dtype=pl.Float32),
            named["category"].alias("sensitive_category"),
            named["term"].fill_null("").alias("sensitive_terms"),
            pl.Series("sensitive_hits", informative, dtype=pl.UInt32),
            pl.Series("veiled_share", hits.veiled_share, dtype=pl.Float32),
        )


def _largest_domains(survivors: Survivors, chosen: pl.Series) -> dict[str, int]:
    """Return the domains that get weights of their own, and their rows."""
    parts = [batch.select("domain", "chars") for batch in survivors.each(["domain", "chars"], only=chosen)]
    if not parts:
        return {}
    sizes = pl.concat(parts).group_by(pl.col("domain").fill_null("")).agg(pl.col("chars").cast(pl.Int64).sum())
    names = sizes.sort("chars", "domain", descending=[True, False])["domain"].head(MAX_DOMAINS).to_list()
    return {name: row for row, name in enumerate(names)}


def _rows_of(domains: pl.Series, rows: Mapping[str, int]) -> NDArray[np.int64]:
    """Return each document's row of weights; a domain without one has the last."""
    return np.array([rows.get(label, len(rows)) for label in domains.fill_null("").to_list()], np.int64)


def _unless_allowed(domain: str, allowed: Sequence[tuple[str, int]], terms: int) -> Floats:
    """Return 1 for each term, 0 for those that are allowed in a domain, shape (terms,)."""
    out = np.ones(terms)
    out[[n for word, n in allowed if word == EVERYWHERE or word.lower() in domain.lower()]] = 0.0
    return out


@dataclass(frozen=True)
class _Prepared:
    matcher: Matcher
    terms: pl.DataFrame  # term, category, spelled
    rows: dict[str, int]  # domain: its row of weights
    weights: Floats  # shape (domains + 1, terms)
    allowed: list[tuple[str, int]]

    @property
    def forms(self) -> NDArray[np.bool_]:
        """Return which terms are spelled in pinyin, shape (terms,)."""
        return self.terms["spelled"].to_numpy()

    def with_others(self, domains: pl.Series) -> tuple[dict[str, int], Floats]:
        """Return rows and weights with those of a batch's further domains: the last row, less what they allow."""
        more = [name for name in domains.fill_null("").unique().sort().to_list() if name not in self.rows]
        if not more:
            return self.rows, self.weights
        others = [self.weights[-1] * _unless_allowed(name, self.allowed, len(self.terms)) for name in more]
        rows = {**self.rows, **{name: len(self.rows) + n for n, name in enumerate(more)}}
        return rows, np.vstack([self.weights[:-1], *others])


@lru_cache(maxsize=2)
def _load(desk: str, written: int) -> _Prepared:
    """Read what prepare left; ``written`` is when, so that a new one is read anew."""
    terms = pl.read_parquet(Path(desk) / TERMS)
    weights = pl.read_parquet(Path(desk) / WEIGHTS)
    rows = {domain: n for n, domain in enumerate(weights["domain"].to_list()) if domain != ELSEWHERE}
    allowed = pl.read_parquet(Path(desk) / ALLOWED_TERMS).rows()
    return _Prepared(Matcher.of(terms["term"].to_list()), terms, rows, weights["weights"].to_numpy(), allowed)
