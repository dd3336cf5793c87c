from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from corpus.flat import FlatText

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
