from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.stages.unfinished import Unfinished

FIVE = "天亮了。他醒了！谁在敲门？没有人。雨还在下。"
ENGLISH = "It rained. He woke. Who was it? Nobody. It still rained."


def cut(text: str) -> str:
    row = Unfinished().mark(pl.DataFrame({"text": [text]}), Path()).row(0, named=True)
    assert len(text) - len(row["text"]) == row["unfinished_chars"]
    return str(row["text"])


@pytest.mark.parametrize(
    "end",
    ["他走到门口时忽然", "这件事，还要从头说", "他说：", "“他还没有说完", " 他走到", "他说的是（", "于是，"],
)
def test_an_unfinished_sentence_goes(end: str) -> None:
    assert cut(FIVE + end) == FIVE


@pytest.mark.parametrize(
    "text",
    [
        FIVE,
        FIVE + "他说：“走吧。”",
        FIVE + "\n作者：张三",  # a line of its own
        FIVE + "\n（一）引言\n（二）方法",
        FIVE + "电话 12345",  # ends in no letter
        FIVE + "见 https://example.com/",
        "很好看，推荐给大家",  # a review
        "这本书不错。值得一看",  # few sentences: people write so
        FIVE + "字" * 150,  # no sentence
        "",
    ],
)
def test_what_is_finished_or_no_sentence_stays(text: str) -> None:
    assert cut(text) == text


def test_one_finished_sentence_is_enough_before_a_comma() -> None:
    assert cut("这本书不错。值得一看，") == "这本书不错。"


def test_closing_marks_stay_with_their_sentence() -> None:
    assert cut(FIVE + "他说：“走吧！”然后他就") == FIVE + "他说：“走吧！”"


def test_english() -> None:
    assert cut(f"{ENGLISH} Then he went to") == ENGLISH
    assert cut(f"{ENGLISH} It cost 3.5 dollars and he") == ENGLISH


@given(st.text(st.sampled_from("。！字a.，”\n "), max_size=30))
def test_what_is_left_is_the_beginning_and_needs_no_second_cut_at_a_stop(text: str) -> None:
    left = cut(text)
    assert text.startswith(left)
    assert left == text or left[-1] in "。！.”"
