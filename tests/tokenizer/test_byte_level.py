import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.tokenizer.conftest import SENTENCES
from tokenizer.base import Base
from tokenizer.byte_level import extend_byte_level, letters_of
from tokenizer.cli import command
from tokenizer.vocabularies import find_list
from workbench.errors import InputError, OutputError
from workbench.files import sha256_file

TEXT = st.lists(
    st.one_of(
        st.sampled_from([*SENTENCES, "研墨", "笔墨纸砚", "砚台", " ", "\n", "℃", "😀", "the"]), st.text(max_size=4)
    )
).map("".join)


@pytest.fixture(scope="module")
def folder(byte_level, words, tmp_path_factory):
    out = tmp_path_factory.mktemp("grown") / "tok"
    base = Base(str(byte_level), byte_level, sha256_file(byte_level))
    extend_byte_level(base, [find_list(str(words)), find_list("medical")], out, pad_to=64)
    return out


@pytest.fixture(scope="module")
def both(byte_level, folder):
    return Tokenizer.from_file(str(byte_level)), Tokenizer.from_file(str(folder / "tokenizer.json"))


def slow_ids(content, text):
    """Byte pair encoding of one word by its definition: the earliest merge there is, the leftmost of equals."""
    ranks = {tuple(merge): rank for rank, merge in enumerate(content["model"]["merges"])}
    tokens = list(letters_of(text))
    while True:
        found = [(ranks[pair], at) for at, pair in enumerate(zip(tokens, tokens[1:], strict=False)) if pair in ranks]
        if not found:
            return [content["model"]["vocab"][token] for token in tokens]
        _, at = min(found)
        tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]


def test_added_pieces_are_one_token_each_and_counted(both, folder, words):
    before, after = both
    report = json.loads((folder / "report.json").read_text())
    for piece in (*find_list(str(words)).pieces, *find_list("medical").pieces):
        if piece not in report["unreachable"]:
            assert len(after.encode(piece).ids) == 1, piece
    assert len(before.encode("砚").ids) == 2
    assert after.decode(after.encode("笔墨纸砚").ids) == "笔墨纸砚"
    assert report["base_pieces"] == 400
    assert report["total"] == 400 + report["added"] + report["byte_prefixes"] + 2 == after.get_vocab_size()
    assert sorted(after.get_vocab().values()) == list(range(report["total"]))
    assert report["specials"] == {"<human>": report["total"] - 2, "<bot>": report["total"] - 1}
    assert report["embedding_rows"] % 64 == 0
    assert before.get_vocab().items() <= after.get_vocab().items()


@given(text=TEXT)
def test_text_comes_back_and_merges_are_those_of_the_definition(both, folder, text):
    after = both[1]
    ids = after.encode(text, add_special_tokens=False).ids
    assert after.decode(ids, skip_special_tokens=False) == text
    content = json.loads((folder / "tokenizer.json").read_text())
    words = after.pre_tokenizer.pre_tokenize_str(text)
    if not any(name in text for name in ("<human>", "<bot>", "<|end|>")):
        assert ids == [n for _, (low, high) in words for n in slow_ids(content, text[low:high])]


@given(text=st.text(alphabet=st.characters(max_codepoint=0x7FF)))
def test_text_without_hanzi_or_signs_stays_as_it_was(both, text):
    before, after = both
    if not any(name in text for name in ("<human>", "<bot>")) and not set(text) & set(find_list("medical").pieces):
        assert before.encode(text).ids == after.encode(text).ids


def test_auto_tokenizer_reads_the_folder(folder, both):
    from transformers import AutoTokenizer

    auto = AutoTokenizer.from_pretrained(str(folder))
    for text in (*SENTENCES, "研墨 a", "\t砚\r\n"):
        assert auto(text, add_special_tokens=False)["input_ids"] == both[1].encode(text).ids
    assert auto.convert_tokens_to_ids("<bot>") == both[1].token_to_id("<bot>")


def test_merges_written_as_text_stay_so_and_the_command_does_it(byte_level, words, tmp_path, capsys):
    content = json.loads(byte_level.read_text())
    content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    old = tmp_path / "tokenizer.json"
    old.write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|end|>", "tokenizer_class": "Qwen2Tokenizer"}')
    line = ["extend", "--add", str(words), "--base", str(old), "--out", str(tmp_path / "out")]
    assert command(line) == 0
    assert "first bytes of hanzi" in capsys.readouterr().out
    grown = json.loads((tmp_path / "out/tokenizer.json").read_text())
    assert {type(merge) for merge in grown["model"]["merges"]} == {str}
    assert Tokenizer.from_file(str(tmp_path / "out/tokenizer.json")).encode("砚").ids == [
        grown["model"]["vocab"][letters_of("砚")]
    ]
    about = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert about == {"eos_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    assert command(line) == 0
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(OutputError, match="--overwrite"):
        command([*line, "--pad-to", "64"])


def test_what_is_no_byte_level_bpe_is_one_line(extended, tmp_path, words):
    for path, content in (
        ("a.json", "{}"),
        ("b.json", "[]"),
        ("c.json", "\xff"),
        ("d.json", (extended / "tokenizer.json").read_text()),
    ):
        (tmp_path / path).write_text(content, encoding="latin-1" if path == "c.json" else "utf-8")
        base = Base(path, tmp_path / path, "0")
        with pytest.raises(InputError, match=r"is not a tokenizer\.json|is no byte-level BPE") as error:
            extend_byte_level(base, [find_list(str(words))], tmp_path / "out", pad_to=1)
        assert "\n" not in str(error.value)
