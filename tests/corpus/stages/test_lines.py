from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.stages.lines import Lines


def lines(*texts: str) -> list[dict[str, float]]:
    return Lines().mark(pl.DataFrame({"text": texts}, schema={"text": pl.String}), Path()).to_dicts()


@given(st.lists(st.text("甲乙a….。 \n", max_size=60), min_size=1, max_size=4))
def test_shares_are_those_of_a_slow_count(texts: list[str]) -> None:
    for text, row in zip(texts, lines(*texts), strict=True):
        some = [line for line in (re.sub(r"\s", "", line) for line in text.split("\n")) if line]
        visible = max(1, sum(map(len, some)))
        assert row["short_line_char_share"] == pytest.approx(sum(len(x) for x in some if len(x) < 10) / visible)
        cut = sum(line.endswith(("…", "...", "。。。")) for line in some)
        assert row["cut_line_share"] == pytest.approx(cut / max(1, len(some)))


def test_a_menu_and_a_list_of_teasers() -> None:
    menu, teasers, prose = lines(
        "首页\n关于我们\n产品中心\n联系方式\n© 2019 某某公司 版权所有 备案号",
        "他们在河边写下一封信……\n老师在学校里整理了许多...\n今天没有新的消息。",
        "老师在学校里整理了许多问题，大家都很高兴。",
    )
    assert menu["short_line_char_share"] == pytest.approx(14 / 30)
    assert teasers["cut_line_share"] == pytest.approx(2 / 3)
    assert (prose["short_line_char_share"], prose["cut_line_share"]) == (0, 0)


def test_an_empty_text_has_no_lines() -> None:
    assert lines("")[0]["short_line_char_share"] == 0
