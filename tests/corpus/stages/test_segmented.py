from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from corpus.cli import command
from corpus.stages.segmented import COLUMNS, measure, segmenter
from workbench.errors import MissingPackage

from ..made import mixed, write_wudao


def measured(text: str) -> dict[str, float]:
    """Measure with words between spaces for words, so that the counts can be told by hand."""
    return measure(text, lambda text: text.replace("\n", " \n ").split(" "))


def test_words() -> None:
    row = measured("研墨 的 人 ， 在 河边 写字 … 2024 ###")
    assert row["seg_words"] == 7  # ， … and ### are symbols
    assert row["seg_mean_word_chars"] == pytest.approx(13 / 7)
    assert row["seg_letter_word_share"] == pytest.approx(6 / 10)  # of all; 2024 has no letter
    assert row["seg_stop_words"] == 3  # 的 人 在
    assert row["seg_ellipsis_ratio"] == pytest.approx(1 / 10)
    assert row["seg_hash_ratio"] == pytest.approx(3 / 10)


def test_lines() -> None:
    row = measured("首页 。\n\n- 新闻 …\n首页 。\n关于")
    assert row["seg_dup_line_share"] == pytest.approx(1 / 4)
    assert row["seg_dup_line_char_share"] == pytest.approx(4 / 16)
    assert row["seg_stop_line_share"] == pytest.approx(2 / 4)
    assert row["seg_bullet_line_share"] == pytest.approx(1 / 5)  # the empty line counts here
    assert row["seg_cut_line_share"] == pytest.approx(1 / 5)
    assert row["seg_newline_ratio"] == pytest.approx(4 / 8)


def test_the_most_frequent_n_gram_counts_its_spaces_and_once_is_enough() -> None:
    row = measured("天地 玄黄 天地 玄黄 宇宙")
    assert row["seg_top_2gram_share"] == pytest.approx(2 * 5 / 14)
    assert row["seg_top_4gram_share"] == pytest.approx(1 * 11 / 14)


def test_a_repeated_n_gram_is_skipped_whole() -> None:
    words = "一 二 三 四 五".split()
    row = measured(" ".join(words * 3))
    assert row["seg_dup_5gram_share"] == pytest.approx(2 * 5 / 29)
    assert row["seg_dup_6gram_share"] == pytest.approx(6 / 29)  # places 0–4 are new, 5–10 repeats, 11 has no room
    assert row["seg_dup_10gram_share"] == pytest.approx(10 / 29)


def test_a_text_without_words() -> None:
    assert measured(" \n ") == dict.fromkeys(COLUMNS, 0)


def test_without_jieba_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wudao(tmp_path / "raw", mixed(20))
    monkeypatch.setitem(sys.modules, "jieba", None)
    segmenter.cache_clear()
    words = ["build", "--src", f"wudao={tmp_path / 'raw'}", "--recipe", "fineweb2-zh", "--out", str(tmp_path / "out")]
    with pytest.raises(MissingPackage) as caught:
        command([*words, "--workers", "1"])
    assert caught.value.exit_code == 2
    assert str(caught.value) == "jieba: is not installed; pip install 'yanmo[segment]'"
    segmenter.cache_clear()


def test_the_recipe_runs_with_jieba(tmp_path: Path) -> None:
    pytest.importorskip("jieba", reason="needs the extra segment")
    write_wudao(tmp_path / "raw", mixed(40))
    words = ["build", "--src", f"wudao={tmp_path / 'raw'}", "--recipe", "fineweb2-zh", "--out", str(tmp_path / "out")]
    assert command([*words, "--workers", "1"]) == 0
    reasons = {
        reason
        for step in json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["steps"]
        for reason in step["reasons"]
    }
    assert "short" in reasons or "not_chinese" in reasons
