from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources.books import chapters, without_frame
from corpus.sources.unwrap import find_margin, unwrap
from tests.corpus.sources.reading import read

PARAGRAPH = "话说这一天的早上，天还没有大亮，他就已经起来了，先到院子里走了一走，看见那几棵树上的叶子都落了下来，心里不免有一点难过。"
ENGLISH = (
    "It was a bright cold day in the village, and the people who had come down from the hills were standing about in the"
    " square, talking of the weather and of the price of wool, as they had done every year since anyone could remember."
)


def wrap_hanzi(text: str, width: int) -> str:
    return "\n".join(text[n : n + width] for n in range(0, len(text), width))


def test_wrapped_chinese_is_joined_without_a_space() -> None:
    wrapped = "\n".join("　　" + wrap_hanzi(PARAGRAPH * 3, 36) for _ in range(4))
    assert unwrap(wrapped) == "\n".join(["　　" + PARAGRAPH * 3] * 4)


def test_wrapped_english_is_joined_with_a_space() -> None:
    wrapped = "\n\n".join(textwrap.fill(ENGLISH * n, 70, break_on_hyphens=False) for n in (2, 1, 3))
    assert unwrap(wrapped).split("\n\n") == [" ".join((ENGLISH * n).split()) for n in (2, 1, 3)]


def test_scans_that_break_off_in_mid_sentence() -> None:
    lines = [
        PARAGRAPH[:40] + " ",
        "撰方 ",
        "，疗治疾苦，其功如此。自古以来的人都这样说的，我也是这样想的，所以写在这里给后来的人 ",
    ] * 6
    joined = unwrap("\n".join(lines))
    assert "撰方，疗治疾苦" in joined
    assert "\n，" not in joined


@pytest.mark.parametrize(
    "text",
    [
        "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。\n" * 4,
        "\n".join(f"{n}. 第{n}件事，要先做好。" for n in range(30)),
        "\n".join("段" * (200 + n) + "。" for n in range(10)),
        "书名：某书\n作者：某人\n朝代：清\n年份：1644\n",
    ],
)
def test_verse_lists_and_long_lines_stay(text: str) -> None:
    assert unwrap(text) == text


def test_headings_and_labels_inside_a_wrapped_text_stay() -> None:
    body = wrap_hanzi(PARAGRAPH * 4, 36)
    text = f"<篇名>某篇\n书名：某书\n{body}\n第二章 后来的事\n{body}"
    lines = unwrap(text).split("\n")
    assert lines[:2] == ["<篇名>某篇", "书名：某书"]
    assert "第二章 后来的事" in lines


@settings(max_examples=60)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=8), st.integers(20, 50))
def test_joining_loses_no_character(sizes: list[int], width: int) -> None:
    text = "\n\n".join(wrap_hanzi(PARAGRAPH * size, width) for size in sizes)
    assert unwrap(text).replace("\n", "") == text.replace("\n", "")
    assert find_margin(text.split("\n")) is not None


GUTENBERG = f"""The Project Gutenberg EBook of A Book

Title: A Book

*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK ***

CHAPTER I. The First

{ENGLISH}

CHAPTER II. The Second

{ENGLISH}

*** END OF THIS PROJECT GUTENBERG EBOOK A BOOK ***

licence
"""


def test_gutenbergs_frame_is_cut_and_its_title_kept(tmp_path: Path) -> None:
    (tmp_path / "pg1.txt").write_text(GUTENBERG, encoding="utf-8")
    found = read("books", tmp_path)
    assert found.titles == ["A Book"]
    assert found.texts[0].startswith("CHAPTER I. The First")
    assert found.texts[0].endswith("remember.")
    assert without_frame("no frame\n") == "no frame"
    parts = read("books", tmp_path, document="chapter")
    assert parts.keys == ["pg1.txt#001", "pg1.txt#002"]
    assert parts.titles == ["A Book CHAPTER I. The First", "A Book CHAPTER II. The Second"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_chapters_of_a_chinese_book_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    book = f"某书\n\n目录\n第一回 起\n第二回 承\n\n楔子。\n\n第一回 起\n{PARAGRAPH}\n\n第二回 承\n{PARAGRAPH}\n第三人说：第二回合的事，不算。\n"
    (tmp_path / "演义").mkdir()
    (tmp_path / "演义" / "某书.txt").write_bytes(book.encode(encoding))
    found = read("books", tmp_path, document="chapter")
    assert found.domains[0] == "演义"
    assert found.titles[-2:] == ["某书 第一回 起", "某书 第二回 承"]
    assert "楔子" in "".join(found.texts[:2])
    assert found.texts[-1].endswith("不算。")


@given(st.lists(st.sampled_from(["第一章 起", "第二章 承", "正文。", "", "第三章 转"]), max_size=20))
def test_chapters_lose_no_line(lines: list[str]) -> None:
    parts = chapters("\n".join(lines))
    out = [line for mark, body in parts for line in [mark, *body.split("\n")] if line]
    assert out == [line for line in lines if line]
