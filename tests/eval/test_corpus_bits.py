"""Bits per byte of a built corpus: by its source, domain and bucket, all documents or a fixed sample."""

import json

import polars as pl
import pytest

from eval import corpus_documents
from eval.bits import Part, total
from eval.cli import command
from eval.corpus_documents import choose_documents
from eval.text_bits import bits_of_documents, bits_of_texts
from tests.train.test_data import tiny
from workbench import manifest
from workbench.errors import ConfigError, InputError

TEXTS = ("医生在山上看病。", "老师在家中写字，学生在河边读书。", "农民在河边种田。" * 20)


def make_corpus(folder, files=3, rows=20):
    """A folder as ``corpus build`` leaves it: parts by bucket, and a manifest that lists them."""
    entries = []
    for number in range(files):
        bucket = ("head", "tail")[number % 2]
        path = folder / f"kept/bucket={bucket}/part-{number:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame(
            {
                "id": [f"网/{number}-{n}" for n in range(rows)],
                "text": [TEXTS[n % 3] + str(n) for n in range(rows)],
                "source": "网",
                "domain": [("医", "法")[n % 2] if n else None for n in range(rows)],
                "bucket": bucket,
            }
        )
        frame.write_parquet(path)
        entries.append({**manifest.describe_file(path, folder), "rows": rows})
    manifest.write(folder, manifest.Manifest("corpus", "mark", {}, [], files=entries))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("built") / "corpus")


def test_all_documents_by_what_they_belong_to(built):
    found = list(choose_documents(built, None))
    assert len(found) == choose_documents(built, None).count == 60
    assert {part for part, _ in found} == {
        Part("网", domain, bucket) for domain in ("医", "法", "") for bucket in ("head", "tail")
    }
    assert found[:2] == [(Part("网", "", "head"), f"{TEXTS[0]}0"), (Part("网", "法", "head"), f"{TEXTS[1]}1")]


def test_a_sample_is_the_same_in_other_parts_and_within_a_larger_one(built, tmp_path):
    ids = [f"网/{number}-{n}" for number in range(3) for n in range(20)]
    keys = dict(zip(ids, corpus_documents.keys_of(pl.Series(ids)).to_list(), strict=True))
    lowest = sorted(ids, key=keys.__getitem__)
    for wanted in (1, 7, 59):
        sample = choose_documents(built, wanted)
        assert sample.count == wanted
        assert sample.last == keys[lowest[wanted - 1]]
        assert len(list(sample)) == wanted
    one_part = tmp_path / "corpus"
    frame = pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in choose_documents(built, None).files])
    path = one_part / "kept/part-00000.parquet"
    path.parent.mkdir(parents=True)
    frame.reverse().write_parquet(path)
    entry = {**manifest.describe_file(path, one_part), "rows": len(frame)}
    manifest.write(one_part, manifest.Manifest("corpus", "mark", {}, [], files=[entry]))
    assert sorted(choose_documents(built, 7)) == sorted(choose_documents(one_part, 7))
    assert set(choose_documents(built, 7)) < set(choose_documents(built, 30))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("window", [5, 512])
def test_parts_add_up_to_each_text_alone(built, toy, batch_size, window):
    model, documents = tiny(), list(choose_documents(built, 12))
    found = bits_of_documents(model, toy / "tok", iter(documents), window=window, batch_size=batch_size)
    for part, bits in found.items():
        alone = [bits_of_texts(model, toy / "tok", [text], window=window) for p, text in documents if p == part]
        assert bits.bits == pytest.approx(sum(one.bits for one in alone), rel=1e-5)
        assert bits.bytes == sum(len(text.encode()) for p, text in documents if p == part)
        assert bits.tokens == sum(one.tokens for one in alone)


def test_texts_are_taken_as_they_are_needed(toy, monkeypatch):
    taken, most = [], []
    real = bits_of_documents.__globals__["_costs"]

    def costs(model, windows, precision):
        most.append(len(taken))
        return real(model, windows, precision)

    monkeypatch.setitem(bits_of_documents.__globals__, "_costs", costs)
    monkeypatch.setitem(bits_of_documents.__globals__, "AHEAD", 2)
    documents = ((Part("", "", ""), taken.append(n) or TEXTS[0]) for n in range(40))
    bits_of_documents(tiny(), toy / "tok", documents, batch_size=4)
    assert most[0] == 8
    assert len(taken) == 40


def test_the_command(built, saved, toy, capsys):
    assert command(["bits", "--model", str(saved), "--corpus", str(built), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    whole = total(bits_of_documents(tiny(), toy / "tok", choose_documents(built, None)))
    assert found["bits_per_byte"] == pytest.approx(whole.per_byte, rel=1e-6)
    assert set(found["domains"]) == {"医", "法", ""}
    assert set(found["buckets"]) == {"head", "tail"}
    assert sum(one["bytes"] for one in found["domains"].values()) == found["bytes"]
    assert command(["bits", "--model", str(saved), "--corpus", str(built), "--documents", "9"]) == 0
    table = capsys.readouterr().out
    assert "head" in table
    some = total(bits_of_documents(tiny(), toy / "tok", choose_documents(built, 9)))
    assert f"{some.per_byte:.4g}" in table


def test_bad_input_is_one_line(built, saved, toy, tmp_path):
    def bits(*more):
        return command(["bits", "--model", str(saved), *more])

    made = make_corpus(tmp_path / "damaged", files=2)
    (made / "kept/bucket=head/part-00000.parquet").write_bytes(b"damaged")
    gone = make_corpus(tmp_path / "gone", files=2)
    (gone / "kept/bucket=tail/part-00001.parquet").unlink()
    (tmp_path / "folder").mkdir()
    bare = make_corpus(tmp_path / "bare", files=0)
    for call, kind, said in (
        (lambda: bits("--corpus", "nowhere"), InputError, "no such folder"),
        (lambda: bits("--corpus", str(tmp_path / "folder")), InputError, "so it is no complete corpus"),
        (lambda: bits("--corpus", str(toy / "tokens")), InputError, "is a tokens, not a corpus"),
        (lambda: bits("--corpus", str(bare)), InputError, "has no kept documents"),
        (lambda: bits("--corpus", str(made)), InputError, "is not a part of a corpus"),
        (lambda: bits("--corpus", str(gone)), InputError, "part-00001.parquet: is missing; build the corpus again"),
        (lambda: bits("--corpus", str(made), "--documents", "21"), InputError, "is not a part of a corpus"),
        (lambda: bits("--corpus", str(built), "--documents", "0"), ConfigError, "--documents: 0 is below 1"),
        (lambda: bits("--corpus", str(built), "--sequences", "1"), ConfigError, "counts what --tokens names"),
        (lambda: bits("--tokens", str(toy / "tokens"), "--documents", "1"), ConfigError, "counts what --corpus names"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
