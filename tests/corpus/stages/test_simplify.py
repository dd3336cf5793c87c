from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

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
