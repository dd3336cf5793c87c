import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokenizer.encode
from tests.tokenizer.conftest import SENTENCES, train_model
from tests.tokenizer.test_export import TEXT
from tokenizer.encode import Encoder
from tokenizer.merges import SHORT_RUN


def same(encoder: Encoder, texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    ours, reference = encoder.encode(series), encoder.by_sentencepiece(series)
    assert ours.offsets.tolist() == reference.offsets.tolist()
    assert ours.ids.tolist() == reference.ids.tolist()


@pytest.fixture(scope="module")
def encoder(extended) -> Encoder:
    found = Encoder(extended / "tokenizer.model")
    assert found.uses_kernel
    return found


@given(texts=st.lists(TEXT | st.none(), max_size=6))
def test_ids_are_sentencepieces(encoder, texts):
    same(encoder, texts)


@given(
    texts=st.lists(st.text(alphabet=st.sampled_from("今天气研究生命起源的实验室， .the-▁"), max_size=120), max_size=4)
)
def test_words_of_several_hanzi_merge_in_sentencepieces_order(encoder, texts):
    same(encoder, texts)


def test_long_runs_merge_by_the_heap_in_the_same_order(encoder):
    draw = random.Random(7)
    alphabet = "今天气研究生命实验室大语言模型"
    texts = ["".join(draw.choices(alphabet, k=n)) for n in range(SHORT_RUN - 2, 400, 3)]
    texts += [unit * n for unit in (" ", "-", "研究生", "the", "　") for n in (1, 2, 7, 39, 40, 41, 42, 1000)]
    same(encoder, texts)


def test_batches_are_joined_where_they_were_cut(encoder, monkeypatch):
    monkeypatch.setattr(tokenizer.encode, "BATCH_BYTES", 100)
    same(encoder, [*SENTENCES, None, "", *SENTENCES])
    same(encoder, [])
    same(encoder, [""])


def test_zh7k_ids_are_sentencepieces(zh7k):
    encoder = Encoder(zh7k / "tokenizer.model")
    assert encoder.uses_kernel
    draw = random.Random(3)
    hanzi = [chr(draw.randrange(0x4E00, 0xA000)) for _ in range(2000)]
    same(
        encoder,
        [*SENTENCES, "".join(hanzi), *(a + c + b for a, b, c in zip(SENTENCES, SENTENCES, hanzi, strict=False))],
    )


def test_a_model_without_its_own_characters_is_left_to_sentencepiece(tmp_path):
    from tokenizer.model import read_model

    model = read_model(train_model(tmp_path / "m.model"))
    victim = next(piece for piece in model.pieces if piece.piece == "研")
    victim.piece = "鼎"  # 研究 is still a piece, 研 is not
    path = tmp_path / "odd.model"
    path.write_bytes(model.SerializeToString())
    encoder = Encoder(path)
    assert not encoder.uses_kernel
    same(encoder, SENTENCES)


def test_surface_bytes_add_up_to_the_text(encoder):
    for text in (*SENTENCES, "砚😀𠮷\n  x"):
        encoded = encoder.encode(pl.Series([text]))
        assert encoder.surface_bytes[encoded.ids].sum() == len(text.encode()) + 1  # and the prefix
    assert encoder.surface_bytes[[encoder.bos_id, encoder.eos_id]].tolist() == [0, 0]
    assert np.all(encoder.surface_bytes[3:-2] > 0)
