from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from corpus.report.clusters import measure_clusters, roots_of

from ..everything import parquet


def write(folder: Path, rows: list[tuple[str, str | None, float | None]], *, side: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"id": pl.String, "duplicate_of": pl.String, "near_jaccard": pl.Float32}
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        title=pl.col("id") + "的题目", domain=pl.lit("新闻"), text=pl.lit("正文" * 100)
    )
    frame = frame if side == "rejected" else frame.drop("duplicate_of", "near_jaccard")
    frame.write_parquet(folder / "part-0.parquet")
    return [folder / "part-0.parquet"]


def test_chains_are_followed_to_the_root(tmp_path: Path) -> None:
    gone = [("b", "a", 0.9), ("c", "b", 0.8), ("d", "c", 0.85), ("e", "a", None), ("y", "x", None), ("z", None, None)]
    rejected = write(tmp_path / "r", gone, side="rejected")
    kept = write(tmp_path / "k", [("a", None, None), ("x", None, None)], side="kept")
    found = measure_clusters(kept, rejected)
    assert (found["clusters"], found["documents"]) == (2, 7)
    assert found["sizes"] == [
        {"from": 2, "to": 2, "clusters": 1, "duplicates": 1},
        {"from": 4, "to": 5, "clusters": 1, "duplicates": 4},
    ]
    (near,), (exact,) = found["near"], found["exact"]
    assert (near["size"], near["near"], near["exact"], near["root"]["title"]) == (5, 3, 1, "a的题目")
    assert [member["id"] for member in near["members"]] == ["b", "c", "d", "e"]
    assert (exact["size"], exact["root"]["id"], exact["members"][0]["jaccard"]) == (2, "x", None)
    assert len(near["root"]["text"]) < 200


def test_a_root_that_was_rejected_later_is_still_the_root(tmp_path: Path) -> None:
    rejected = write(tmp_path / "r", [("b", "a", 0.9), ("a", None, None)], side="rejected")
    (one,) = measure_clusters([], rejected)["near"]
    assert (one["root"]["id"], one["root"]["title"]) == ("a", "a的题目")


def test_without_duplicates_there_is_nothing(tmp_path: Path) -> None:
    assert measure_clusters([], [])["clusters"] == 0
    assert measure_clusters([], write(tmp_path / "r", [("a", None, None)], side="rejected"))["clusters"] == 0


def test_the_corpus_accounts_for_every_duplicate(everything: Path) -> None:
    clusters = json.loads((everything / "report.json").read_text(encoding="utf-8"))["clusters"]
    gone = parquet(everything / "rejected").filter(pl.col("duplicate_of").is_not_null())
    assert sum(one["duplicates"] for one in clusters["sizes"]) == len(gone)
    assert sum(one["clusters"] for one in clusters["sizes"]) == clusters["clusters"]
    assert clusters["documents"] == len(gone) + clusters["clusters"]
    for one in clusters["near"]:
        assert one["root"]["id"] not in set(gone["id"])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=300))
def test_roots_are_those_of_a_slow_walk(draws: list[int]) -> None:
    """A forest: document n + 1 hangs on one of those before it."""
    children = np.arange(1, len(draws) + 1)
    parents = np.array([draw % (n + 1) for n, draw in enumerate(draws)])
    up = dict(zip(children.tolist(), parents.tolist(), strict=True))

    def walk(n: int) -> int:
        while n in up:
            n = up[n]
        return n

    found = roots_of(children, parents, len(draws) + 1)
    assert found.tolist() == [walk(n) for n in children.tolist()]


def test_a_long_chain_and_a_circle_come_to_an_end() -> None:
    n = 5000
    assert set(roots_of(np.arange(1, n), np.arange(0, n - 1), n).tolist()) == {0}
    assert set(roots_of(np.array([0, 1]), np.array([1, 0]), 2).tolist()) <= {0, 1}
