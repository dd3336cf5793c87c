from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from corpus.flat import FlatText
from corpus.minhash import band_keys, jaccard, shingle_sets, signatures
from corpus.stages.near import cluster, propose_pairs


def sets_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return shingle_sets(FlatText.of(pl.Series("text", texts, dtype=pl.String)))


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12))
def test_pairs_are_those_that_share_a_key(keys: list[int]) -> None:
    rows = pl.DataFrame({"key": keys, "doc": list(range(len(keys)))}, schema={"key": pl.UInt64, "doc": pl.UInt64})
    met = rows.filter(pl.col("key").is_duplicated()).sort("key", "doc")
    expected = {(a, b) for a in range(len(keys)) for b in range(a + 1, len(keys)) if keys[a] == keys[b]}
    assert {tuple(pair) for pair in propose_pairs(met).tolist()} == expected


def test_a_crowd_is_chained_not_squared() -> None:
    met = pl.DataFrame({"key": [7] * 5000, "doc": range(5000)}, schema={"key": pl.UInt64, "doc": pl.UInt64})
    pairs = propose_pairs(met)
    assert len(pairs) < 5 * 5000 + 5000
    assert set(pairs[:, 1].tolist()) == set(range(1, 5000))  # each is compared with an earlier one


def test_clusters_hang_on_their_first_document_by_verified_edges() -> None:
    base = "".join(chr(0x4E00 + i) for i in range(200))
    texts = [base, base[:190], base[:180], "别的" * 100, base[:20]]
    hashes, offsets = sets_of(texts)
    left, right = np.array([0, 1, 0, 0]), np.array([1, 2, 3, 4])
    parents, similarity = cluster(left, right, hashes, offsets, 0.9)
    assert parents.tolist() == [-1, 0, 1, -1, -1]
    assert similarity[1] == np.float32(jaccard(hashes, offsets, 0, 1))
    assert similarity[2] == np.float32(jaccard(hashes, offsets, 1, 2))


def test_the_threshold_is_inclusive() -> None:
    hashes, offsets = sets_of(["一二三四五", "一二三四五"])
    parents, _ = cluster(np.array([0]), np.array([1]), hashes, offsets, 1.0)
    assert parents.tolist() == [-1, 0]


def test_bands_find_what_is_similar() -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        chars = rng.integers(0x4E00, 0x9000, 400)
        other = chars.copy()
        other[rng.choice(400, 5, replace=False)] += 1  # Jaccard about 0.88
        texts = ["".join(map(chr, chars)), "".join(map(chr, other))]
        keys = band_keys(signatures(FlatText.of(pl.Series("text", texts))), 18, 7)
        found += bool((keys[0] == keys[1]).any())
    assert found >= 199
