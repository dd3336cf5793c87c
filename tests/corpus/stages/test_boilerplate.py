from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from corpus.stages.boilerplate import Boilerplate, kind_of

BODY = "今天上午，全市召开了植树工作会议，布置了春季的任务。"


def cut(text: str) -> tuple[str, set[str]]:
    row = Boilerplate().mark(pl.DataFrame({"text": ["别的文章。", text]}), Path()).row(1, named=True)
    return row["text"], set(filter(None, row["boilerplate_kinds"].split(",")))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("（责任编辑：王某某）", "editor"),
        ("责编/李某 校对/张某", "editor"),
        ("原标题：春天来了", "original_title"),
        ("本文来源：某某网 作者：佚名", "source"),
        ("未经授权不得转载", "reprint"),
        ("点击进入专题：春季植树", "click"),
        ("欢迎关注我们的微信公众号，扫描二维码下载客户端", "follow"),
        ("首页 | 上一篇 | 下一篇 | 返回顶部", "navigation"),
        ("请记住本站网址，最新章节抢先看", "novel"),
        ("某某娱乐城注册送88元，信誉第一", "advert"),
        ("加微信123456，客服在线，注册即送礼，秒到账", "advert"),
    ],
)
def test_lines_that_go(line: str, kind: str) -> None:
    assert kind_of(line) == kind
    assert cut(f"{BODY}\n{line}\n{BODY}") == (f"{BODY}\n{BODY}", {kind})


@pytest.mark.parametrize(
    "line",
    [
        "他做了三十年责任编辑，校对过上千部书稿。",
        "点击率上升了三成，说明读者喜欢这样的栏目。",
        "这条河的来源至今没有定论，地理学家各执一词。",
        "公安机关查处了一个网络赌场，抓获嫌疑人十二名。",
        "首页设计要简洁，让人一眼看到想找的内容。",
        "请关注天气变化，注意防寒保暖。",
        "版权保护是创新的基础。",
        "",
    ],
)
def test_text_that_speaks_of_such_things_stays(line: str) -> None:
    assert kind_of(line) is None
    assert cut(f"{BODY}\n{line}") == (f"{BODY}\n{line}", set())


def test_a_tail_of_a_single_line() -> None:
    assert cut(f"{BODY}（责任编辑：王某）")[0] == BODY
    assert cut(f"{BODY} 责任编辑：王某")[0] == BODY
    assert cut(f"{BODY}他说：编辑：“好。”")[0] == f"{BODY}他说：编辑：“好。”"


def test_columns() -> None:
    text = f"{BODY}\n责任编辑：王某"
    out = Boilerplate().mark(pl.DataFrame({"text": [text, BODY]}), Path())
    assert out["text"].to_list() == [BODY, BODY]
    assert out["boilerplate_chars"].to_list() == [len(text) - len(BODY), 0]
    assert out["boilerplate_kinds"].to_list() == ["editor", ""]
