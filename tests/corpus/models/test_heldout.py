from __future__ import annotations

import random

import numpy as np
import polars as pl

from corpus.flat import FlatText
from corpus.minhash import jaccard, shingle_sets
from corpus.models.heldout import clusters, is_held_out, text_keys

from ..made import prose


def test_the_hash_decides_and_the_share_is_kept() -> None:
    rng = random.Random(1)
    texts = [prose(rng, 1) for _ in range(20_000)]
    keys = text_keys(texts)
    assert abs(is_held_out(keys, 0.1).mean() - 0.1) < 0.01
    assert (is_held_out(keys, 0.1) <= is_held_out(keys, 0.2)).all()  # a larger share holds the same and more
    assert not is_held_out(keys, 0.0).any()
    assert is_held_out(keys, 1.0).all()
    assert (text_keys(texts[::-1]) == keys[::-1]).all()


def test_near_duplicates_are_one_cluster_and_a_chain_too() -> None:
    rng = random.Random(2)
    base = prose(rng, 20)
    chain = [base]
    for n in range(1, 8):  # each differs from the one before by a few characters, the last from the first by many
        at = n * 40
        chain.append(chain[-1][:at] + "改动几个字" + chain[-1][at + 5 :])
    others = [prose(rng, 20) for _ in range(30)]
    texts = [others[0], *chain, *others[1:], base, ""]
    roots = clusters(pl.Series(texts))
    hashes, offsets = shingle_sets(FlatText.of(pl.Series(texts)))
    assert jaccard(hashes, offsets, 1, 8) < 0.8 < jaccard(hashes, offsets, 1, 2)
    assert set(roots[1:9].tolist()) == {1}
    assert roots[38] == 1  # the exact copy
    apart = np.array([0, *range(9, 38), 39])
    assert (roots[apart] == apart).all()


def test_no_documents_and_no_duplicates() -> None:
    assert clusters(pl.Series([], dtype=pl.String)).tolist() == []
    assert clusters(pl.Series(["一二三四五六", "甲乙丙丁戊己"])).tolist() == [0, 1]
