import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.tokenizer.conftest import SENTENCES
from tokenizer.cli import command
from tokenizer.fertility import fertility
from tokenizer.passage import page, segments
from tokenizer.peers import HuggingFace, SentencePiece, byte_letters, find_vocabulary, tekken
from workbench.errors import InputError, MissingPackage


@pytest.fixture(scope="module")
def tekken_file(tmp_path_factory):
    ranks = [bytes([n]) for n in range(256)] + ["中".encode(), b"th", b"the"]
    vocab = [{"rank": n, "token_bytes": base64.b64encode(b).decode(), "token_str": None} for n, b in enumerate(ranks)]
    config = {"pattern": r"\p{L}+|\s+|\P{L}", "default_vocab_size": 261, "default_num_special_tokens": 2}
    path = tmp_path_factory.mktemp("tekken") / "tekken.json"
    path.write_text(json.dumps({"config": config, "vocab": vocab}))
    return path


def test_figures_count_what_they_say(extended, small):
    before, after = (fertility("t", "x", SentencePiece(p), "砚台\n砚") for p in (small, extended / "tokenizer.model"))
    assert (before.tokens, after.tokens) == (9, 5)  # 台 is in neither model: three bytes
    assert after.characters_per_token == 3 / 5
    assert after.bytes_per_token == 9 / 5
    assert after.fallback_share == 3 / 5
    assert after.tokens_per_hanzi == 5 / 3
    assert after.restored == 1
    assert after.budget_characters == 75e9
    assert fertility("t", "x", SentencePiece(small), "the fox").tokens_per_hanzi is None


def test_our_folder_is_the_same_read_as_sentencepiece_and_as_tokenizer_json(extended):
    text = "\n".join([*SENTENCES, "  研墨 a", "\t砚台"])
    rows = [
        fertility("t", "x", find_vocabulary(str(path)), text)
        for path in (extended, extended / "tokenizer.model", extended / "tokenizer.json")
    ]
    assert rows[0] == rows[1] == rows[2]


@given(
    text=st.text(alphabet=st.one_of(st.sampled_from("中国the 研墨\t砚😀"), st.characters(exclude_categories=["Cs"])))
)
def test_tokens_bytes_are_the_text_whatever_the_kind(byte_level, extended, tekken_file, text):
    for vocabulary in (HuggingFace(byte_level), tekken(tekken_file), SentencePiece(extended / "tokenizer.model")):
        prefix = " " if isinstance(vocabulary, SentencePiece) and text else ""
        (ids,) = vocabulary.encode([text])
        assert b"".join(vocabulary.token_bytes[n] for n in ids) == (prefix + text.replace("▁", " ")).encode() or (
            "▁" in text and prefix == ""
        )
        parts = segments(text, vocabulary)
        assert sum(count for _, count in parts) == len(ids)
        if "▁" not in text:
            assert "".join(part for part, _ in parts) == prefix + text


def test_byte_letters_are_those_of_the_library():
    assert set(byte_letters().values()) == set(pre_tokenizers.ByteLevel.alphabet())
    coded = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("é 中")[0][0]
    assert coded == "".join(byte_letters()[value] for value in "é 中".encode())


def test_the_page_is_whole_escaped_and_needs_nothing(byte_level, extended, tmp_path, capsys):
    text = tmp_path / "<b>.txt"
    text.write_text("<script>alert(1)</script> 砚台 & 研墨\n", encoding="utf-8")
    out = tmp_path / "page.html"
    words = ["compare", str(extended), str(byte_level), "--text", str(text), "--html", str(out)]
    assert command([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["pieces"] for row in rows] == [712, 400]
    assert command(words) == 0
    assert "125B tokens" in capsys.readouterr().out
    html = out.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;" in html
    assert "&lt;b&gt;.txt" in html
    assert not re.search(r"(src|href)=|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html
    assert html.count('<p class="passage">') == 2
    assert '<span class="t0 several">' in html or "several" in html
    for name in ("div", "table", "span", "p", "h3", "sub"):
        assert len(re.findall(f"<{name}[ >]", html)) == html.count(f"</{name}>")


def test_a_long_text_shows_its_beginning(small):
    html = page({"t": "好" * 5000}, {"x": SentencePiece(small)}, [])
    assert html.count("好") == 600


def test_real_peers_of_installed_packages():
    pytest.importorskip("mistral_common", reason="mistral-common is not installed: its vocabularies cannot be read")
    peer = find_vocabulary("mistral-common/tekken_240911.json")
    row = fertility("t", "tekken", peer, "今天的天气很好，我们去公园散步吧。The quick brown fox.")
    assert row.restored == 1
    assert row.pieces == 131_072 - 1000
    assert find_vocabulary("mistral-common/tokenizer.model.v1").encode(["a"])[0].tolist() == [264]


def test_what_cannot_be_read_is_one_line(tmp_path, byte_level):
    (tmp_path / "empty").mkdir()
    bad = tmp_path / "tokenizer.json"
    bad.write_text("{}")
    broken = tmp_path / "tekken.json"
    broken.write_text('{"config": {}}')
    pieces = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    pieces.save(str(tmp_path / "wordpiece.json"))
    for word, said in (
        (str(tmp_path / "empty"), "holds neither"),
        (str(bad), "is not a tokenizer.json"),
        (str(broken), "is not a Tekken vocabulary"),
        (str(tmp_path / "wordpiece.json"), "is neither byte-level"),
        ("nowhere", "no such file"),
    ):
        with pytest.raises(InputError, match=said) as error:
            find_vocabulary(word)
        assert "\n" not in str(error.value)
    for word in ("tiktoken/none", "mistral-common/none"):
        with pytest.raises((InputError, MissingPackage)):
            find_vocabulary(word)
