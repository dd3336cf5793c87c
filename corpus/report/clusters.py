"""Clusters of duplicates: every document that was rejected as one, gathered under the document that stands for it.

A near-duplicate names the neighbour it was compared with, which may itself have gone; so the chains of ``duplicate_of``
are followed to their end, the root, by pointer doubling (a chain of 1,000 links takes 10 rounds). A root can have been
rejected later, for another reason. Cost: 270,000 duplicates per CPU-second; titles and beginnings are read for the
few documents that are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

SIZES = ((2, 2), (3, 3), (4, 5), (6, 10), (11, 100), (101, 1000), (1001, None))
LARGEST = 8  # clusters shown: of those with near-duplicates, and of those of exact copies alone
MEMBERS = 5
SHOWN_CHARS = 120


def measure_clusters(kept: list[Path], rejected: list[Path]) -> dict[str, Any]:
    """Return how large the clusters are, and the largest with their root and some members.

    Args:
        kept: The parquet files of the kept documents.
        rejected: Those of the rejected.

    Returns:
        ``clusters``, ``documents`` (duplicates and roots), ``sizes`` (from, to, clusters, duplicates), and ``near`` and
        ``exact``: the largest clusters with near-duplicates, and of exact copies alone.
    """
    nothing: dict[str, Any] = {"clusters": 0, "documents": 0, "sizes": [], "near": [], "exact": []}
    if not rejected:
        return nothing
    scan = pl.scan_parquet(rejected, hive_partitioning=False)
    jaccard = pl.col("near_jaccard") if "near_jaccard" in scan.collect_schema() else pl.lit(None, pl.Float32)
    columns = ("id", "duplicate_of", jaccard.alias("jaccard"))
    edges = scan.filter(pl.col("duplicate_of").is_not_null()).select(columns).collect()
    if edges.is_empty():
        return nothing
    names = pl.concat([edges["id"], edges["duplicate_of"]]).unique()
    roots = roots_of(_places(names, edges["id"]), _places(names, edges["duplicate_of"]), len(names))
    found = edges.with_columns(
        pl.Series("root", names.gather(roots)), pl.col("jaccard").is_not_null().alias("near")
    ).filter(pl.col("id") != pl.col("root"))
    sums = found.group_by("root").agg(pl.len().alias("duplicates"), pl.col("near").sum().alias("near"))
    sums = sums.with_columns(size=pl.col("duplicates") + 1).sort("size", "root", descending=[True, False])
    sizes = [
        {"from": low, "to": high, "clusters": len(some), "duplicates": int(some["duplicates"].sum())}
        for low, high in SIZES
        if len(some := sums.filter((pl.col("size") >= low) & (pl.col("size") <= (high or 2**62))))
    ]
    near = sums.filter(pl.col("near") > 0).head(LARGEST)
    exact = sums.filter(pl.col("near") == 0).head(LARGEST)
    members = found.filter(pl.col("root").is_in(pl.concat([near["root"], exact["root"]]).implode()))
    members = members.sort("root", "near", "id", descending=[False, True, False])
    members = members.group_by("root", maintain_order=True).head(MEMBERS)
    texts = beginnings([*kept, *rejected], {*members["id"], *members["root"]})
    return {
        "clusters": len(sums),
        "documents": int(sums["size"].sum()),
        "sizes": sizes,
        "near": [_shown(row, members, texts) for row in near.iter_rows(named=True)],
        "exact": [_shown(row, members, texts) for row in exact.iter_rows(named=True)],
    }


def _places(names: pl.Series, ids: pl.Series) -> NDArray[np.int64]:
    """Return where each id stands among the names."""
    table = pl.DataFrame({"id": names, "place": np.arange(len(names))})
    joined = ids.to_frame("id").join(table, on="id", how="left", maintain_order="left")
    return joined["place"].to_numpy().astype(np.int64)


def roots_of(children: NDArray[np.int64], parents: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the root of each child.

    Args:
        children: Documents that name another, shape (edges,).
        parents: Whom they name; one that names nobody is a root.
        count: Documents in all.

    Returns:
        Shape (edges,). Of a circle, which no build makes, some member stands for all.
    """
    up = np.arange(count)
    up[children] = parents
    for _ in range(count.bit_length() + 1):
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    return up[children]


def beginnings(files: Sequence[Path], ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return title, domain and the first characters of some documents, by id."""
    if not files or not ids:
        return {}
    shown = pl.col("text").str.slice(0, SHOWN_CHARS)
    wanted = pl.Series(sorted(ids), dtype=pl.String).implode()
    out = {}
    for file in files:
        scan = pl.scan_parquet(file, hive_partitioning=False).filter(pl.col("id").is_in(wanted))
        for row in scan.select("id", "title", "domain", shown).collect().iter_rows(named=True):
            out[row["id"]] = row
    return out


def _shown(row: dict[str, Any], members: pl.DataFrame, texts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    some = members.filter(pl.col("root") == row["root"])
    shown = [
        {**texts.get(member["id"], {"id": member["id"]}), "jaccard": member["jaccard"]}
        for member in some.iter_rows(named=True)
    ]
    return {
        "size": row["size"],
        "near": int(row["near"]),
        "exact": int(row["duplicates"] - row["near"]),
        "root": texts.get(row["root"], {"id": row["root"]}),
        "members": shown,
    }
