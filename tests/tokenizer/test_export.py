import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer

from tests.tokenizer.conftest import SENTENCES

# Text that these models make pieces of, the white space that segmentation trips over, and any character at all.
TEXT = st.lists(
    st.one_of(
        st.sampled_from([*SENTENCES, " ", "  ", "   ", "\n", "\t", "\r\n", "--", "研墨", "笔墨纸砚", "砚", "the", "a"]),
        st.sampled_from(["▁", "<0x0A>", "\x00", "😀", "𠮷", "\ufeff", "\ufffd", "e\u0301", "<human", "Ａ９"]),
        st.text(max_size=4),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def loaders(extended):
    from transformers import AutoTokenizer

    return (
        SentencePieceProcessor(model_file=str(extended / "tokenizer.model")),
        Tokenizer.from_file(str(extended / "tokenizer.json")),
        AutoTokenizer.from_pretrained(str(extended)),
    )


@given(text=TEXT)
def test_ids_and_text_are_equal_in_every_loader(loaders, text):
    if any(special in text for special in ("<s>", "</s>", "<unk>", "<human>", "<bot>")):
        return  # these are specials to transformers and plain text to sentencepiece
    piece, fast, auto = loaders
    ids = piece.encode(text)
    assert fast.encode(text, add_special_tokens=False).ids == ids
    assert auto(text, add_special_tokens=False)["input_ids"] == ids
    assert fast.decode(ids, skip_special_tokens=False) == auto.decode(ids)
    if "▁" not in text:
        assert piece.decode(ids) == auto.decode(ids) == text


def test_runs_of_spaces_of_every_length_are_equal(zh7k):
    piece = SentencePieceProcessor(model_file=str(zh7k / "tokenizer.model"))
    fast = Tokenizer.from_file(str(zh7k / "tokenizer.json"))
    lines = [f"{' ' * n}{tail}" for n in range(1, 70) for tail in ("", "return x", "墨")]
    assert [one.ids for one in fast.encode_batch(lines, add_special_tokens=False)] == piece.encode(lines)
    lines = [*SENTENCES, *(a + b for a in SENTENCES for b in SENTENCES)]
    assert [one.ids for one in fast.encode_batch(lines, add_special_tokens=False)] == piece.encode(lines)


def test_real_lines_are_equal(zh7k, shared):
    import tarfile

    archive = shared / "data/zh_tech__react-docs-zh.tar.xz"
    if not archive.is_file():
        pytest.skip("../shared has no zh_tech__react-docs-zh: no real lines to compare on")
    lines = []
    with tarfile.open(archive) as members:
        for member in members:
            if member.name.endswith(".md") and len(lines) < 20_000:
                lines += members.extractfile(member).read().decode().splitlines()
    lines = [line for line in lines if not any(special in line for special in ("<s>", "</s>", "<unk>"))]
    assert len(lines) > 10_000
    piece = SentencePieceProcessor(model_file=str(zh7k / "tokenizer.model"))
    fast = Tokenizer.from_file(str(zh7k / "tokenizer.json"))
    assert [one.ids for one in fast.encode_batch(lines, add_special_tokens=False)] == piece.encode(lines)


def test_specials_are_in_their_places(loaders, extended):
    piece, _, auto = loaders
    assert auto.convert_tokens_to_ids(["<s>", "</s>", "<human>", "<bot>"]) == [
        piece.bos_id(), piece.eos_id(), piece.vocab_size() - 2, piece.vocab_size() - 1,
    ]  # fmt: skip
    assert auto.pad_token == "<unk>"
    assert len(auto) == piece.vocab_size()
    assert piece.vocab_size() - 1 not in piece.encode("a<bot>b")  # no text turns into a special by itself
    assert json.loads((extended / "special_tokens_map.json").read_text())["additional_special_tokens"] == [
        "<human>",
        "<bot>",
    ]


def test_chat_template_marks_the_answer_and_a_prompt_begins_its_conversation(loaders):
    auto = loaders[2]
    turns = [
        {"role": "system", "content": "简短回答。"},
        {"role": "user", "content": "研墨？"},
        {"role": "assistant", "content": "用砚。"},
    ]
    whole = auto.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    prompt = auto.apply_chat_template(turns[:2], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert whole["input_ids"][: len(prompt)] == prompt
    assert whole["assistant_masks"] == [0] * len(prompt) + [1] * (len(whole["input_ids"]) - len(prompt))
    answer = [n for n, mark in zip(whole["input_ids"], whole["assistant_masks"], strict=True) if mark]
    assert auto.decode(answer) == "用砚。</s>"
    with pytest.raises(Exception, match="no such role"):
        auto.apply_chat_template([{"role": "tool", "content": "x"}])
