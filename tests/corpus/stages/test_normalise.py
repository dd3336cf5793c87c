from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.stages.normalise import Normalise


def normalise(*texts: str, keep_layout: bool = False) -> pl.DataFrame:
    batch = pl.DataFrame({"text": texts, "title": texts})
    return Normalise(keep_layout=keep_layout).mark(batch, Path())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ａｂｃ１２３％＠", "Abc123%@"),
        ("你好，世界！真的？（是）；对：", "你好，世界！真的？（是）；对："),  # Chinese punctuation stays full-width
        ("①㎡x²½", "①㎡x²½"),  # these mean more than their NFKC forms
        ("ﬁne ﬀ", "fine ff"),
        ("⽂⼈", "文人"),  # Kangxi radicals
        ("ｶﾀｶﾅ", "カタカナ"),
        ("甲\u3000\u00a0 乙", "甲 乙"),
        ("甲\u200b\ufeff\x00\u202e乙", "甲乙"),
        ("一\r\n二\r三\u2028四", "一\n二\n三\n四"),
        ("  一  \n\n\n\n  二  \n", "一\n\n二"),
        ("cafe\u0301", "café"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("<p>甲&nbsp;乙<br/>丙</p>", "甲 乙\n丙"),
        ("&lt;b&gt; &amp; &#20013;", "<b> & 中"),
        ("if a < b && c > d { x; }", "if a < b && c > d { x; }"),
        ("```\n<p>&nbsp;</p>\n```", "```\n<p>&nbsp;</p>\n```"),  # code is not markup
        ("```py\nif ａ:\n    x  =  '１'\n```\nＡ", "```py\nif ａ:\n    x  =  '１'\n```\nA"),  # a fence keeps all
        ("``` Ａ  没有结尾", "``` A 没有结尾"),  # no fence
        ("设 $ｘ_１ = ａ$ 时，Ａ成立", "设 $ｘ_１ = ａ$ 时，A成立"),
        ("卖 $５ 或 $６", "卖 $5 或 $6"),  # money
        ("我 想 知道 为 什 么 ， 他 用 python 写 。", "我想知道为什么，他用 python 写。"),
        ("王伟 李娜 张敏 刘洋 陈静", "王伟 李娜 张敏 刘洋 陈静"),
        ("床前明月光 疑是地上霜 举头望明月 低头思故乡", "床前明月光 疑是地上霜 举头望明月 低头思故乡"),
        ("关关雎鸠 在河之洲\n窈窕淑女 君子好逑", "关关雎鸠 在河之洲\n窈窕淑女 君子好逑"),
        ("<p>甲</p>\n```\n<p>\n```\n乙&amp;丙", "甲\n\n```\n<p>\n```\n乙&丙"),  # around a fence it is
        ("<p>甲</p>\n```没有结尾", "甲\n\n```没有结尾"),
        ("", ""),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert normalise(text)["text"][0] == expected


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_twice_is_once(text: str) -> None:
    once = normalise(text)["text"][0]
    if "&" not in once and "<" not in once:  # &amp;lt; resolves one level a time
        assert normalise(once)["text"][0] == once


def test_layout_is_kept_for_code() -> None:
    code = "def f():\n\treturn  'Ａ１'\n\n\n\nx"
    assert normalise(code, keep_layout=True)["text"][0] == code


def test_changes_are_counted() -> None:
    assert normalise("Ａ\x00b，")["normalised_chars"][0] == 2
    assert normalise("为 什 么 要 走 呢")["normalised_chars"][0] == 5


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_mojibake_is_repaired(codec: str) -> None:
    text = "人民网北京一月一日电，各地群众欢度元旦。"
    row = normalise(text.encode(codec).decode("latin-1"))
    assert row["text"][0] == text
    assert row["mojibake_repaired"][0]


def test_mojibake_in_some_lines() -> None:
    text = "正常的一行。\n" + "读错的一行，".encode().decode("latin-1") * 3
    assert normalise(text)["text"][0] == "正常的一行。\n" + "读错的一行，" * 3


def test_western_text_is_no_mojibake() -> None:
    text = "Das größte Café für Übergänge — naïve façade"
    row = normalise(text)
    assert row["text"][0] == text
    assert not row["mojibake_repaired"][0]
