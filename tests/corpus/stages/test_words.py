from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from corpus.stages.words import Words


def words(text: str) -> dict[str, object]:
    return Words().mark(pl.DataFrame({"text": ["", text]}), Path()).row(1, named=True)


def test_counts_of_a_sentence() -> None:
    row = words("The cat sat on the mat, and that was 42 ...")
    assert row["words"] == 11
    assert row["mean_word_chars"] == pytest.approx(33 / 11)
    assert row["letter_word_share"] == pytest.approx(9 / 11)
    assert row["stop_words"] == 3  # the, and, that
    assert row["symbol_word_ratio"] == pytest.approx(1 / 11)


def test_lines() -> None:
    row = words("• one\n- two\nthree...\nfour…\nfive.")
    assert row["bullet_line_share"] == pytest.approx(2 / 5)
    assert row["ellipsis_line_share"] == pytest.approx(2 / 5)


def test_an_empty_text() -> None:
    row = Words().mark(pl.DataFrame({"text": [""]}), Path()).row(0, named=True)
    assert row["words"] == 0
    assert row["mean_word_chars"] == 0
