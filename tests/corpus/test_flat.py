from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from corpus.flat import FlatText, filtered, respliced, rewritten

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), max_size=12)


@given(TEXTS)
def test_decoding_and_encoding_are_exact(texts: list[str]) -> None:
    flat = FlatText.of(pl.Series("text", texts, dtype=pl.String))
    assert flat.to_series().to_list() == texts
    assert flat.lengths.tolist() == [len(text) for text in texts]
    assert [flat.document(i) for i in range(len(flat))] == texts


def test_slices_and_nulls() -> None:
    series = pl.Series("text", ["甲乙", None, "𠀀b", ""])
    assert FlatText.of(series).to_series().to_list() == ["甲乙", "", "𠀀b", ""]
    assert FlatText.of(series[2:]).to_series().to_list() == ["𠀀b", ""]
    assert FlatText.of(series).chars.dtype == np.uint32


@given(TEXTS, st.data())
def test_documents_are_replaced_and_chosen(texts: list[str], data: st.DataObject) -> None:
    rows = st.integers(0, max(0, len(texts) - 1))
    new = data.draw(st.dictionaries(rows, st.text("墨a𠀀", max_size=9), max_size=len(texts))) if texts else {}
    wanted = [new.get(i, text) for i, text in enumerate(texts)]
    flat = FlatText.of(pl.Series("text", texts, dtype=pl.String))
    assert flat.replaced(new).to_series().to_list() == wanted
    chosen = data.draw(st.lists(rows, max_size=20)) if texts else []
    assert flat.rows(np.array(chosen, np.int64)).to_series().to_list() == [texts[i] for i in chosen]


def test_a_rewritten_column_stays_decoded_and_the_old_one_as_it_was() -> None:
    series = pl.Series("text", [f"第{n}篇" for n in range(100)])
    new = rewritten(series, {3: "三", 99: ""})
    assert new.to_list() == [{3: "三", 99: ""}.get(n, f"第{n}篇") for n in range(100)]
    assert FlatText.of(new).to_series().to_list() == new.to_list()
    assert series[3] == "第3篇"
    assert rewritten(series, {}) is series


@given(TEXTS, st.data())
def test_stretches_are_spliced(texts: list[str], data: st.DataObject) -> None:
    places, fresh, wanted = [], [], []
    for i, text in enumerate(texts):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
        new = [data.draw(st.text("墨a𠀀", max_size=4)) for _ in pairs]
        places += [(i, *pair) for pair in pairs]
        fresh += new
        ends = [0, *(end for _, end in pairs)]
        rest = [text[a:b] for a, b in zip(ends, [*(start for start, _ in pairs), len(text)], strict=True)]
        wanted.append("".join(a + b for a, b in zip(rest, [*new, ""], strict=True)))
    series = pl.Series("text", texts, dtype=pl.String)
    where = np.array(places, np.int64).reshape(-1, 3)
    flat = FlatText.of(series)
    assert flat.spliced(where, FlatText.of(pl.Series(fresh, dtype=pl.String))).to_series().to_list() == wanted
    assert flat.stretches(where) == [texts[i][start:end] for i, start, end in places]
    assert respliced(series, flat, where, FlatText.of(pl.Series(fresh, dtype=pl.String))).to_list() == wanted
    assert series.to_list() == texts


def test_a_filtered_column_stays_decoded() -> None:
    series = pl.Series("text", [f"第{n}篇" for n in range(200)])
    FlatText.of(series)
    kept = pl.Series([n % 3 > 0 for n in range(200)])
    out = series.filter(kept)
    filtered(series, kept, out)
    assert FlatText.of(out).to_series().to_list() == out.to_list()
