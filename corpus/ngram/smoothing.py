"""Interpolated modified Kneser-Ney: discounts, backoffs and probabilities of every order.

Chen and Goodman 1998 (equation 26 for the discounts), in the arrangement and the single precision of Heafield et al.
2013, "Scalable Modified Kneser-Ney Language Model Estimation", section 3, so that the result equals lmplz's to the last
bit. With a the adjusted count, c a context, h its suffix, D the order's discount for a = 1, 2 and 3 or more:

    p(w | c) = (a(c w) - D(a(c w))) / sum_x a(c x) + backoff(c) p(w | h)
    backoff(c) = (sum_x D(a(c x)) over kept c x + sum_x a(c x) over pruned c x) / sum_x a(c x)

Level 0 is uniform over the vocabulary with ``</s>`` and ``<unk>``; ``<s>`` has probability 1 and is never predicted.
The context of each n-gram is found through the trie, without hashing or sorting: 6.6 million n-grams take 0.5 CPU-s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.ngram.counts import BOS, UNK
from corpus.ngram.runs import Counts
from corpus.ngram.scratch import Scratch
from corpus.ngram.trie import Level, Trie, adjusted
from workbench.compiled import compiled

FALLBACK = (0.5, 1.0, 1.5)  # as lmplz --discount_fallback

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Discount:
    """What one order takes from an adjusted count of 1, of 2, and of 3 or more."""

    amounts: tuple[float, float, float]
    counts_of_counts: tuple[int, int, int, int]  # n-grams whose adjusted count is 1, 2, 3, 4
    fallback: bool  # whether the closed form failed (a count of counts is zero, or a discount out of range)


@dataclass(frozen=True)
class Smoothed:
    """The estimates of one order, in the order of its level."""

    probability: Floats  # of the last token after the others, shape (n-grams,)
    backoff: Floats  # weight of the lower order after this n-gram, 1 where nothing follows, shape (n-grams,)


class Tally(NamedTuple):
    """What follows each context: work space, zeros at first."""

    total: Counts  # sum of adjusted counts, shape (contexts,)
    pruned: Counts  # the part of it that is pruned, shape (contexts,); (0,) without pruning
    kept: Counts  # kept n-grams whose adjusted count is 1, 2, 3 or more, shape (contexts, 3)


class Weights(NamedTuple):
    """How the n-grams of an order share their context's mass."""

    discount: Floats  # for an adjusted count of 0, 1, 2, 3 or more, shape (4,)
    total: Floats  # sum of adjusted counts, shape (contexts,)
    backoff: Floats  # mass left to the lower order, 1 where nothing follows, shape (contexts,)


def smooth(trie: Trie, prune: Sequence[int], scratch: Scratch) -> tuple[tuple[Discount, ...], tuple[Smoothed, ...]]:
    """Estimate every order.

    Args:
        trie: The n-grams with their counts.
        prune: For each order, the raw count up to which its n-grams are pruned; does not decrease, 0 for order 1.
        scratch: Where the arrays live.

    Returns:
        The discounts and the estimates, one of each an order.
    """
    discounts = tuple(_discount(trie, k) for k in range(trie.order))
    probability = [scratch.zeros(trie.levels[0].size, np.float32)]
    unigrams(trie.levels[0], _table(discounts[0]), probability[0])
    backoffs = []
    context = np.empty(0, np.uint32)
    for k in range(1, trie.order):
        lower, level = trie.levels[k - 1], trie.levels[k]
        context_of_suffix, context = context, scratch.zeros(level.size, np.uint32)
        if k == 1:
            context[:] = level.word  # the context of a bigram is its first token
        else:
            contexts(trie.levels[k - 2].child, lower, context_of_suffix, level.word, context)
        weights = Weights(
            _table(discounts[k]), scratch.zeros(lower.size, np.float32), scratch.zeros(lower.size, np.float32)
        )
        tally = Tally(
            scratch.zeros(lower.size, np.uint32),
            scratch.zeros(lower.size if prune[k] else 0, np.uint32),
            scratch.zeros((lower.size, 3), np.uint32),
        )
        count(level, context, prune[k], tally)
        weigh(tally, weights)
        del tally  # 20 bytes a context
        probability.append(scratch.zeros(level.size, np.float32))
        spread(level, context, weights, probability[-1])
        interpolate(context, weights.backoff, lower.child, probability[-2], probability[-1])
        backoffs.append(weights.backoff)
    backoffs.append(np.empty(0, np.float32))
    return discounts, tuple(Smoothed(p, b) for p, b in zip(probability, backoffs, strict=True))


def _table(discount: Discount) -> Floats:
    return np.array((0.0, *discount.amounts), np.float32)


def _discount(trie: Trie, k: int) -> Discount:
    """Work out one order's discounts from its counts of counts, pruned n-grams included."""
    level = trie.levels[k]
    n = counts_of_counts(level)
    if not level.highest and k < trie.last_depth:
        # lmplz enters the very last n-gram of each lower order with its raw count. One n-gram in millions, but the
        # discounts, and so every number of the model, are to be the same.
        for a, change in ((int(adjusted(level, level.size - 1)), -1), (int(level.raw[-1]), 1)):
            if a < len(n):
                n[a] += change
    amounts = closed_form(n)
    observed = (int(n[1]), int(n[2]), int(n[3]), int(n[4]))
    return Discount(FALLBACK if amounts is None else amounts, observed, amounts is None)


def closed_form(n: NDArray[np.int64]) -> tuple[float, float, float] | None:
    """Return Chen and Goodman's three discounts, None where they cannot be used.

    Args:
        n: How many n-grams have each adjusted count, shape (5,).
    """
    if not n[1:4].all():
        return None
    f = np.float32
    y = f(n[1]) / f(n[1] + 2.0 * n[2])
    amounts = [f(j) - f(j + 1) * y * f(n[j + 1]) / f(n[j]) for j in (1, 2, 3)]
    if any(not 0 <= amount <= j for j, amount in enumerate(amounts, start=1)):
        return None
    return float(amounts[0]), float(amounts[1]), float(amounts[2])


@compiled
def counts_of_counts(level: Level) -> NDArray[np.int64]:
    """Return how many n-grams have adjusted count 0 to 4."""
    n = np.zeros(5, np.int64)
    for i in range(len(level.word)):
        a = adjusted(level, i)
        if a < 5:
            n[a] += 1
    return n


@compiled
def unigrams(level: Level, discount: Floats, probability: Floats) -> None:
    """Fill the probabilities of single tokens."""
    total = np.int64(0)
    n = np.zeros(4, np.int64)
    for i in range(len(level.word)):
        a = adjusted(level, i)
        total += a
        n[min(a, 3)] += 1
    gamma = np.float32(0)
    for j in range(1, 4):
        gamma += discount[j] * np.float32(n[j])
    gamma /= np.float32(total)
    uniform = np.float32(1.0 / np.float64(len(level.word) - 1))  # with <unk>, without <s>
    for i in range(len(level.word)):
        a = adjusted(level, i)
        own = np.float32(0) if i == UNK else (np.float32(a) - discount[min(a, 3)]) / np.float32(total)
        probability[i] = np.float32(1) if i == BOS else own + gamma * uniform


@compiled
def contexts(grand_child: Counts, lower: Level, suffix_context: Counts, word: Counts, context: Counts) -> None:
    """Find the context (all tokens but the last) of each n-gram of order k >= 3 in level k - 1.

    The suffix s = w2..wk has the context c = w2..w(k-1) two levels down, and w1..w(k-1) is its child beginning with w1.
    Children are sorted by their first token on both sides, so each search goes on from the last.
    """
    for s in range(len(suffix_context)):
        at = np.int64(grand_child[suffix_context[s]])
        end = np.int64(grand_child[np.int64(suffix_context[s]) + 1])
        for i in range(np.int64(lower.child[s]), np.int64(lower.child[s + 1])):
            step = 1
            while at + step < end and lower.word[at + step] <= word[i]:  # gallop
                at += step
                step *= 2
            while step > 0:
                if at + step < end and lower.word[at + step] <= word[i]:
                    at += step
                step //= 2
            context[i] = at


@compiled
def count(level: Level, context: Counts, threshold: int, tally: Tally) -> None:
    """Add up what follows each context; n-grams whose raw count is not above the threshold are pruned."""
    for i in range(len(level.word)):
        a = adjusted(level, i)
        c = context[i]
        tally.total[c] += np.uint32(a)
        if level.raw[i] <= threshold:
            tally.pruned[c] += np.uint32(a)
        else:
            tally.kept[c, min(a, 3) - 1] += np.uint32(1)


@compiled
def weigh(tally: Tally, weights: Weights) -> None:
    """Fill the totals and backoffs of contexts."""
    for c in range(len(tally.total)):
        total = np.float32(tally.total[c])
        weights.total[c] = total
        weights.backoff[c] = np.float32(1)
        if total > 0:
            gamma = np.float32(0)
            for j in range(3):
                gamma += weights.discount[j + 1] * np.float32(tally.kept[c, j])
            if len(tally.pruned) > 0:
                gamma += np.float32(tally.pruned[c])
            weights.backoff[c] = gamma / total


@compiled
def spread(level: Level, context: Counts, weights: Weights, probability: Floats) -> None:
    """Fill each n-gram's own share of its context's mass, the lower order left out."""
    for i in range(len(level.word)):
        a = adjusted(level, i)
        probability[i] = (np.float32(a) - weights.discount[min(a, 3)]) / weights.total[context[i]]


@compiled
def interpolate(context: Counts, backoff: Floats, suffix_child: Counts, lower: Floats, upper: Floats) -> None:
    """Add the lower order's probability of the suffix, weighted by the context's backoff."""
    for s in range(len(lower)):
        for i in range(np.int64(suffix_child[s]), np.int64(suffix_child[s + 1])):
            upper[i] += backoff[context[i]] * lower[s]
