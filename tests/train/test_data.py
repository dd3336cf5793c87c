import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from eval.packing import IGNORED, batch, labels
from tests.train.toy import open_train
from train.data import MicroBatches, Order, accumulation, check_enough
from workbench.errors import ConfigError, InputError


def tiny(**other):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=384,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        use_cache=False,
        initializer_range=0.3,  # large, so that a leak shows
        **other,
    )
    return LlamaForCausalLM(config).eval()


def test_packed_documents_do_not_see_each_other(toy):
    shards = open_train(toy / "tokens")
    many = [i for i in range(len(shards)) if len(shards.starts(i)) > 1][:8]
    model = tiny()
    inputs = batch(shards, many, 384)
    with torch.no_grad():
        together = model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"]).logits
        plain = model(input_ids=inputs["input_ids"]).logits
        for row, i in enumerate(many):
            ends = [*shards.starts(i)[1:].tolist(), shards.valid(i)]
            for start, end in zip(shards.starts(i).tolist(), ends, strict=True):
                alone = model(input_ids=inputs["input_ids"][row : row + 1, start:end]).logits[0]
                assert (together[row, start:end] - alone).abs().max() < 1e-4
    assert (together - plain).abs().max() > 0.1  # without the positions they do leak: the test can fail


def test_the_first_id_of_a_document_and_padding_are_not_predicted(toy):
    shards = open_train(toy / "tokens")
    last = len(shards) - 1
    inputs = batch(shards, [0, last], 384)
    for row, i in enumerate((0, last)):
        ignored = set(np.flatnonzero(inputs["labels"][row].numpy() == IGNORED).tolist())
        assert ignored == set(shards.starts(i).tolist()) | set(range(shards.valid(i), shards.seq_len))
    assert shards.valid(last) < shards.seq_len


def test_labels_leave_the_ids_alone():
    ids = np.arange(10, 18)
    assert labels(ids, np.array([0, 3]), 6).tolist() == [IGNORED, 11, 12, IGNORED, 14, 15, IGNORED, IGNORED]
    assert ids.tolist() == list(range(10, 18))


def test_ids_beyond_the_embedding_are_refused(toy):
    with pytest.raises(InputError, match="embedding has 8 rows"):
        batch(open_train(toy / "tokens"), [0], 8)


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 100))
def test_every_pass_is_a_permutation_of_its_own(sequences, seed, at):
    order = Order(sequences, seed)
    first = [order[k] for k in range(sequences)]
    assert sorted(first) == list(range(sequences))
    again = Order(sequences, seed)
    assert [again[k] for k in range(at, at + 5)] == [order[k] for k in range(at, at + 5)]  # from anywhere
    if sequences > 20:
        assert [order[k] for k in range(sequences, 2 * sequences)] != first


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 30))
def test_the_cursor_resumes_exactly_on_any_number_of_devices(world, size, done):
    order = Order(50, 3)

    def taken(world, size, cursor, steps):
        ranks = [MicroBatches(order, size=size, total=99, rank=r, world=world) for r in range(world)]
        for rank in ranks:
            rank.cursor = cursor
        streams = [iter(rank) for rank in ranks]
        return [i for _ in range(steps) for stream in streams for i in next(stream)]

    expected = [order[k] for k in range(done, done + 3 * world * size)]
    assert taken(world, size, done, 3) == expected
    assert taken(1, 1, done, 3 * world * size) == expected


def micro_steps(batch, seq_len, sequences, devices):
    return accumulation("batch_tokens", batch, {"tokens": seq_len, "sequences": sequences, "devices": devices})


def test_accumulation_is_derived_from_tokens():
    assert micro_steps(2_621_440, 2_048, 8, 160) == 1
    assert micro_steps(4_096, 512, 2, 1) == 4
    with pytest.raises(ConfigError, match=r"batch_tokens.*give 1,024"):
        micro_steps(1_000, 512, 2, 1)
    with pytest.raises(ConfigError, match="give 1,024"):
        micro_steps(1, 512, 2, 1)


def test_data_smaller_than_one_batch_is_refused():
    check_enough(4, 256, 1_024, "x")
    with pytest.raises(InputError, match="3 sequences of 256 tokens do not fill one batch"):
        check_enough(3, 256, 1_024, "x")
