"""Our query table gives KenLM's scores to the last bit, whatever the model and the text."""

from __future__ import annotations

import random
from pathlib import Path

import kenlm
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.flat import FlatText
from corpus.ngram import estimate, spaced
from corpus.ngram.arpa_reader import read_arpa
from corpus.ngram.query import BLOCK, QueryTable
from corpus.ngram.scorer import KenLM, load_scorer
from workbench.errors import InputError

from .made import prose

RNG = random.Random(5)
TEXTS = [prose(RNG, RNG.randint(1, 30)) for _ in range(60)]
ODD = [
    "",
    " \n\u3000",
    "墨 砚\n台\x00。",
    "mixed 中文 and English, 12 𠀀\U0010ffff",
    "<s> </s> <unk>",
    "龘" * 40,
    "的" * 3 * BLOCK,
]
STRANGE = st.text(st.sampled_from("墨砚的一二 \n，。ab<>/s龘𠀀\x00\u3000"), max_size=60)


def flat(texts: list[str]) -> FlatText:
    return FlatText.of(pl.Series("text", texts, dtype=pl.String))


def by_kenlm(path: Path, texts: list[str]) -> list[float]:
    model = kenlm.Model(str(path))
    return [model.score(spaced(text)) for text in texts]


@pytest.mark.parametrize(("order", "prune"), [(2, ()), (3, ()), (4, (0, 0, 1)), (5, (0, 0, 1, 1, 2)), (5, (0, 1))])
def test_scores_are_kenlms_to_the_last_bit(tmp_path: Path, order: int, prune: tuple[int, ...]) -> None:
    model = estimate(TEXTS[:40], order=order, prune=prune)
    model.write_arpa(tmp_path / "m.arpa")
    table = model.query_table()
    texts = [*TEXTS, *ODD]
    scores, counts = table.score(flat(texts))
    assert scores.tolist() == by_kenlm(tmp_path / "m.arpa", texts)
    assert counts.tolist() == [len(spaced(text).split()) for text in texts]
    table.save(tmp_path / "m.ngrams")
    for again in (load_scorer(str(tmp_path / "m.ngrams")), read_arpa(tmp_path / "m.arpa")):
        assert isinstance(again, QueryTable)
        assert again.score(flat(texts))[0].tolist() == scores.tolist()


@given(st.lists(STRANGE, min_size=1, max_size=8), st.lists(STRANGE, max_size=8))
def test_any_text_under_any_model(
    tmp_path_factory: pytest.TempPathFactory, learnt: list[str], tried: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("m")
    try:
        model = estimate(learnt, order=3)
    except InputError:  # no character in it
        return
    model.write_arpa(folder / "m.arpa")
    scores, _ = model.query_table().score(flat([*learnt, *tried]))
    assert scores.tolist() == by_kenlm(folder / "m.arpa", [*learnt, *tried])


def test_blocks_do_not_show() -> None:
    table = estimate(TEXTS[:40], order=5).query_table()
    together, _ = table.score(flat(TEXTS * 20))
    alone = np.array([table.score(flat([text]))[0][0] for text in TEXTS], np.float32)
    assert together.tolist() == alone.tolist() * 20
    assert sum(map(len, TEXTS)) * 20 > 4 * BLOCK


def test_what_the_table_cannot_hold_is_scored_by_kenlm(tmp_path: Path) -> None:
    words = "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-1\t<unk>\n-1\t<s>\t-0.5\n-1\t</s>\n-0.5\t{}\t{}\n\n\\2-grams:\n-0.2\t<s> {}\n\n\\end\\\n"
    for n, (token, backoff) in enumerate((("墨砚", "-0.3"), ("墨", "0.3"))):  # a word; a backoff above 1
        path = tmp_path / f"{n}.arpa"
        path.write_text(words.format(token, backoff, token), encoding="utf-8")
        with pytest.raises(ValueError, match="no single character" if n == 0 else "above 1"):
            read_arpa(path)
        scorer = load_scorer(str(path))
        assert isinstance(scorer, KenLM)
        assert scorer.score(flat(["墨", "砚"]))[0].tolist() == by_kenlm(path, ["墨", "砚"])


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    for name, content in (("a.ngrams", b"PK no"), ("b.ngrams", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="no query table"):
            load_scorer(str(tmp_path / name))
