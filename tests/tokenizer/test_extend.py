import inspect
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

import tokenizer.pack
from tests.tokenizer.conftest import SENTENCES, train_model
from tokenizer.base import Base, find_base
from tokenizer.extend import extend
from tokenizer.model import read_model
from tokenizer.vocabularies import find_list
from workbench.errors import InputError, MissingPackage, OutputError
from workbench.files import sha256_file


def test_llama_and_zh7k_are_39410(zh7k):
    report = json.loads((zh7k / "report.json").read_text())
    assert report["lists"] == [{"name": "zh7k", "asked": 8019, "already_there": 611, "unreachable": 0, "added": 7408}]
    assert report["total"] == 39_410
    assert report["embedding_rows"] == 39_424
    assert report["specials"] == {"<human>": 39_408, "<bot>": 39_409}
    processor = SentencePieceProcessor(model_file=str(zh7k / "tokenizer.model"))
    assert processor.vocab_size() == 39_410
    assert processor.is_control(39_408)


def test_mistral_and_zh7k_are_38769(tmp_path):
    try:
        base = find_base("mistral")
    except MissingPackage:
        pytest.skip("mistral-common is not installed: --base mistral cannot be tried")
    assert extend(base, [find_list("zh7k")], tmp_path / "out", pad_to=128)["total"] == 38_769


def test_text_without_an_added_character_keeps_its_segmentation(llama, zh7k):
    before = SentencePieceProcessor(model_file=str(llama.path))
    after = SentencePieceProcessor(model_file=str(zh7k / "tokenizer.model"))
    lines = [*inspect.getsource(tokenizer.pack).splitlines(), *inspect.getdoc(dict).splitlines(), *SENTENCES[4:8]]
    assert len(lines) > 200
    assert before.encode(lines) == after.encode(lines)
    rare = "砚"
    assert len(before.encode(rare)) == 4  # the prefix and three bytes
    assert len(after.encode(rare)) == 2


def test_scores_are_distinct_and_below_the_base(small, extended):
    base, model = read_model(small), read_model(extended / "tokenizer.model")
    added = [piece.score for piece in model.pieces[len(base.pieces) : -2]]
    assert len(added) == len(set(added)) == 10
    assert max(added) < min(piece.score for piece in base.pieces)
    assert all(a > b for a, b in zip(added, added[1:], strict=False))
    assert list(model.pieces[: len(base.pieces)]) == list(base.pieces)


def test_scores_stay_distinct_where_float32_is_coarse(zh7k, llama):
    model = read_model(zh7k / "tokenizer.model")
    added = np.array([piece.score for piece in model.pieces[32_000:39_408]], np.float32)
    assert len(np.unique(added)) == 7408
    assert added.max() < -1e9


def test_words_bring_their_hanzi_and_dead_words_stay_out(small, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("笔墨纸砚\n笔墨\n墨\n", encoding="utf-8")  # without 纸砚: 笔墨纸砚 is no merge of two pieces
    report = extend(Base("small", small, sha256_file(small)), [find_list(str(path))], tmp_path / "out", pad_to=1)
    assert report["unreachable"] == ["笔墨纸砚"]
    assert report["characters_of_words"] == 1  # 笔; 墨 is asked for by itself
    count = report["lists"][0]
    assert count["asked"] == count["already_there"] + count["unreachable"] + count["added"]
    processor = SentencePieceProcessor(model_file=str(tmp_path / "out/tokenizer.model"))
    assert processor.encode("笔墨", out_type=str)[-1] == "笔墨"


def test_several_lists_add_a_piece_once(small, words, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("墨\n鼎\n", encoding="utf-8")
    lists = [find_list(str(words)), find_list(str(other))]
    report = extend(Base("small", small, sha256_file(small)), lists, tmp_path / "out", pad_to=64)
    assert report["lists"][1] == {
        "name": str(other), "asked": 2, "already_there": 1, "unreachable": 0, "added": 1,
    }  # fmt: skip
    assert report["embedding_rows"] % 64 == 0


def test_presets_are_added_in_order_and_each_piece_once(llama, tmp_path):
    lists = [find_list(name) for name in ("zh7k", "medical", "zh-hant", "zh7k")]
    report = extend(llama, lists, tmp_path / "out", pad_to=128)
    rows = [(row["name"], row["asked"], row["already_there"], row["added"]) for row in report["lists"]]
    assert rows == [
        ("zh7k", 8019, 611, 7408), ("medical", 76, 22, 54), ("zh-hant", 5401, 3464, 1937), ("zh7k", 8019, 8019, 0),
    ]  # fmt: skip
    assert report["total"] == 32_000 + 7408 + 54 + 1937 + 2


@given(
    text=st.lists(st.one_of(st.sampled_from([*SENTENCES, "℃", "％", "①", "Ⅱ", " ", "  ", "\t"]), st.text())).map(
        "".join
    )
)
def test_a_sign_takes_the_place_of_its_bytes_and_nothing_else_changes(llama, medical, text):
    before, after = (SentencePieceProcessor(model_file=str(path)) for path in (llama.path, medical))
    added = set(range(32_000, after.vocab_size() - 2))
    back = {number: list(after.id_to_piece(number).encode()) for number in added}
    ids = [n for number in after.encode(text) for n in ([3 + b for b in back[number]] if number in added else [number])]
    assert ids == before.encode(text)


@pytest.fixture(scope="module")
def medical(llama, tmp_path_factory):
    out = tmp_path_factory.mktemp("medical") / "tok"
    extend(llama, [find_list("medical")], out, pad_to=128)
    return out / "tokenizer.model"


def test_words_merge_in_the_order_of_their_list(small, tmp_path):
    path = tmp_path / "list.txt"
    for words, pieces in (("砚台\n台墨\n", ["▁", "砚台", "墨"]), ("台墨\n砚台\n", ["▁", "砚", "台墨"])):
        path.write_text(words, encoding="utf-8")
        extend(
            Base("small", small, sha256_file(small)), [find_list(str(path))], tmp_path / "out", pad_to=1, overwrite=True
        )
        processor = SentencePieceProcessor(model_file=str(tmp_path / "out/tokenizer.model"))
        assert processor.encode("砚台墨", out_type=str) == pieces


def test_the_same_again_does_nothing_and_another_is_refused(small, words, tmp_path, capsys):
    base, lists = Base("small", small, sha256_file(small)), [find_list(str(words))]
    first = extend(base, lists, tmp_path / "out", pad_to=64)
    stamp = (tmp_path / "out/tokenizer.model").stat().st_mtime_ns
    assert extend(base, lists, tmp_path / "out", pad_to=64) == first
    assert (tmp_path / "out/tokenizer.model").stat().st_mtime_ns == stamp
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(OutputError, match="--overwrite"):
        extend(base, lists, tmp_path / "out", pad_to=128)
    extend(base, lists, tmp_path / "out", pad_to=128, overwrite=True)


def test_an_extended_model_can_be_extended_again(extended, words, tmp_path):
    model = extended / "tokenizer.model"
    report = extend(Base("x", model, sha256_file(model)), [find_list(str(words))], tmp_path / "out", pad_to=64)
    assert report["added"] == 0
    assert report["total"] == report["base_pieces"]
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (extended / name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model_type": "unigram", "vocab_size": 500}, "another kind than BPE"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normalises its text"),
        ({"remove_extra_whitespaces": True}, "spaces"),
        ({"byte_fallback": False, "vocab_size": 300}, "no byte fallback"),
        ({"user_defined_symbols": ["<x>"]}, "user-defined"),
        ({"treat_whitespace_as_suffix": True}, "behind a word"),
    ],
)
def test_a_base_that_loaders_would_read_differently_is_refused(tmp_path, settings, said):
    path = train_model(tmp_path / "m.model", **settings)
    with pytest.raises(InputError, match=said):
        read_model(path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100, b'{"version": "1.0"}'])
def test_a_file_that_is_no_model_is_one_line(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a SentencePiece model"):
        read_model(path)


def test_zh7k_plus_is_49920_and_keeps_english(llama, tmp_path):
    report = extend(llama, [find_list("zh7k-plus")], tmp_path / "out", pad_to=128)
    assert report["total"] == report["embedding_rows"] == 49_920
    assert report["unreachable"] == []
    before, after = (SentencePieceProcessor(model_file=str(p)) for p in (llama.path, tmp_path / "out/tokenizer.model"))
    lines = inspect.getsource(tokenizer.pack).splitlines()
    assert before.encode(lines) == after.encode(lines)
    assert after.encode("经济发展", out_type=str) == ["▁", "经济发展"]
