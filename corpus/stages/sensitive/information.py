"""What a hit tells: how rare its term is in the ordinary documents of a domain.

Word lists are over-broad, and which of their terms mean nothing depends on the corpus: 月经 in medicine, 政府 in news.
So a term weighs the information of meeting it: with ``rate`` the documents that contain it per character of ordinary
text, 0 where it is common (once in 10,000 characters), 1 where it is rare (once in 10 million), in between by the
logarithm (inverse document frequency; Spärck Jones 1972). A domain's rate is shrunk to that of the whole corpus by as
much as the domain has little text.

Which documents are ordinary is found by turns: all of them first, then those that the weights do not call sensitive.
Starting from all, the estimate errs towards keeping documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.stages.sensitive.match import Hits

COMMON, RARE = 1e-4, 1e-7  # documents per character: the rates of weight 0 and of weight 1
CORPUS_PRIOR_CHARS = 1e6  # characters of text in which a term is RARE, added to the corpus
DOMAIN_PRIOR_CHARS = 2e5  # characters of text of the whole corpus's rate, added to a domain
TURNS = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counted:
    """A sample's hits: one row a document and distinct term, sorted by document."""

    docs: NDArray[np.int64]
    terms: NDArray[np.int64]
    counts: NDArray[np.int64]  # occurrences, a veiled one counts double
    chars: NDArray[np.int64]  # shape (documents,)
    domains: NDArray[np.int64]  # shape (documents,); the number after the last domain is "any other"


@dataclass(frozen=True)
class Scale:
    """What density and breadth make a score of 1."""

    per_1000: float  # informative hits per 1,000 characters
    breadth: float  # informative distinct terms
    floor_chars: int  # a shorter text counts as this long


def counted_of(hits: Hits, forms: NDArray[np.bool_], domains: NDArray[np.int64], first: int = 0) -> Counted:
    """Count the hits of a batch by document and term.

    Args:
        hits: What was found.
        forms: Which terms are veiled by themselves, shape (terms,).
        domains: The number of each document's domain.
        first: The number of the batch's first document.
    """
    terms = len(forms)
    keys, places = np.unique(hits.docs * terms + hits.terms, return_inverse=True)
    counts = np.bincount(places, 1 + (hits.veiled | forms[hits.terms]), len(keys)).astype(np.int64)
    return Counted(keys // terms + first, keys % terms, counts, hits.chars, domains)


def joined(parts: Sequence[Counted]) -> Counted:
    """Return the counts of all batches as one."""
    columns = [np.concatenate([np.empty(0, np.int64), *column]) for column in zip(*map(_columns, parts), strict=True)]
    return Counted(*columns) if parts else Counted(*[np.empty(0, np.int64)] * 5)


def _columns(part: Counted) -> tuple[NDArray[np.int64], ...]:
    return part.docs, part.terms, part.counts, part.chars, part.domains


def scores(counted: Counted, weights: Floats, scale: Scale) -> Floats:
    """Return each document's score: density of informative hits, times breadth as far as it is short of enough.

    Args:
        counted: The hits.
        weights: The weight of each row of ``counted``.
        scale: What makes 1.
    """
    n = len(counted.chars)
    dense = np.bincount(counted.docs, weights * counted.counts, n)
    broad = np.bincount(counted.docs, weights, n)
    per_1000 = 1000 * dense / np.maximum(counted.chars, scale.floor_chars)
    score: Floats = per_1000 / scale.per_1000 * np.minimum(broad / scale.breadth, 1.0)
    return score


def information(rates: Floats) -> Floats:
    """Return the weight of a rate: 1 if rare, 0 if common, by the logarithm in between."""
    weights: Floats = np.clip(np.log(COMMON / rates) / np.log(COMMON / RARE), 0.0, 1.0)
    return weights


def estimate(counted: Counted, factors: Floats, floors: Floats, scale: Scale) -> Floats:
    """Estimate what each term tells in each domain.

    Args:
        counted: The hits of the reference.
        factors: What a term's information is multiplied by, shape (domains + 1, terms); the last row is for any
            other domain.
        floors: The least information of a term, however common it is; shape (terms,).
        scale: What makes a score of 1.

    Returns:
        Weights, shape (domains + 1, terms).
    """
    ordinary = np.ones(len(counted.chars), np.bool_)
    weights, shape = factors, (factors.shape[0], factors.shape[1])
    for _ in range(TURNS):
        weights = factors * np.maximum(information(_rates(counted, ordinary, shape)), floors)
        found = scores(counted, weights[counted.domains[counted.docs], counted.terms], scale)
        if np.array_equal(found < 1, ordinary):
            break
        ordinary = found < 1
    return weights


def _rates(counted: Counted, ordinary: NDArray[np.bool_], shape: tuple[int, int]) -> Floats:
    """Return documents with the term per character, shape (domains + 1, terms): domains, then all together."""
    rows, terms = shape
    keep = ordinary[counted.docs]
    cell = counted.domains[counted.docs[keep]] * terms + counted.terms[keep]
    documents = np.bincount(cell, minlength=rows * terms).reshape(rows, terms).astype(np.float64)
    chars = np.bincount(counted.domains[ordinary], counted.chars[ordinary], rows)
    whole = (documents.sum(axis=0) + CORPUS_PRIOR_CHARS * RARE) / (chars.sum() + CORPUS_PRIOR_CHARS)
    each: Floats = (documents + DOMAIN_PRIOR_CHARS * whole) / (chars + DOMAIN_PRIOR_CHARS)[:, None]
    each[-1] = whole
    return each
