from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.stages.repetition import COLUMNS, REPEATED, TOP, Repetition

LETTERS = "甲乙ab1。， \n"


def repetition(*texts: str) -> list[dict[str, float]]:
    return Repetition().mark(pl.DataFrame({"text": texts}, schema={"text": pl.String}), Path()).to_dicts()


def slow_units(text: str) -> list[str]:
    return re.findall(r"[甲乙丙]|[ab1]+", text)


def slow_top(units: list[str], n: int) -> int:
    """Return the most characters that occurrences of one n-gram fill; occurrences are taken from the left."""
    best = 0
    for start in range(len(units) - n + 1):
        gram, times, p = units[start : start + n], 0, 0
        while p <= len(units) - n:
            hit = units[p : p + n] == gram
            times += hit
            p += n if hit else 1
        best = max(best, times * len("".join(gram)) if times > 1 else 0)
    return best


def slow_covered(units: list[str], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    covered: set[int] = set()
    for p in range(len(units) - n + 1):
        gram = tuple(units[p : p + n])
        if gram in seen:
            covered |= set(range(p, p + n))
        seen.add(gram)
    return sum(len(units[p]) for p in covered)


def slow_blocks(blocks: list[str]) -> tuple[float, int]:
    seen: set[str] = set()
    again = []
    for block in blocks:
        if block in seen:
            again.append(len(block))
        seen.add(block)
    return len(again) / max(1, len(blocks)), sum(again)


def slow(text: str) -> dict[str, float]:
    lines = [re.sub(r"\s", "", line) for line in text.split("\n")]
    paragraphs = "\n".join(lines).strip("\n")
    paragraphs_ = [block for block in re.split(r"\n{2,}", paragraphs) if block]
    visible = max(1, len("".join(lines)))
    line_share, line_chars = slow_blocks([line for line in lines if line])
    para_share, _ = slow_blocks(paragraphs_)
    seen: set[str] = set()
    para_chars = 0
    for block in paragraphs_:
        para_chars += len(block.replace("\n", "")) if block in seen else 0
        seen.add(block)
    units = slow_units(text)
    whole = max(1, len("".join(units)))
    return {
        "dup_line_share": line_share,
        "dup_line_char_share": line_chars / visible,
        "dup_para_share": para_share,
        "dup_para_char_share": para_chars / visible,
        **{f"top_{n}gram_share": slow_top(units, n) / whole for n in TOP},
        **{f"dup_{n}gram_share": slow_covered(units, n) / whole for n in REPEATED},
    }


repetitive = st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=3).flatmap(
    lambda parts: st.lists(st.sampled_from(parts), max_size=12).map("".join)
)


@given(st.lists(st.one_of(st.text(LETTERS, max_size=60), repetitive), min_size=1, max_size=4))
def test_shares_are_those_of_a_slow_count(texts: list[str]) -> None:
    for text, row in zip(texts, repetition(*texts), strict=True):
        assert {name: row[name] for name in COLUMNS} == pytest.approx(slow(text), abs=1e-6), text


def test_top_never_exceeds_the_text_where_occurrences_overlap() -> None:
    (row,) = repetition("哈" * 100)
    assert row["top_3gram_share"] == pytest.approx(0.99)  # 33 times 3
    assert row["dup_8gram_share"] == pytest.approx(0.99)


def test_a_unit_is_a_hanzi_or_a_word() -> None:
    (chinese, english) = repetition("研墨写字" * 2, "grinding the ink before the writing " * 2)
    assert chinese["top_3gram_share"] == pytest.approx(6 / 8)
    assert english["top_3gram_share"] == pytest.approx(2 * len("beforethewriting") / 60)
    assert english["dup_8gram_share"] == 0  # of twelve words the fifth 8-gram is the last, and a new one


def test_white_space_and_punctuation_make_no_difference() -> None:
    one, other = repetition("天地玄黄，宇宙洪荒。天地玄黄，宇宙洪荒。", "天地 玄黄\n宇宙洪荒！（天地玄黄；宇宙洪荒）")
    names = [name for name in COLUMNS if "gram" in name]
    assert [one[name] for name in names] == [other[name] for name in names]


def test_repeated_lines_and_paragraphs() -> None:
    (row,) = repetition("首页 新闻\n\n正文第一句话在这里。\n首页  新闻\n\n首页新闻\n")
    assert row["dup_line_share"] == pytest.approx(2 / 4)
    assert row["dup_line_char_share"] == pytest.approx(8 / 22)
    assert row["dup_para_share"] == pytest.approx(1 / 3)
    assert row["dup_para_char_share"] == pytest.approx(4 / 22)


def test_an_empty_text_repeats_nothing() -> None:
    for row in repetition("", "\n \n", "……"):
        assert all(row[name] == 0 for name in COLUMNS)
