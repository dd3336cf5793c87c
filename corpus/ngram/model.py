"""From texts to a character n-gram model: count, adjust, smooth, write.

What KenLM's lmplz does (interpolated modified Kneser-Ney, ``--discount_fallback``), by pip alone: KenLM's wheel only
queries. Equal input gives the same ARPA file, byte for byte. 12 MB of Chinese (5.3 million tokens, 6.6 million
n-grams) at order 5 take 2.0 CPU-s and 210 MB, and 1.5 CPU-s to write; lmplz takes 6.4 CPU-s for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.flat import CodePoints, FlatText
from corpus.ngram import arpa
from corpus.ngram.counts import MAX_ORDER, SPECIALS, WHITE_SPACE, Counter, flat_batches
from corpus.ngram.query import Ngrams, QueryTable
from corpus.ngram.scratch import Scratch
from corpus.ngram.smoothing import Discount, Smoothed, smooth
from corpus.ngram.trie import Trie, build, kept
from workbench.errors import ConfigError, InputError

DEFAULT_MEMORY = 2 << 30
MIN_MEMORY = 1 << 16

_DROP = dict.fromkeys(WHITE_SPACE)


@dataclass(frozen=True)
class NgramModel:
    """An estimated model, not yet written."""

    order: int
    prune: tuple[int, ...]  # for each order, the raw count up to which its n-grams are pruned
    documents: int
    tokens: int  # characters and one </s> a document
    vocabulary: CodePoints  # code point of each id, 0 for <unk>, <s>, </s>; shape (ids,)
    discounts: tuple[Discount, ...]  # one an order
    ngrams: tuple[int, ...]  # kept, one an order
    seen_ngrams: tuple[int, ...]  # before pruning
    trie: Trie
    smoothed: tuple[Smoothed, ...]

    @property
    def fallback_orders(self) -> tuple[int, ...]:
        """Orders whose discounts could not be estimated (text too small or repetitive): 0.5, 1, 1.5 were used."""
        return tuple(k for k, discount in enumerate(self.discounts, start=1) if discount.fallback)

    def write_arpa(self, path: Path) -> None:
        """Write the model as ARPA text, complete or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        arpa.write_arpa(path, self.trie, self.smoothed, self.prune, self.vocabulary)

    def query_table(self) -> QueryTable:
        """Return the model ready to score, with KenLM's scores of the ARPA file."""
        return QueryTable.of(self.vocabulary, [self._ngrams(k) for k in range(self.order)])

    def _ngrams(self, k: int) -> Iterator[Ngrams]:
        found = self.smoothed[k]
        for rows, tokens in kept(self.trie, k, self.prune[k], arpa.BLOCK):
            backoff = arpa.logarithms(found.backoff[rows] if len(found.backoff) else found.backoff)
            yield Ngrams(tokens, arpa.logarithms(found.probability[rows]), backoff)

    def summary(self) -> dict[str, Any]:
        """Return what a manifest keeps of it: sizes, discounts, fall-backs."""
        return {
            "order": self.order,
            "prune": list(self.prune),
            "documents": self.documents,
            "tokens": self.tokens,
            "characters": len(self.vocabulary) - SPECIALS,
            "ngrams": list(self.ngrams),
            "ngrams_before_pruning": list(self.seen_ngrams),
            "discounts": [list(discount.amounts) for discount in self.discounts],
            "fallback_orders": list(self.fallback_orders),
        }


def spaced(text: str) -> str:
    """Return a text as KenLM must see it to be scored: its tokens with one space between.

    A token is a character that is neither white space (``str.isspace``) nor NUL.
    """
    return " ".join(text.translate(_DROP))


def estimate(
    texts: Iterable[str] | Iterable[FlatText],
    order: int = 5,
    prune: Sequence[int] = (),
    memory_bytes: int = DEFAULT_MEMORY,
    scratch: Path | None = None,
) -> NgramModel:
    """Estimate an interpolated modified Kneser-Ney model over characters.

    Args:
        texts: Documents, as strings or as batches of code points; each is one sentence, be it empty.
        order: 1 to 5 (KenLM queries orders from 2 on).
        prune: For each order, prune n-grams that occur up to so many times, as ``lmplz --prune``; the last number holds
            for the orders that follow, none means no pruning.
        memory_bytes: At most about this much beyond the interpreter and its libraries. Text that does not fit is sorted
            in runs on disk, and the n-grams live in mapped files, whose pages the system can reclaim: up to 160 bytes
            of disk a token.
        scratch: A folder for those files; the system's temporary folder by default.

    Returns:
        The model, to be written.

    Raises:
        ConfigError: For an order, pruning or memory that makes no sense.
        InputError: If there is no text, or more than 4,294,967,295 characters of it.
        OutputError: If there is no place for scratch files.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError("order", f"{order} is not between 1 and {MAX_ORDER}", f"give 2 to {MAX_ORDER}")
    limits = thresholds(prune, order)
    if memory_bytes < MIN_MEMORY:
        raise ConfigError("memory_bytes", f"{memory_bytes:,} is too little", "give some hundred megabytes")
    place = Scratch(scratch)
    counter = Counter(order, memory_bytes, place)
    for batch in flat_batches(texts):
        counter.add(batch)
    blocks, bound = counter.finish()
    if len(counter.vocabulary) == SPECIALS:
        raise InputError("n-gram model", "there is no character in the text", "give it some documents")
    trie = build(blocks, bound, order, place)
    del blocks
    discounts, smoothed = smooth(trie, limits, place)
    return NgramModel(
        order=order,
        prune=limits,
        documents=counter.documents,
        tokens=counter.tokens,
        vocabulary=counter.vocabulary.copy(),
        discounts=discounts,
        ngrams=arpa.kept_counts(trie, limits),
        seen_ngrams=tuple(level.size for level in trie.levels),
        trie=trie,
        smoothed=smoothed,
    )


def thresholds(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """Return one pruning threshold an order.

    Raises:
        ConfigError: If there are too many, one decreases (an n-gram would lose its suffix), or the first is not 0.
    """
    given = tuple(prune) or (0,)
    if len(given) > order:
        raise ConfigError("prune", f"{len(given)} thresholds for order {order}", "give at most one an order")
    if given[0] != 0:
        raise ConfigError("prune", f"{given[0]} for single characters", "begin with 0: they are never pruned")
    if list(given) != sorted(given):
        raise ConfigError("prune", f"{' '.join(map(str, given))} decreases", "let it stay or grow with the order")
    return given + given[-1:] * (order - len(given))
