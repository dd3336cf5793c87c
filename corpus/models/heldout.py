"""Which documents are held out: by the hash of their text, so that the same document is on the same side in every run.

White space does not count. For a classifier the unit is a cluster of near-duplicates (MinHash bands propose, exact
Jaccard similarity of 5-character shingles decides, as ``corpus.stages.near`` does in a build): a document that
resembles a training document is never held out. Cost: 250 MB per CPU-second for the
hash, 32 for the clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from corpus.flat import FlatText
from corpus.minhash import band_keys, shingle_sets, signatures
from corpus.stages.near import MinHash, Near, cluster, propose_pairs

Keys = NDArray[np.uint64]


def text_keys(texts: Sequence[str]) -> Keys:
    """Return a 64-bit key of each spaced text (``corpus.spacing``), shape (documents,)."""
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode()) for text in texts), np.uint64, len(texts))


def is_held_out(keys: Keys, share: float) -> NDArray[np.bool_]:
    """Tell which keys are in the first ``share`` of all 64-bit numbers."""
    return keys < np.uint64(min(2**64 - 1, int(share * 2**64)))


def clusters(texts: pl.Series) -> NDArray[np.int64]:
    """Return for each document the first document of its cluster of near-duplicates, shape (documents,).

    Two documents are in one cluster if a chain of pairs joins them, each as similar as near-duplicates of a build.

    Args:
        texts: The documents, white space dropped.
    """
    scheme, root = MinHash(), np.arange(len(texts))
    keys = band_keys(signatures(FlatText.of(texts)), scheme.bands, scheme.rows)
    met = pl.DataFrame({"key": keys.ravel(), "doc": np.repeat(root.astype(np.uint64), scheme.bands)})
    met = met.filter(pl.len().over("key") > 1).sort("key", "doc")
    pairs = propose_pairs(met).astype(np.int64)
    docs = np.unique(pairs)
    if not len(docs):
        return root
    hashes, offsets = shingle_sets(FlatText.of(texts.gather(docs)))
    left, right = np.searchsorted(docs, pairs[:, 0]), np.searchsorted(docs, pairs[:, 1])
    parents, _ = cluster(left, right, hashes, offsets, Near().min_jaccard)
    while (above := np.where(parents >= 0, parents[parents], -1)).max() >= 0:  # halves the way to the root
        parents = np.where(above >= 0, above, parents)
    joined = parents >= 0
    root[docs[joined]] = docs[parents[joined]]
    return root
