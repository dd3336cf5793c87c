from __future__ import annotations

from pathlib import Path

import fasttext
import numpy as np
import pytest

from corpus.classifier import train
from corpus.models.telling import Telling, apart, candidates, count_ngrams, telling, visible


def test_counts_are_of_documents() -> None:
    texts = [" ".join(text) for text in ("甲乙甲乙甲乙", "甲乙", "乙甲乙", "丙丙丙", "甲乙丙")]
    found = count_ngrams(texts, np.array([0, 0, 0, 1, 1]), 2)
    rows = {row["ngram"]: (row["n"], row["label_0"], row["label_1"]) for row in found.iter_rows(named=True)}
    assert rows == {"甲": (1, 3, 1), "乙": (1, 3, 1), "甲乙": (2, 3, 1)}  # in at least three documents
    first = found.filter(ngram="甲")
    assert (first["all_0"][0], first["all_1"][0]) == (6, 4)  # distinct characters a document, summed


def test_the_planted_words_are_found_and_push_their_own_way(tmp_path: Path, labelled: list[tuple[str, str]]) -> None:
    labels = ("negative", "positive")
    texts = [" ".join(text) for text, _ in labelled]
    truth = np.array([labels.index(label) for _, label in labelled])
    train(
        [f"__label__{label} {text}\n" for text, (_, label) in zip(texts, labelled, strict=True)],
        tmp_path / "a.bin",
        epochs=10,
    )
    found = telling(fasttext.load_model(str(tmp_path / "a.bin")), texts, truth, labels, 8)
    for label, words in (("negative", ("注册送", "加微信", "元，")), ("positive", ("在", "了", "。"))):
        mine = [one for one in found if one.label == label]
        assert 0 < len(mine) <= 8
        assert all(one.effect > 0 for one in mine)
        assert [one.effect for one in mine] == sorted((one.effect for one in mine), reverse=True)
        assert all(one.times >= 2 for one in mine)
        assert any(word in one.ngram or one.ngram in word for one in mine for word in words)
    assert telling(None, texts, truth, labels, 0) == []


def test_only_what_is_twice_as_frequent_is_a_candidate() -> None:
    texts = [" ".join(text) for text in [*["甲丙丁戊"] * 20, *["乙丙丁戊"] * 20, *["己"] * 3]]
    counts = count_ngrams(texts, np.array([0] * 20 + [1] * 23), 2)
    assert set(candidates(counts, 0)["ngram"]) == {"甲", "甲丙", "甲丙丁"}
    assert "丙" not in set(candidates(counts, 1)["ngram"])


def test_overlapping_ngrams_are_listed_once() -> None:
    given = [Telling("a", ngram, 1, 0, 9.0, 0.1) for ngram in ("注册送", "册送彩", "注册", "册", "彩金", "金")]
    assert [one.ngram for one in apart(given, 5)] == ["注册送", "彩金"]
    assert len(apart(given, 1)) == 1


@pytest.mark.parametrize(("text", "shown"), [("好书", "好书"), ("a\x1b", "a\\u001b"), ("\u200b。", "\\u200b。")])
def test_what_cannot_be_printed_is_spelt(text: str, shown: str) -> None:
    assert visible(text) == shown
