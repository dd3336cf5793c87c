import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer.packing import Documents, end_to_end, lay
from tokenizer.shards import PIECES, TokenShards, id_type, write_shard
from workbench import manifest
from workbench.errors import InputError

EOS = 2


def lay_out(folder: Path, documents: list[list[int]], seq_len: int, shard_sequences: int, vocab: int) -> TokenShards:
    """Write documents by the real packing and writing code, without an encoder; every id is one byte of text."""
    lengths = np.array([len(one) for one in documents], np.int64)
    ends = np.cumsum(lengths)
    flat = np.array([n for one in documents for n in one], np.uint32)
    whole = Documents(flat, ends - lengths, lengths, lengths.copy(), ends - lengths)
    sequences = -(-int(ends[-1]) // seq_len)
    (folder / "train").mkdir(parents=True)
    files = []
    for number, first in enumerate(range(0, sequences, shard_sequences)):
        window = (first * seq_len, min(first + shard_sequences, sequences) * seq_len)
        laid = lay(whole, end_to_end(whole, window, seq_len), np.ones(vocab, np.int64), -1, EOS)
        rows = {
            "start": laid.starts,
            "length": laid.lengths,
            "id": [f"t/{n}" for n in laid.documents],
            "source": ["t"] * len(laid.starts),
            "domain": ["d"] * len(laid.starts),
            "bucket": ["head"] * len(laid.starts),
            "bytes": laid.sizes,
            "lead_bytes": laid.lead_sizes,
        }
        table = pa.table({name: pa.array(column) for name, column in rows.items()}).cast(PIECES)
        files += write_shard(folder, "train", number, laid.ids, table, seq_len=seq_len, vocab_size=vocab)
    about = {
        "tokens": int(ends[-1]),
        "documents": len(documents),
        "bytes": int(ends[-1]),
        "sequences": sequences,
        "ledger": [],
    }
    results = {
        "dtype": id_type(vocab).str,
        "seq_len": seq_len,
        "vocab_size": vocab,
        "eos_id": EOS,
        "bos_id": 1,
        "tokenizer_sha256": "0" * 64,
        "splits": {"train": about},
    }
    manifest.write(folder, manifest.Manifest("tokens", "m", {}, [], [], files, results))
    return TokenShards.open(folder, "train")


@settings(max_examples=30)  # every example syncs files
@given(
    documents=st.lists(st.lists(st.integers(3, 99_999), min_size=1, max_size=30), min_size=1, max_size=12),
    seq_len=st.integers(2, 9),
    shard_sequences=st.integers(1, 4),
    big=st.booleans(),
)
def test_documents_come_back_from_shards(documents, seq_len, shard_sequences, big):
    if not big:
        documents = [[n % 500 for n in one] for one in documents]
    with tempfile.TemporaryDirectory() as folder:
        shards = lay_out(Path(folder) / "t", documents, seq_len, shard_sequences, 100_000 if big else 500)
        back: dict[str, list[int]] = {}
        predicted = 0
        for i in range(len(shards)):
            ids, starts, valid, names = shards.ids(i), shards.starts(i), shards.valid(i), shards.documents(i)
            assert ids.dtype == np.int64
            assert starts[0] == 0
            assert len(starts) == len(names)
            assert valid == seq_len or i == len(shards) - 1
            assert np.all(ids[valid:] == EOS)
            positions = shards.position_ids(i)
            assert np.flatnonzero(positions == 0).tolist() == [*starts, *([valid] if valid < seq_len else [])]
            for name, begin, end in zip(names, starts, [*starts[1:], valid], strict=True):
                assert positions[begin:end].tolist() == list(range(end - begin))
                back.setdefault(name, []).extend(ids[begin:end].tolist())
            predicted += shards.predicted_bytes(i)
            assert shards.predicted_bytes(i) == valid - len(starts)
        assert back == {f"t/{n}": one for n, one in enumerate(documents)}
        pieces = pa.concat_tables(shards.pieces_table(n) for n in range(shards.shards))
        assert pa.compute.sum(pieces["bytes"]).as_py() == shards.text_bytes == sum(map(len, documents))
        assert predicted == shards.text_bytes - pa.compute.sum(pieces["lead_bytes"]).as_py()


@pytest.fixture
def shards(tmp_path) -> TokenShards:
    return lay_out(tmp_path / "t", [[5, 6, 7], [8] * 9, [9]], 4, 2, 100)


def test_what_is_outside_is_an_index_error(shards):
    assert len(shards) == 4
    for i in (-1, 4):
        with pytest.raises(IndexError):
            shards.ids(i)


def test_ids_are_a_copy(shards):
    ids = shards.ids(0)
    ids[:] = 0
    assert shards.ids(0).tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("width", [65_536, 65_537])
def test_the_type_holds_every_id(tmp_path, width):
    shards = lay_out(tmp_path / "t", [[width - 1, 3]], 2, 1, width)
    assert shards.ids(0).tolist() == [width - 1, 3]
    assert (tmp_path / "t/train/shard-00000.bin").stat().st_size == (4 if width == 65_536 else 8)


def test_an_id_beyond_the_vocabulary_is_refused(tmp_path):
    table = PIECES.empty_table()
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="id 500 is outside the vocabulary of 500 pieces"):
        write_shard(tmp_path, "train", 0, np.array([1, 500], np.uint32), table, seq_len=2, vocab_size=500)
    assert not list((tmp_path / "train").iterdir())


def test_a_vocabulary_whose_ids_exceed_the_type_on_disk_is_refused(shards):
    path = shards.folder / "manifest.json"
    content = json.loads(path.read_text())
    before = path.read_text()
    content["results"] |= {"dtype": "<u2", "vocab_size": 70_000}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="says ids of type <u2 for 70,000 pieces, which need another"):
        TokenShards.open(shards.folder, "train")
    path.write_text(before)


def test_damage_is_one_line(shards, tmp_path):
    folder = shards.folder
    with pytest.raises(InputError, match=r"has no split validation \(it has: train\)"):
        TokenShards.open(folder, "validation")
    with pytest.raises(InputError, match="no such folder"):
        TokenShards.open(tmp_path / "nowhere", "train")
    path = folder / "train/shard-00001.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(InputError, match="has 14 bytes, its manifest says 16"):
        TokenShards.open(folder, "train")
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        TokenShards.open(folder, "train")
    (folder / "manifest.json").rename(folder / "unfinished.json")
    with pytest.raises(InputError, match="is unfinished"):
        TokenShards.open(folder, "train")
