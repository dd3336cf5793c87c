import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenizer.conftest import make_corpus
from tests.tokenizer.test_pack import documents_of, hashes
from tokenizer.best_fit import best_fit
from tokenizer.encode import Encoder
from tokenizer.pack import PackSettings, pack
from tokenizer.shards import TokenShards


def by_the_definition(rests: list[int], seq_len: int) -> list[int]:
    """How full the shared sequences are: the longest first, each into the fullest that holds it."""
    filled: list[int] = []
    for rest in sorted(rests, reverse=True):
        fitting = [n for n, used in enumerate(filled) if used + rest <= seq_len]
        if fitting:
            filled[max(fitting, key=lambda n: filled[n])] += rest
        else:
            filled.append(rest)
    return sorted(filled)


@given(st.lists(st.integers(1, 90), min_size=0, max_size=60), st.integers(2, 40))
def test_sequences_are_those_of_best_fit_decreasing(lengths, seq_len):
    parts = best_fit(np.array(lengths, np.int64), seq_len)
    rests = [n % seq_len for n in lengths if n % seq_len]
    full = sum(n // seq_len for n in lengths)
    filled = np.bincount(parts.places // seq_len, parts.lengths, parts.room // seq_len).astype(int).tolist()
    assert sorted(filled) == sorted([seq_len] * full + by_the_definition(rests, seq_len))
    # Every id of every document once, in order; a document is cut only where it is longer than a sequence.
    for d, length in enumerate(lengths):
        own = parts.documents == d
        assert parts.firsts[own].tolist() == list(range(0, length, seq_len))
        assert parts.lengths[own].sum() == length
    # No two overlap, none crosses a sequence, and padding is at the end of its sequence.
    assert (parts.places // seq_len == (parts.places + parts.lengths - 1) // seq_len).all()
    for sequence in range(parts.room // seq_len):
        here = parts.places // seq_len == sequence
        begins, ends = (
            parts.places[here] - sequence * seq_len,
            (parts.places + parts.lengths)[here] - sequence * seq_len,
        )
        assert begins.tolist() == [0, *ends.tolist()][:-1]


def test_a_shard_of_one_long_document_needs_no_shared_sequence():
    parts = best_fit(np.array([30], np.int64), 10)
    assert parts.room == 30
    assert parts.places.tolist() == [0, 10, 20]


@pytest.fixture(scope="module")
def rows():
    texts = ["今天的天气很好，我们去公园散步吧。" * (n % 23) + "literal ▁ here" * (n % 2) for n in range(200)]
    return [
        {"id": f"s/{n}", "text": text, "title": "", "source": "s", "domain": "", "lang": "zh", "bucket": "head"}
        for n, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def corpus(rows, tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", rows)


SETTINGS = PackSettings(64, 0.1, shard_ids=1000, packing="best-fit")


@pytest.fixture(scope="module")
def packed(corpus, extended, tmp_path_factory):
    out = tmp_path_factory.mktemp("tokens") / "t"
    return out, pack(corpus, extended, out, SETTINGS, workers=1)


def test_the_same_documents_are_whole_where_they_fit_and_the_waste_is_told(corpus, extended, packed, tmp_path):
    out, results = packed
    other = pack(corpus, extended, tmp_path / "concat", PackSettings(64, 0.1, shard_ids=1000), workers=1)
    lengths: list[int] = []
    for split in ("train", "validation"):
        found = documents_of(out, split)
        assert found == documents_of(tmp_path / "concat", split)
        shards, about = TokenShards.open(out, split), results["splits"][split]
        valid = sum(shards.valid(i) for i in range(len(shards)))
        assert valid == shards.tokens == about["tokens"]
        assert about["padding"] == len(shards) * 64 - valid > 0
        assert about["waste"] == about["padding"] / (len(shards) * 64)
        assert about["documents_cut"] == sum(len(ids) > 64 for ids in found.values())
        assert about["documents_cut_end_to_end"] == other["splits"][split]["documents_cut"]
        pieces = [sum(shards.documents(i).count(name) for i in range(len(shards))) for name in found]
        assert pieces == [-(-len(ids) // 64) for ids in found.values()]
        lengths += map(len, found.values())
    assert other["splits"]["train"]["documents_cut"] > results["splits"]["train"]["documents_cut"]
    assert other["splits"]["train"]["padding"] < 64
    assert min(lengths) <= 64 < max(lengths)


def test_bytes_are_those_of_the_documents(packed, rows, extended):
    out, _ = packed
    for split in ("train", "validation"):
        shards = TokenShards.open(out, split)
        size: dict[str, int] = {}
        for n in range(shards.shards):
            for row in shards.pieces_table(n).to_pylist():
                size[row["id"]] = size.get(row["id"], 0) + row["bytes"]
        assert size == {row["id"]: len(row["text"].encode()) for row in rows if row["id"] in size}
    assert Encoder(extended / "tokenizer.model").eos_id == shards.eos_id


def test_workers_do_not_change_a_byte(corpus, extended, packed, tmp_path):
    pack(corpus, extended, tmp_path / "two", SETTINGS, workers=2)
    assert hashes(tmp_path / "two") == hashes(packed[0])


def test_a_document_may_be_longer_than_a_shard_and_leave_one_empty(rows, extended, tmp_path):
    corpus = make_corpus(tmp_path / "c", rows[:23])
    for name, shard_ids in (("tiny", 16), ("large", 10_000)):
        pack(corpus, extended, tmp_path / name, PackSettings(16, 0.0, 0, shard_ids, "best-fit"), workers=1)
    tiny = TokenShards.open(tmp_path / "tiny", "train")
    assert documents_of(tmp_path / "tiny", "train") == documents_of(tmp_path / "large", "train")
    assert 0 in [len(tiny.pieces_table(n)) for n in range(tiny.shards)]


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_padding_is_eos_at_the_end_and_positions_restart_there(packed, n):
    shards = TokenShards.open(packed[0], "train")
    i = n % len(shards)
    valid, positions = shards.valid(i), shards.position_ids(i)
    assert (shards.ids(i)[valid:] == shards.eos_id).all()
    assert positions[shards.starts(i)].tolist() == [0] * len(shards.starts(i))
    assert positions[valid:].tolist() == list(range(64 - valid))
