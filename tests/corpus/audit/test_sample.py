from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.audit.sample import a_number, a_share, allocate, index_of, texts_of

from ..everything import parquet


def files(corpus: Path, side: str = "kept") -> list[Path]:
    return sorted((corpus / side).rglob("*.parquet"))


def test_a_share_of_every_source_is_taken(everything: Path) -> None:
    index = index_of(files(everything), 0)
    assert sorted(index["id"]) == sorted(parquet(everything / "kept")["id"])
    chosen = a_share(index, 0.1)
    counts = dict(index["source"].value_counts().iter_rows())
    for source, count in chosen["source"].value_counts().iter_rows():
        assert count == math.ceil(0.1 * counts[source])
    assert set(chosen["source"]) == {"jsonl", "wudao"}
    assert a_share(index, 1.0).height == index.height


def test_a_number_is_spread_over_source_and_bucket(everything: Path) -> None:
    index = index_of(files(everything), 0)
    chosen = a_number(index, 60)
    assert chosen.height == 60
    assert chosen["id"].n_unique() == 60
    for (source, bucket), rows in index.group_by("source", "bucket"):
        got = chosen.filter((pl.col("source") == source) & (pl.col("bucket") == bucket)).height
        assert abs(got - 60 * rows.height / index.height) < 1
    assert a_number(index, 10**6).height == index.height


def test_the_seed_decides_and_nothing_else(everything: Path) -> None:
    parts = files(everything)
    one, again, other = (set(a_number(index_of(parts, seed), 50)["id"]) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    turned = set(a_number(index_of(parts[::-1], 1), 50)["id"])  # the order of the files does not matter
    assert turned == one


def test_a_larger_sample_holds_the_smaller(everything: Path) -> None:
    index = index_of(files(everything), 3)
    assert set(a_share(index, 0.1)["id"]) < set(a_share(index, 0.3)["id"])


@given(
    st.dictionaries(st.tuples(st.text("abc", min_size=1, max_size=2)), st.integers(1, 1000), min_size=1, max_size=8),
    st.integers(0, 3000),
)
def test_allocation_is_proportional_to_the_last_document(counts: dict[tuple[str, ...], int], number: int) -> None:
    out = allocate(counts, number)
    total = sum(counts.values())
    assert sum(out.values()) == min(number, total)
    for stratum, count in counts.items():
        assert 0 <= out[stratum] <= count
        if number < total:
            assert abs(out[stratum] - number * count / total) < 1


def test_texts_are_those_of_the_chosen(everything: Path) -> None:
    parts = files(everything)
    chosen = a_share(index_of(parts, 0), 0.2)
    read = pl.concat(list(texts_of(parts, chosen, ["id", "text", "no_such_column"])))
    assert sorted(read["id"]) == sorted(chosen["id"])
    texts = dict(parquet(everything / "kept").select("id", "text").iter_rows())
    assert all(texts[name] == text for name, text in read.select("id", "text").iter_rows())
    assert dict(read.select("id", "key").iter_rows()) == dict(chosen.select("id", "key").iter_rows())
    assert read["no_such_column"].null_count() == len(read)


def test_no_files() -> None:
    assert index_of([], 0).is_empty()
    assert a_share(index_of([], 0), 0.1).is_empty()
    assert a_number(index_of([], 0), 10).is_empty()


def test_only_some_documents(everything: Path) -> None:
    index = index_of(files(everything, "rejected"), 0, only=pl.col("reason") == "short")
    assert index.height == parquet(everything / "rejected").filter(pl.col("reason") == "short").height


@pytest.mark.parametrize(("number", "out"), [(3, {("a",): 1, ("b",): 2}), (0, {("a",): 0, ("b",): 0})])
def test_allocation_by_hand(number: int, out: dict[tuple[str, ...], int]) -> None:
    assert allocate({("a",): 10, ("b",): 20}, number) == out
