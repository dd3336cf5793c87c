import json
from collections import defaultdict

import numpy as np
import pytest
import xxhash

import tokenizer.weights
from tests.tokenizer.conftest import make_corpus
from tests.tokenizer.test_pack import documents_of
from tokenizer.cli import command
from tokenizer.pack import PackSettings, pack
from tokenizer.shards import TokenShards
from tokenizer.weights import Weight, copies, many_epochs, parse
from workbench.errors import ConfigError, InputError

ROWS = [
    {
        "id": f"{source}/{n}", "text": "今天的天气很好。" * (1 + n % 3), "title": "", "source": source,
        "domain": ("医疗", "a=b:c")[n % 2], "lang": "zh", "bucket": ("head", "middle", "tail")[n % 3],
    }
    for source in ("wudao", "books") for n in range(60)
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", ROWS)


def test_words_are_read_and_a_name_may_hold_anything():
    assert parse(["source=wudao:2", "domain=a=b:c:0.5", "bucket=head:0"]) == (
        Weight("bucket", "head", 0.0),
        Weight("domain", "a=b:c", 0.5),
        Weight("source", "wudao", 2.0),
    )
    assert parse(["source=a:1", "bucket=b:2"]) == parse(["bucket=b:2", "source=a:1"])


@pytest.mark.parametrize(
    "word", ["source", "source=wudao", "lang=zh:2", "source=wudao:", "source=wudao:two", "source=a:-1", "source=a:nan",
             "source=a:inf", "=a:1"],
)  # fmt: skip
def test_what_is_no_weight_is_one_line(word):
    with pytest.raises(ConfigError, match="is no weight"):
        parse([word])


def test_the_same_name_twice_is_refused():
    with pytest.raises(ConfigError, match="weighted twice"):
        parse(["source=a:1", "source=a:2"])


def test_weights_multiply_and_the_ledger_has_the_epochs(corpus, extended, tmp_path, capsys):
    weights = parse(["source=wudao:2", "domain=医疗:3", "bucket=tail:0"])
    results = pack(corpus, extended, tmp_path / "t", PackSettings(32, 0.2, weights=weights), workers=1)
    laid: dict[str, int] = defaultdict(int)
    shards = TokenShards.open(tmp_path / "t", "train")
    pieces = [row for n in range(shards.shards) for row in shards.pieces_table(n).to_pylist()]
    for row in pieces:
        laid[row["id"]] += row["bytes"]
    held_out = documents_of(tmp_path / "t", "validation")
    wanted = {"wudao": 2, "books": 1}
    for row in ROWS:
        if row["id"] not in held_out:
            times = wanted[row["source"]] * (3 if row["domain"] == "医疗" else 1) * (row["bucket"] != "tail")
            assert laid[row["id"]] == times * len(row["text"].encode())
    for row in results["splits"]["train"]["ledger"]:
        times = wanted[row["source"]] * (3 if row["domain"] == "医疗" else 1) * (row["bucket"] != "tail")
        assert row["epochs"] == times
        assert row["distinct_documents"] > 0
    assert {row["epochs"] for row in results["splits"]["validation"]["ledger"]} == {1.0}
    assert "more than four epochs of wudao/医疗/head 6.0, wudao/医疗/middle 6.0: repetition" in capsys.readouterr().err


def test_the_corpus_own_weight_and_the_command_line_multiply(extended, tmp_path):
    corpus = make_corpus(tmp_path / "c", [{**row, "weight": 1.5} for row in ROWS])
    settings = PackSettings(32, 0.0, weights=parse(["source=books:2"]))
    results = pack(corpus, extended, tmp_path / "t", settings, workers=1)
    documents = defaultdict(int)
    for row in results["splits"]["train"]["ledger"]:
        documents[row["source"]] += row["documents"]
    assert documents["books"] == 180
    assert 70 <= documents["wudao"] <= 110


def test_a_name_that_is_not_there_is_refused_with_those_that_are(corpus, extended, tmp_path):
    out = tmp_path / "t"
    words = ["pack", str(corpus), "--tokenizer", str(extended), "--seq-len", "32", "--out", str(out), "--workers", "1"]
    with pytest.raises(
        ConfigError, match="--weight source=wudoa:2: no document has that source; name one of: books, w"
    ):
        command([*words, "--weight", "source=wudoa:2"])
    assert not out.exists()
    assert command([*words, "--weight", "domain=医疗:2", "--packing", "best-fit", "--json"]) == 0
    assert json.loads((out / "manifest.json").read_text())["config"]["weights"] == [
        {"column": "domain", "name": "医疗", "times": 2.0}
    ]
    with pytest.raises(ConfigError, match="--engine ray"):
        command([*words, "--engine", "ray"])


def test_a_missing_part_is_named(extended, tmp_path):
    corpus = make_corpus(tmp_path / "c", ROWS)
    for path in corpus.rglob("*.parquet"):
        path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        pack(corpus, extended, tmp_path / "t", PackSettings(32, weights=parse(["source=books:2"])), workers=1)


def test_whole_weights_hash_nothing(monkeypatch):
    ids = [b"a", b"b", b"c"]
    expected = copies(np.array([1.0, 2.5, 0.5]), ids)
    assert set(expected.tolist()) <= {0, 1, 2, 3}

    class Never:
        @staticmethod
        def xxh3_64_intdigest(*_: object) -> int:
            raise AssertionError("hashed")

    monkeypatch.setattr(tokenizer.weights, "xxhash", Never)
    assert copies(np.array([1.0, 0.0, 3.0]), ids).tolist() == [1, 0, 3]
    with pytest.raises(AssertionError, match="hashed"):
        copies(np.array([1.0, 2.5, 0.5]), ids)
    assert xxhash.xxh3_64_intdigest(b"a") != 0


def test_the_most_repeated_are_named_and_the_rest_counted():
    ledger = [{"source": f"s{n}", "domain": "", "bucket": "head", "epochs": float(n)} for n in range(12)]
    assert many_epochs(ledger) == (
        "s11//head 11.0, s10//head 10.0, s9//head 9.0, s8//head 8.0, s7//head 7.0, s6//head 6.0 and 1 more"
    )
    assert many_epochs(ledger[:5]) is None
