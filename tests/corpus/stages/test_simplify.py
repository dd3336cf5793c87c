from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC

from corpus.stages.simplify import Simplify


def simplify(text: str) -> tuple[str, int]:
    row = Simplify().mark(pl.DataFrame({"text": [text], "title": [text]}), Path()).row(0, named=True)
    assert row["title"] == row["text"]
    return row["text"], row["simplified_chars"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("學習書法對寫字很有幫助", "学习书法对写字很有帮助"),
        ("乾隆皇帝的著作", "乾隆皇帝的著作"),
        ("這裡很乾燥", "这里很干燥"),
        ("在瞭望塔上瞭解情況", "在瞭望塔上了解情况"),
    ],
)
def test_conversion(text: str, expected: str) -> None:
    assert simplify(text)[0] == expected


def test_simplified_text_is_not_touched() -> None:
    text = "他们在河边写字，水很清。The river was clear. 干燥 发展 头发 里面"
    assert simplify(text) == (text, 0)


def test_count() -> None:
    assert simplify("學a習")[1] == 2


def test_of_a_simplified_text_only_the_clauses_with_a_traditional_character_are_converted() -> None:
    plain = (
        "全局一坏，那就全完了，大家都在河边写字，水很清。" * 3
    )  # OpenCC takes 坏 for traditional, and makes 坯 of it
    assert simplify(f"{plain}他說：學習\n很好。{plain}")[0] == f"{plain}他说：学习\n很好。{plain}"


@given(st.lists(st.text("學習书法很，。\n a乾隆燥", max_size=30), max_size=9))
def test_what_is_converted_is_what_opencc_makes_of_it(texts: list[str]) -> None:
    got = Simplify().mark(
        pl.DataFrame({"text": texts, "title": texts}, schema=dict.fromkeys(("text", "title"), pl.String)), Path()
    )
    convert = OpenCC("t2s").convert
    wanted = [convert(text) if marked else text for text, marked in zip(texts, got["simplified_chars"], strict=True)]
    assert got["text"].to_list() == wanted  # 乾燥, 乾隆: no phrase goes across the end of a clause


def test_more_clauses_than_there_is_room_for_at_first() -> None:
    assert simplify("他说话说话说话说话说话說，" * 200) == ("他说话说话说话说话说话说，" * 200, 200)
