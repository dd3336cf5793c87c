from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.characters import class_table
from corpus.flat import FlatText
from corpus.stages.shape import Shape, count_repeats


def shape(*texts: str) -> list[dict[str, object]]:
    return Shape().mark(pl.DataFrame({"text": texts}), Path()).to_dicts()


def slow_repeats(text: str, n: int) -> int:
    text = text.replace(" ", "")
    seen: set[str] = set()
    covered: set[int] = set()
    for i in range(len(text) - n + 1):
        if text[i : i + n] in seen:
            covered |= set(range(i, i + n))
        seen.add(text[i : i + n])
    return len(covered)


@given(st.lists(st.text(st.sampled_from("甲乙丙a "), max_size=80), min_size=1, max_size=5), st.integers(2, 6))
def test_repeats_are_those_of_a_slow_count(texts: list[str], n: int) -> None:
    flat = FlatText.of(pl.Series("text", texts, dtype=pl.String))
    found = np.zeros(len(texts), np.int64)
    count_repeats(flat.chars, flat.offsets, class_table(), n, found)
    assert found.tolist() == [slow_repeats(text, n) for text in texts]


def test_shares_and_lines() -> None:
    (row,) = shape("研墨，写字。\n\nabcd 12\n")
    assert row["chars"] == 12  # white space is not counted
    assert row["lines"] == 2
    assert row["mean_line_chars"] == 6
    assert row["han_share"] == pytest.approx(4 / 12)
    assert row["latin_share"] == pytest.approx(4 / 12)
    assert row["digit_share"] == pytest.approx(2 / 12)
    assert row["punctuation_share"] == pytest.approx(2 / 12)
    assert row["stop_line_share"] == 0.5


def test_empty_text_has_no_shares() -> None:
    (row,) = shape("")
    assert (row["chars"], row["lines"], row["han_share"]) == (0, 0, 0)


def test_broken_characters() -> None:
    (row,) = shape("正常文字\ufffd\ufffd\ue000\x85")
    assert row["broken_share"] == pytest.approx(3 / 7)  # the C1 control is white space to Unicode
