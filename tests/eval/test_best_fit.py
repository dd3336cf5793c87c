"""Sequences packed by best fit as a model sees them: documents apart, padding never scored."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from eval.bits import bits_of_shards, nats, total
from eval.packing import IGNORED, batch
from tests.tokenizer.conftest import extended, make_corpus, small, words  # noqa: F401  fixtures
from tokenizer.pack import PackSettings, pack
from tokenizer.shards import TokenShards

LENGTH = 64


@pytest.fixture(scope="module")
def shards(extended, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("best-fit")
    rows = [
        {"id": f"s/{n}", "text": "研究生在实验室里研究生命的起源。" * (1, 11, 12)[n % 3], "title": "", "source": "s", "domain": "",
         "lang": "zh", "bucket": "head"}
        for n in range(80)
    ]  # fmt: skip
    corpus = make_corpus(folder / "c", rows)
    pack(corpus, extended, folder / "t", PackSettings(LENGTH, 0.0, packing="best-fit"), workers=1)
    return TokenShards.open(folder / "t", "train")


@pytest.fixture(scope="module")
def model(shards):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shards.vocab_size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_padding_is_never_a_label(shards):
    padded = [i for i in range(len(shards)) if shards.valid(i) < LENGTH]
    assert len(padded) > 3
    for i in range(len(shards)):
        labels = batch(shards, [i], shards.vocab_size)["labels"][0].numpy()
        valid = shards.valid(i)
        assert (labels[valid:] == IGNORED).all()
        assert (labels[shards.starts(i)] == IGNORED).all()
        assert np.count_nonzero(labels != IGNORED) == valid - len(shards.starts(i))


def test_a_document_among_others_and_padding_is_as_alone(shards, model):
    bits, size = 0.0, 0
    for i in range(len(shards)):
        inputs = batch(shards, [i], shards.vocab_size)
        together = nats(model, inputs)[0]
        ends = [*shards.starts(i)[1:], shards.valid(i)]
        for begin, end in zip(shards.starts(i), ends, strict=True):
            ids = torch.from_numpy(shards.ids(i)[begin:end])[None]
            alone = {"input_ids": ids, "position_ids": torch.arange(end - begin)[None], "labels": ids}
            if end - begin > 1:
                expected = nats(model, alone)[0]
                torch.testing.assert_close(together[begin : end - 1], expected, atol=2e-4, rtol=2e-4)
                bits += float(expected.double().sum()) / np.log(2)
        size += shards.predicted_bytes(i)
    found = total(bits_of_shards(model, shards))
    assert found.bytes == size
    assert found.bits == pytest.approx(bits, rel=1e-4)
