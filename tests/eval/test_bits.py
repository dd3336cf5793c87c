import json
import math

import pytest
import torch
from sentencepiece import SentencePieceProcessor

from eval import bits as module
from eval.bits import Bits, Part, bits_of_shards, by, choose, total
from eval.cli import command
from eval.text_bits import bits_of_texts
from tests.train.test_data import tiny
from tests.train.toy import make_tokenizer, make_tokens
from tokenizer.shards import TokenShards
from workbench.errors import ConfigError, InputError


@pytest.fixture
def held_out(toy):
    return TokenShards.open(toy / "tokens", "validation")


def slow(model, shards, sequences):
    """The definition, a piece at a time, each alone, all logits at once."""
    out = {"bits": 0.0, "tokens": 0}
    for i in sequences:
        ends = [*shards.starts(i)[1:].tolist(), shards.valid(i)]
        for start, end in zip(shards.starts(i).tolist(), ends, strict=True):
            ids = torch.from_numpy(shards.ids(i)[start:end])
            with torch.no_grad():
                table = model(input_ids=ids[None]).logits[0].double().log_softmax(-1)
            for place in range(1, len(ids)):
                out["bits"] -= float(table[place - 1, ids[place]]) / math.log(2)
                out["tokens"] += 1
    return out


def test_equal_to_the_slow_definition(held_out):
    model = tiny()
    found = total(bits_of_shards(model, held_out, batch_size=3))
    expected = slow(model, held_out, range(len(held_out)))
    assert found.bits == pytest.approx(expected["bits"], rel=1e-5)
    assert found.tokens == expected["tokens"]
    assert found.bytes == held_out.text_bytes
    assert found.per_byte == pytest.approx(expected["bits"] / held_out.text_bytes, rel=1e-5)


@pytest.mark.parametrize(("batch_size", "chunk"), [(1, 256), (8, 5), (64, 31)])
def test_batches_and_chunks_change_nothing(held_out, monkeypatch, batch_size, chunk):
    model = tiny()
    reference = total(bits_of_shards(model, held_out))
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert total(bits_of_shards(model, held_out, batch_size=batch_size)).bits == pytest.approx(reference.bits, rel=1e-6)


def test_a_uniform_model_costs_log2_of_the_rows_a_token(held_out):
    model = tiny()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    found = total(bits_of_shards(model, held_out))
    assert found.bits == pytest.approx(found.tokens * math.log2(384), rel=1e-6)


def test_domains_add_up_and_so_do_parts_of_the_split(held_out):
    model = tiny()
    parts = bits_of_shards(model, held_out)
    assert set(by(parts, "domain")) == {"甲", "乙"}
    whole = total(parts)
    buckets = {name for n in range(held_out.shards) for name in held_out.pieces_table(n)["bucket"].to_pylist()}
    assert set(by(parts, "bucket")) == buckets
    for what in ("source", "domain", "bucket"):
        groups = by(parts, what).values()
        assert sum(found.bits for found in groups) == pytest.approx(whole.bits)
        assert sum(found.bytes for found in groups) == whole.bytes
    some = total(bits_of_shards(model, held_out, sequences=5))
    assert some.bits == pytest.approx(slow(model, held_out, choose(len(held_out), 5).tolist())["bits"], rel=1e-5)
    assert some.bytes < whole.bytes


def test_parts_are_added_up_by_what_is_asked():
    parts = {
        Part("报", "医", "head"): Bits(1, 2, 3),
        Part("报", "法", "tail"): Bits(4, 5, 6),
        Part("网", "医", "tail"): Bits(7, 8, 9),
    }
    assert by(parts, "bucket") == {"head": Bits(1, 2, 3), "tail": Bits(11, 13, 15)}
    assert by(parts, "source") == {"报": Bits(5, 7, 9), "网": Bits(7, 8, 9)}
    assert by(parts, "domain") == {"医": Bits(8, 10, 12), "法": Bits(4, 5, 6)}


def test_the_model_is_put_back_into_training(held_out):
    model = tiny().train()
    bits_of_shards(model, held_out, sequences=1)
    assert model.training


@pytest.mark.parametrize("window", [2, 5, 9, 512])
def test_texts_by_windows_score_every_id_once(toy, window):
    model, pieces = tiny(), SentencePieceProcessor(model_file=str(toy / "tok/tokenizer.model"))
    text = "医生在山上看病。老师在家中写字。"
    ids = [pieces.bos_id(), *pieces.encode(text), pieces.eos_id()]
    expected = 0.0
    for place in range(1, len(ids)):  # what an id sees: the window it is predicted in
        low = (place - 1) // (window - 1) * (window - 1)
        with torch.no_grad():
            table = model(input_ids=torch.tensor([ids[low:place]])).logits[0, -1].double().log_softmax(-1)
        expected -= float(table[ids[place]]) / math.log(2)
    found = bits_of_texts(model, toy / "tok", [text, ""], window=window)
    empty = bits_of_texts(model, toy / "tok", [""], window=window)
    assert found.bits - empty.bits == pytest.approx(expected, rel=1e-5)
    assert (found.bytes, found.tokens) == (len(text.encode()), len(ids) - 1 + 1)


def test_nothing_costs_nothing():
    assert math.isnan(Bits(0.0, 0, 0).per_byte)
    assert Bits(8.0, 4, 2).per_byte == 2.0


def test_the_command(toy, saved, capsys, held_out):
    assert command(["bits", "--model", str(saved), "--tokens", str(toy / "tokens"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bits_per_byte"] == pytest.approx(total(bits_of_shards(tiny(), held_out)).per_byte, rel=1e-6)
    assert set(found["domains"]) == {"甲", "乙"}
    assert sum(one["bytes"] for one in found["buckets"].values()) == found["bytes"]
    assert sum(one["bytes"] for one in found["sources"].values()) == found["bytes"]
    assert command(["bits", "--model", str(saved), "--tokens", str(toy / "tokens")]) == 0
    table = capsys.readouterr().out
    assert f"{found['bits_per_byte']:.4g}" in table
    assert "甲" in table


def test_the_command_on_texts(saved, tmp_path, capsys):
    file = tmp_path / "文.txt"
    file.write_text("农民在河边种田。", encoding="utf-8")
    assert command(["bits", "--model", str(saved), "--text", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 24


def test_bad_input_is_one_line(toy, saved, tmp_path, held_out):
    def bits(*more):
        return command(["bits", "--model", str(saved), *more])

    tokens = ["--tokens", str(toy / "tokens")]
    other = make_tokens(tmp_path / "tokens", make_tokenizer(tmp_path / "tok", seed=5))
    (tmp_path / "gbk.txt").write_bytes("农民".encode("gbk"))
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/config.json").write_text('{"model_type": "bert"}')
    for call, kind, said in (
        (bits, ConfigError, "needs --tokens, --corpus or --text"),
        (lambda: bits(*tokens, "--text", "a.txt"), ConfigError, "needs --tokens, --corpus or --text"),
        (lambda: bits("--text", "a.txt", "--sequences", "3"), ConfigError, "counts what --tokens names, not --text"),
        (lambda: bits(*tokens, "--sequences", "0"), ConfigError, "--sequences: 0 is below 1"),
        (lambda: bits("--tokens", str(other)), InputError, "packed with another tokenizer"),
        (lambda: bits("--tokens", "nowhere"), InputError, "no such folder"),
        (lambda: bits("--text", str(tmp_path / "gbk.txt")), InputError, "is not UTF-8 at byte"),
        (lambda: bits("--text", "nowhere.txt"), InputError, "cannot be read"),
        (lambda: command(["bits", "--model", "nowhere", *tokens]), InputError, "name a model folder or a run"),
        (lambda: command(["bits", "--model", str(tmp_path / "bert"), *tokens]), InputError, "a model of type bert"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_damaged_model_is_one_line(toy, saved, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        command(["bits", "--model", str(folder), "--tokens", str(toy / "tokens")])
    assert "\n" not in str(caught.value)
