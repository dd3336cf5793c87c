"""Near-duplicates: MinHash bands propose pairs, exact Jaccard similarity decides, connected documents form a cluster.

The band scheme (18 bands of 7 rows) proposes 99.9 % of the pairs at similarity 0.85 and 98.5 % at 0.80; whatever it
proposes is verified on the documents' full shingle sets, so nothing is removed on an estimate. Of each cluster the
first document read stays; every other names the neighbour it was compared with, and how similar they are. (Broder 1997;
Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3.)

With ``against`` the documents of an earlier corpus take part and come first; ``near_in`` says in which corpus the
neighbour is.

Cost: 250 MB per CPU-second for the signatures; of the documents only band keys are shuffled, never text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import FlatText, Offsets
from corpus.minhash import band_keys, enter, longest, mask_for, shingle_sets, signatures
from corpus.minhash import similarity as similarity_to
from corpus.stages.base import Survivors
from corpus.stages.earlier import NEW, Together
from workbench.compiled import compiled
from workbench.config import at_least, between, setting
from workbench.errors import ConfigError

CROWD = 24  # a bucket with more documents is compared with its first and with near neighbours, not all with all
REACH = 4


@dataclass(frozen=True)
class MinHash:
    """Give each document its band keys."""

    name: ClassVar[str] = "minhash"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("bands",)

    bands: int = setting(18, "bands; more find less similar pairs", check=at_least(1))
    rows: int = setting(7, "rows a band; bands * rows permutations at most 128", check=at_least(1))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``bands``: a list of 64-bit keys."""
        keys = band_keys(signatures(FlatText.of(batch["text"])), self.bands, self.rows)
        return batch.with_columns(pl.Series("bands", keys, dtype=pl.Array(pl.UInt64, self.bands)))


@dataclass(frozen=True)
class Near:
    """Verify the proposed pairs and name, for each document to go, the neighbour it resembles."""

    name: ClassVar[str] = "near"
    needs: ClassVar[tuple[str, ...]] = ("bands", "text", "id")
    reads: ClassVar[tuple[str, ...]] = ("doc",)
    writes: ClassVar[tuple[str, ...]] = ("near_of", "near_jaccard", "near_in")

    min_jaccard: float = setting(
        0.8, "similarity of 5-character shingle sets from which two are one", check=between(0, 1)
    )

    against: Path | None = setting(None, "an earlier corpus: what resembles a document of it is a duplicate")
    rows: int = setting(7, "rows a band, as minhash has them; only for against", check=at_least(1))

    def prepare(self, survivors: Survivors, desk: Path) -> None:
        """Propose, verify, cluster; write down who resembles whom."""
        documents: Survivors | Together = survivors
        if self.against is not None:
            documents = Together(survivors, self.against, "bands", self._bands_of(survivors), desk)
            documents.prepare()
        pairs = [propose_pairs(met) for met in documents.meet("bands", [])]
        proposed = np.unique(np.concatenate(pairs), axis=0) if pairs else np.empty((0, 2), np.uint64)
        if self.against is not None:
            proposed = proposed[proposed[:, 1] >= NEW]  # what the earlier corpus has twice is not asked
        docs = np.unique(proposed)
        ids, hashes, offsets = _shingles_of(documents, docs)
        left, right = np.searchsorted(docs, proposed[:, 0]), np.searchsorted(docs, proposed[:, 1])
        parents, similarity = cluster(left, right, hashes, offsets, self.min_jaccard)
        new = np.ones(len(docs), np.bool_) if self.against is None else docs >= NEW
        gone = np.flatnonzero((parents >= 0) & new)
        where = pl.Series("near_in", np.where(new[parents[gone]], "", str(self.against)), dtype=pl.String)
        table = pl.DataFrame(
            {
                "doc": docs[gone] - np.uint64(0 if self.against is None else NEW),
                "near_of": ids.gather(parents[gone]),
                "near_jaccard": similarity[gone],
                "near_in": where,
            },
            schema={"doc": pl.UInt64, "near_of": pl.String, "near_jaccard": pl.Float32, "near_in": pl.String},
        )
        table.with_columns(pl.col("near_in").replace("", None)).write_ipc(desk / "verdicts.arrow")

    def _bands_of(self, survivors: Survivors) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """Return the step that gives an earlier document its band keys: the one that gave this build's theirs.

        Raises:
            ConfigError: If ``rows`` is not what that step had.
        """
        for batch in survivors.each(["text", "bands"]):
            if not batch.is_empty():
                kind = batch.schema["bands"]
                assert isinstance(kind, pl.Array)
                step = MinHash(bands=kind.size, rows=self.rows)
                if not step.mark(batch.head(1), Path())["bands"].equals(batch["bands"].head(1)):
                    found = f"{self.rows} is not what minhash has, so no document of another corpus could be found"
                    raise ConfigError("near.rows", found, "give both steps the same rows")
                return lambda earlier: step.mark(earlier, Path())
        return lambda earlier: MinHash().mark(earlier, Path())

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``near_of``, ``near_jaccard``, ``near_in``; null for a document that stays."""
        return batch.join(pl.read_ipc(desk / "verdicts.arrow"), on="doc", how="left", maintain_order="left")


def propose_pairs(met: pl.DataFrame) -> NDArray[np.uint64]:
    """Return the pairs (earlier, later) of documents that share a key, shape (pairs, 2), each once.

    Args:
        met: Columns ``key`` and ``doc``, sorted by both, every key at least twice.
    """
    keys, docs = met["key"].to_numpy(), met["doc"].to_numpy()
    count = pair_buckets(keys, docs, np.empty((0, 2), np.uint64))
    pairs = np.empty((count, 2), np.uint64)
    pair_buckets(keys, docs, pairs)
    return np.unique(pairs, axis=0)


@compiled
def pair_buckets(keys: NDArray[np.uint64], docs: NDArray[np.uint64], pairs: NDArray[np.uint64]) -> int:
    """Write the pairs of every bucket (nothing is written if there is no room); return how many there are."""
    n, start = 0, 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        crowded = end - start > CROWD
        for later in range(start + 1, end):
            for earlier in range(start, later):
                if crowded and earlier != start and later - earlier > REACH:
                    continue
                if n < len(pairs):
                    pairs[n, 0], pairs[n, 1] = docs[earlier], docs[later]
                n += 1
        start = end
    return n


def _shingles_of(
    survivors: Survivors | Together, docs: NDArray[np.uint64]
) -> tuple[pl.Series, NDArray[np.uint32], Offsets]:
    """Return ids and shingle sets of the given documents (sorted by number)."""
    ids: list[pl.Series] = []
    parts: list[NDArray[np.uint32]] = []
    sizes: list[NDArray[np.int64]] = []
    for batch in survivors.each(["id", "text"], only=pl.Series("doc", docs, dtype=pl.UInt64), said="verify"):
        hashes, offsets = shingle_sets(FlatText.of(batch["text"]))
        ids.append(batch["id"])
        parts.append(hashes)
        sizes.append(np.diff(offsets))
    if not parts:
        return pl.Series("id", [], dtype=pl.String), np.empty(0, np.uint32), np.zeros(1, np.int64)
    return pl.concat(ids), np.concatenate(parts), np.concatenate([[0], np.cumsum(np.concatenate(sizes))])


def cluster(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    hashes: NDArray[np.uint32],
    offsets: Offsets,
    min_jaccard: float,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Join the pairs that are similar enough, and root each cluster at its first document.

    Args:
        left: Document of each pair, as a row of ``offsets``, shape (pairs,).
        right: The other one.
        hashes: Shingle sets, end to end.
        offsets: Where each document's set begins, shape (documents + 1,).
        min_jaccard: The least similarity of two documents that are one.

    Returns:
        For each document the neighbour through which it hangs on the document that stays (-1 if it stays itself), and
        their similarity.
    """
    count = len(offsets) - 1
    edges, similarity = verify(left, right, hashes, offsets, min_jaccard)
    parents = np.full(count, -1, np.int64)
    value = np.zeros(count, np.float32)
    neighbours: dict[int, list[tuple[int, float]]] = {}
    for (a, b), j in zip(edges.tolist(), similarity.tolist(), strict=True):
        neighbours.setdefault(a, []).append((b, j))
        neighbours.setdefault(b, []).append((a, j))
    seen: set[int] = set()
    for root in sorted(neighbours):
        if root in seen:
            continue
        seen.add(root)
        queue = [root]
        for here in queue:
            for other, j in neighbours[here]:
                if other not in seen:
                    seen.add(other)
                    parents[other], value[other] = here, j
                    queue.append(other)
    return parents, value


def verify(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    hashes: NDArray[np.uint32],
    offsets: Offsets,
    min_jaccard: float,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pairs, of those proposed, that join two clusters, and their similarity."""
    edges = np.empty((len(offsets), 2), np.int64)
    similarity = np.empty(len(offsets), np.float32)
    n = _verify(left, right, hashes, offsets, min_jaccard, edges, similarity)
    return edges[:n], similarity[:n]


@compiled
def _verify(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    hashes: NDArray[np.uint32],
    offsets: Offsets,
    min_jaccard: float,
    edges: NDArray[np.int64],
    similarity: NDArray[np.float32],
) -> int:
    root = np.arange(len(offsets) - 1)
    size = mask_for(longest(offsets)) + 1
    slots, marks = np.empty(size, np.uint32), np.zeros(size, np.int64)
    entered, mask = -1, 0  # whose set is in the table: pairs come sorted, so it serves several
    n = 0
    for p in range(len(left)):
        a, b = left[p], right[p]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a == b:
            continue  # already one: nothing to learn from comparing them
        small = min(offsets[left[p] + 1] - offsets[left[p]], offsets[right[p] + 1] - offsets[right[p]])
        large = max(offsets[left[p] + 1] - offsets[left[p]], offsets[right[p] + 1] - offsets[right[p]])
        if small < min_jaccard * large:
            continue  # sizes alone rule it out
        if entered != left[p]:
            entered = int(left[p])
            mask = mask_for(offsets[entered + 1] - offsets[entered])
            for k in range(offsets[entered], offsets[entered + 1]):
                enter(hashes[k], entered + 1, mask, slots, marks)
        j = similarity_to(hashes, offsets, entered, right[p], entered + 1, mask, slots, marks)
        if j >= min_jaccard:
            root[max(a, b)] = min(a, b)
            edges[n, 0], edges[n, 1] = left[p], right[p]
            similarity[n] = j
            n += 1
    return n
