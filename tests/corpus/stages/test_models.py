"""The models that judge text: scores are the libraries' own, and training gives the same file every time."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import fasttext
import kenlm
import polars as pl
import pytest

from corpus.classifier import positive_scores, train
from corpus.flat import FlatText
from corpus.ngram import estimate
from corpus.ngram import spaced as spaced_text
from corpus.spacing import spaced
from corpus.stages.perplexity import Perplexity
from corpus.stages.quality import Quality
from workbench.errors import InputError

from ..made import prose

RNG = random.Random(11)
TEXTS = [prose(RNG, 5) for _ in range(40)] + ["", "  \n", "墨 砚\n台\x00。", "mixed 中文 and English, 12 𠀀"]


def batch() -> pl.DataFrame:
    return pl.DataFrame({"id": [f"x/{n}" for n in range(len(TEXTS))], "text": TEXTS})


def test_spacing_is_the_ngram_models_own() -> None:
    texts, tokens = spaced(FlatText.of(pl.Series("text", TEXTS)))
    assert texts == [spaced_text(text) for text in TEXTS]
    assert tokens.tolist() == [len(text.split()) for text in texts]
    assert spaced(FlatText.of(pl.Series("text", ["一二 三四"])), 3)[0] == ["一 二 三"]


def test_perplexity_is_kenlms(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    estimate(TEXTS[:20], order=3).write_arpa(path)
    reference = kenlm.Model(str(path))
    found = Perplexity(model=path).mark(batch(), tmp_path)["perplexity"].to_list()
    for text, value in zip(TEXTS, found, strict=True):
        if spaced_text(text):
            assert value == pytest.approx(reference.perplexity(spaced_text(text)), rel=1e-6)
        else:
            assert value is None


def test_quality_is_fasttexts_and_training_repeats(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [f"__label__positive {spaced_text(prose(rng, 3))}\n" for _ in range(60)]
    lines += [f"__label__negative {spaced_text('差评，不好用。' * rng.randint(2, 9))}\n" for _ in range(60)]
    digests = set()
    for n in range(3):
        train(lines, tmp_path / f"{n}.bin")
        digests.add(hashlib.sha256((tmp_path / f"{n}.bin").read_bytes()).hexdigest())
    assert len(digests) == 1
    model = fasttext.load_model(str(tmp_path / "0.bin"))
    texts = [spaced_text(prose(rng, 3)), spaced_text("差评，不好用。" * 4)]
    good, bad = positive_scores(model, texts)
    assert good > 0.9
    assert bad < 0.1
    labels, values = model.predict(texts, k=1)
    assert labels == [["__label__positive"], ["__label__negative"]]
    assert good == pytest.approx(float(values[0][0]), abs=1e-6)
    found = Quality(model=tmp_path / "0.bin").mark(batch(), tmp_path)["quality"]
    assert found.is_between(0, 1).all()


@pytest.mark.parametrize("stage", [Perplexity, Quality])
def test_files_that_are_no_models_are_told(tmp_path: Path, stage: type) -> None:
    (tmp_path / "no.bin").write_text("hello", encoding="utf-8")
    for path, told in ((tmp_path / "absent", "no such model file"), (tmp_path / "no.bin", "model")):
        with pytest.raises(InputError, match=told):
            stage(model=path).prepare(None, tmp_path)
