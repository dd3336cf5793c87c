from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from corpus.sampling import half_of, keys_of, sample

KNOWN = [14378004352101923953, 17280346270528514342, 6637541307360774706]


class Documents:
    """Survivors in two shards that count how often they are swept."""

    def __init__(self, number: int) -> None:
        domains = [("新闻", "评论")[n % 2] for n in range(number)]
        columns = {"doc": range(number), "id": [f"x/{n}" for n in range(number)], "domain": domains, "chars": 10}
        self.frame = pl.DataFrame(columns).with_columns(pl.col("doc").cast(pl.UInt64), pl.col("chars").cast(pl.UInt32))
        self.sweeps = 0

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        self.sweeps += 1
        half = len(self.frame) // 2
        yield from (self.frame[:half].select("doc", *names), self.frame[half:].select("doc", *names))

    def lookup(self, docs: pl.Series, names: Sequence[str]) -> pl.DataFrame:
        raise NotImplementedError

    def meet(self, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        raise NotImplementedError


def test_keys_are_the_same_everywhere_and_well_mixed() -> None:
    ids = pl.Series([f"wudao/{n}" for n in range(10_000)])
    keys = keys_of(ids)
    assert keys_of(pl.Series(["wudao/1", "", "研墨"])).to_list() == KNOWN
    assert keys.n_unique() == len(ids)
    assert 4_800 < half_of(ids).sum() < 5_200
    assert keys_of(ids[7:9]).to_list() == keys[7:9].to_list()


def test_a_sample_has_its_size_its_domains_and_its_half_from_one_sweep() -> None:
    documents = Documents(1000)
    news = sample(documents, 1000, domains=["新闻"])
    assert len(news) == 100
    assert (news % 2 == 0).all()
    assert (sample(documents, 1000, domains=["新闻"], outside=True) % 2 == 1).all()
    halves = [set(sample(documents, 100_000, half=half)) for half in (0, 1)]
    assert not halves[0] & halves[1]
    assert len(halves[0] | halves[1]) == 1000
    assert documents.sweeps == 1
    assert len(sample(Documents(40), 1000)) == 40  # other documents are not taken for the last
    assert sample(Documents(0), 1000).is_empty()
