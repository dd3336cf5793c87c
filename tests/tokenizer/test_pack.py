import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

import tokenizer.pack
import tokenizer.units
from tests.conftest import ROOT
from tests.tokenizer.conftest import SENTENCES, make_corpus
from tokenizer.cli import command
from tokenizer.encode import Encoder
from tokenizer.pack import PackSettings, pack
from tokenizer.shards import TokenShards
from workbench import manifest
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import sha256_file


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    draw = random.Random(11)
    out = []
    for n in range(300):
        text = "\n".join(
            draw.choices([*SENTENCES, "literal ▁ and <s> and <human>", "砚😀𠮷", ""], k=draw.randrange(0, 6))
        )
        out.append(
            {
                "id": f"s{n % 3}/{n}",
                "text": text,
                "title": "",
                "source": f"s{n % 3}",
                "domain": "新闻" if n % 2 else "科技",
                "lang": "zh",
                "bucket": draw.choice(["head", "middle", "tail"]),
            }
        )
    return out


@pytest.fixture(scope="module")
def corpus(rows, tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", rows)


SETTINGS = PackSettings(seq_len=16, validation_share=0.1, shard_ids=2000)


@pytest.fixture(scope="module")
def tokens(corpus, extended, tmp_path_factory) -> Path:
    """The corpus packed into shards of 2,000 ids, a unit a file."""
    out = tmp_path_factory.mktemp("tokens") / "t"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer.units, "UNIT_BYTES", 1)
        pack(corpus, extended, out, SETTINGS, workers=1)
    return out


def documents_of(folder: Path, split: str) -> dict[str, list[int]]:
    shards, out = TokenShards.open(folder, split), defaultdict(list)
    for i in range(len(shards)):
        ids = shards.ids(i)
        ends = [*shards.starts(i)[1:], shards.valid(i)]
        for name, begin, end in zip(shards.documents(i), shards.starts(i), ends, strict=True):
            out[name] += ids[begin:end].tolist()
    return out


def hashes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("shard-*"))}


def test_nothing_is_lost(rows, tokens, extended):
    encoder = Encoder(extended / "tokenizer.model")
    train, held_out = (documents_of(tokens, split) for split in ("train", "validation"))
    assert not train.keys() & held_out.keys()
    assert 10 <= len(held_out) <= 60
    found = train | held_out
    assert found.keys() == {row["id"] for row in rows}
    for row in rows:
        ids = encoder.by_sentencepiece(pl.Series([row["text"]])).ids.tolist()
        assert found[row["id"]] == [encoder.bos_id, *ids, encoder.eos_id]


def test_the_ledger_and_the_bytes_are_exact(rows, tokens):
    size = {row["id"]: len(row["text"].encode()) for row in rows}
    expected, found = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for row in rows:
        key = (row["source"], row["domain"], row["bucket"])
        expected[key] = [expected[key][0] + 1, expected[key][1] + size[row["id"]]]
    total = 0
    for split in ("train", "validation"):
        shards = TokenShards.open(tokens, split)
        for line in shards.ledger:
            key = (line["source"], line["domain"], line["bucket"])
            found[key] = [found[key][0] + line["documents"], found[key][1] + line["bytes"]]
        assert sum(line["tokens"] for line in shards.ledger) == shards.tokens
        pieces = pl.concat(pl.DataFrame(shards.pieces_table(n)) for n in range(shards.shards))
        assert pieces["bytes"].sum() == shards.text_bytes
        assert pieces["bytes"].min() >= 0
        assert pieces["lead_bytes"].min() >= 0
        by_document = pieces.group_by("id").agg(pl.sum("bytes"))
        assert all(size[name] == count for name, count in by_document.rows())
        total += shards.text_bytes
    assert found == expected
    assert total == sum(size.values())


def test_there_are_several_shards_and_only_the_last_sequence_is_padded(tokens):
    shards = TokenShards.open(tokens, "train")
    assert shards.shards > 3
    assert [shards.valid(i) for i in range(len(shards) - 1)] == [16] * (len(shards) - 1)
    assert 0 < shards.valid(len(shards) - 1) <= 16


def test_shards_of_any_size_hold_the_same(corpus, extended, tokens, tmp_path):
    """Small shards put their borders everywhere in a document: before bos, before eos, behind it."""
    pack(corpus, extended, tmp_path / "t", PackSettings(16, 0.1, shard_ids=48), workers=1)
    for split in ("train", "validation"):
        assert documents_of(tmp_path / "t", split) == documents_of(tokens, split)
        small, large = (TokenShards.open(folder, split) for folder in (tmp_path / "t", tokens))
        assert small.shards > 10 * large.shards or split == "validation"
        assert [small.ids(i).tolist() for i in range(len(small))] == [large.ids(i).tolist() for i in range(len(large))]


def test_workers_and_interruptions_do_not_change_a_byte(corpus, extended, tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer.units, "UNIT_BYTES", 1)
    real, calls = tokenizer.pack.merge_shard, []

    def dies_at_the_third(shard):
        calls.append(shard)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(shard)

    monkeypatch.setattr(tokenizer.pack, "merge_shard", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        pack(corpus, extended, tmp_path / "t", SETTINGS, workers=1)
    assert not (tmp_path / "t/manifest.json").exists()
    with pytest.raises(InputError, match="unfinished"):
        TokenShards.open(tmp_path / "t", "train")
    monkeypatch.setattr(tokenizer.pack, "merge_shard", real)
    before = (tmp_path / "t/train/shard-00000.bin").stat().st_mtime_ns
    pack(corpus, extended, tmp_path / "t", SETTINGS, workers=2)
    assert (tmp_path / "t/train/shard-00000.bin").stat().st_mtime_ns == before
    assert hashes(tmp_path / "t") == hashes(tokens)
    assert not (tmp_path / "t/work").exists()


def test_a_seed_shuffles_anew_and_moves_no_document_between_the_splits(corpus, extended, tokens, tmp_path):
    other = PackSettings(16, 0.1, seed=1, shard_ids=2000)
    pack(corpus, extended, tmp_path / "t", other, workers=1)
    assert hashes(tmp_path / "t") != hashes(tokens)
    for split in ("train", "validation"):
        assert documents_of(tmp_path / "t", split) == documents_of(tokens, split)
        order = [TokenShards.open(folder, split).documents(0) for folder in (tmp_path / "t", tokens)]
        assert order[0] != order[1]


def test_the_same_again_does_nothing_and_other_settings_are_refused(corpus, extended, tokens, capsys):
    before = (tokens / "manifest.json").stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer.units, "UNIT_BYTES", 1)
        pack(corpus, extended, tokens, SETTINGS, workers=1)
    assert (tokens / "manifest.json").stat().st_mtime_ns == before
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(OutputError, match="--overwrite"):
        pack(corpus, extended, tokens, PackSettings(32), workers=1)


def test_without_a_validation_share_all_is_training(corpus, extended, tmp_path, rows):
    results = pack(corpus, extended, tmp_path / "t", PackSettings(16, 0.0), workers=1)
    assert list(results["splits"]) == ["train"]
    assert results["splits"]["train"]["documents"] == len(rows)


def test_bad_input_is_one_line(corpus, extended, tmp_path):
    out = tmp_path / "t"
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        (tmp_path / "bare").mkdir()
        pack(tmp_path / "bare", extended, out, SETTINGS, workers=1)
    with pytest.raises(InputError, match="is a tokenizer, not a corpus"):
        pack(extended, extended, out, SETTINGS, workers=1)
    with pytest.raises(InputError, match=r"holds neither tokenizer\.model nor tokenizer\.json"):
        pack(corpus, corpus, out, SETTINGS, workers=1)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/tokenizer.model").write_text("no")
    with pytest.raises(InputError, match="is not a SentencePiece model"):
        pack(corpus, tmp_path / "fake", out, SETTINGS, workers=1)
    for wrong in ({"seq_len": 1}, {"seq_len": 16, "validation_share": 1.0}, {"seq_len": 16, "seed": -1}):
        with pytest.raises(ConfigError):
            PackSettings(**wrong)
    assert not out.exists()


def test_a_missing_or_damaged_part_is_named(rows, extended, tmp_path):
    broken = make_corpus(tmp_path / "c", rows)
    part = broken / manifest.read(broken, "corpus", "").files[0]["path"]
    part.write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="is not a part of a corpus"):
        pack(broken, extended, tmp_path / "t", SETTINGS, workers=1)
    part.unlink()
    with pytest.raises(InputError, match="is missing"):
        pack(broken, extended, tmp_path / "t2", SETTINGS, workers=1)


def test_commands(corpus, small, words, tmp_path, capsys):
    out, packed = tmp_path / "tok", tmp_path / "t"
    assert command(["extend", "--add", str(words), "--base", str(small), "--out", str(out)]) == 0
    assert "embedding rows, padded" in capsys.readouterr().out
    arguments = [str(corpus), "--tokenizer", str(out), "--seq-len", "32", "--out", str(packed), "--workers", "1"]
    assert command(["pack", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["documents"] > 200
    assert command(["pack", *arguments]) == 0
    assert "bytes per token" in capsys.readouterr().out


def test_the_program_ends_with_one_line_and_code_2(tmp_path):
    words = ["pack", str(tmp_path), "--tokenizer", str(tmp_path), "--seq-len", "8", "--out", str(tmp_path / "t")]
    run = subprocess.run(
        [sys.executable, "-m", "tokenizer", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "has no manifest.json" in run.stderr


def test_weights_say_how_often_a_document_is_laid_out(rows, extended, tmp_path):
    weights = {"s0": 0.5, "s1": 1.0, "s2": 2.25}
    weighted = [{**row, "weight": weights[row["source"]]} for row in rows]
    corpus = make_corpus(tmp_path / "c", weighted)
    results = pack(corpus, extended, tmp_path / "t", SETTINGS, workers=1)
    laid = defaultdict(int)
    shards = TokenShards.open(tmp_path / "t", "train")
    for index in range(len(shards)):
        for name in shards.documents(index):
            laid[name] += 1
    held_out = set()
    validation = TokenShards.open(tmp_path / "t", "validation")
    for index in range(len(validation)):
        held_out |= set(validation.documents(index))
    assert not held_out & set(laid)  # a copy never crosses the split
    train = [row for row in rows if row["id"] not in held_out]
    for source, low, high in (("s0", 0.35, 0.65), ("s1", 1.0, 1.0), ("s2", 2.1, 2.4)):
        rows_of = [row for row in results["splits"]["train"]["ledger"] if row["source"] == source]
        documents, distinct = (sum(row[name] for row in rows_of) for name in ("documents", "distinct_documents"))
        assert distinct == sum(row["source"] == source for row in train)
        assert low <= documents / distinct <= high
    assert results["splits"]["validation"]["documents"] == len(held_out)
    assert {row["source"] for row in train if row["id"] not in laid} == {"s0"}
    again = pack(corpus, extended, tmp_path / "u", SETTINGS, workers=1)
    assert again["splits"] == results["splits"]


def test_more_than_four_epochs_are_told(rows, extended, tmp_path, capsys):
    corpus = make_corpus(tmp_path / "c", [{**row, "weight": 5.0} for row in rows])
    pack(corpus, extended, tmp_path / "t", SETTINGS, workers=1)
    assert "more than four epochs of s0/新闻/head 5.0, s0/新闻/middle 5.0" in capsys.readouterr().err


@pytest.mark.parametrize("packing", ["concat", "best-fit"])
def test_a_shard_takes_the_same_memory_however_large_the_corpus(extended, tmp_path, monkeypatch, packing):
    real, peaks = tokenizer.pack.merge_shard, []

    def watched(shard):
        tracemalloc.start()
        try:
            return real(shard)
        finally:
            peaks[-1].append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    monkeypatch.setattr(tokenizer.pack, "merge_shard", watched)
    for documents in (300, 1800):
        peaks.append([])
        rows = [
            {"id": f"s/{n}", "text": "\n".join(SENTENCES), "title": "", "source": "s", "domain": "", "lang": "zh",
             "bucket": "head"}
            for n in range(documents)
        ]  # fmt: skip
        corpus = make_corpus(tmp_path / f"c{documents}", rows)
        settings = PackSettings(256, 0.0, shard_ids=20_000, packing=packing)
        pack(corpus, extended, tmp_path / f"t{documents}", settings, workers=1)
    small, large = peaks
    assert len(large) > 4 * len(small) > 4
    assert max(large) < 1.3 * max(small)
