import json
import shutil

import pytest

from tests.tokenizer.conftest import SENTENCES, train_model
from tokenizer.check import check, compare_loaders
from tokenizer.cli import command
from tokenizer.verdict import BROKEN, HARD, Finding, cut, judge
from workbench.errors import GateFailed, InputError

TEXT = "\n".join([*SENTENCES, "  leading\r", "\ttab", "", "😀𠮷 and <s> </s> <human>", "砚"])


def test_a_good_folder_passes(extended, small):
    finding = check(extended, "text", TEXT, small)
    verdicts = finding.loaders
    assert [one.loader.split(",")[0] for one in verdicts] == [
        "sentencepiece", "tokenizers", "yanmo", "AutoTokenizer", "LlamaTokenizer",
    ]  # fmt: skip
    assert {one.texts for one in verdicts if not one.refused} == {len(cut(TEXT)) + len(HARD)}
    assert all(one.different == one.not_restored == 0 for one in verdicts)
    assert finding.base_changed == 0
    assert 0 < finding.base_lines < TEXT.count("\n") + 1  # the line with 砚 is left out
    judge([finding])


def test_merges_in_another_order_are_found(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "tok")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"] = content["model"]["merges"][:0:-1]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    verdicts = tuple(compare_loaders(folder, TEXT))
    assert verdicts[1].different > 0
    assert verdicts[0].different == verdicts[2].different == 0
    with pytest.raises(GateFailed, match="text: tokenizers: "):
        judge([Finding("text", verdicts)])
    with pytest.raises(GateFailed, match="text: 3 lines without an added piece"):
        judge([Finding("text", verdicts[:1], 9, 3)])


def test_llama_tokenizer_is_equal_or_refused_with_the_reason(extended):
    import transformers

    one = compare_loaders(extended, TEXT)[-1]
    if transformers.__version__.startswith("4."):
        assert one.texts > 0
        assert one.different == 0
    else:
        assert "use_AutoTokenizer" in one.refused
        with pytest.raises(Exception, match="leading_spaces"):
            transformers.LlamaTokenizer.from_pretrained(extended)


def test_a_decoder_that_hides_broken_bytes_is_found(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "tok")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["decoder"]["decoders"].insert(2, {"type": "Replace", "pattern": {"String": "\ufffd"}, "content": "?"})
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert len(BROKEN) == 6
    with pytest.raises(GateFailed, match="decode to"):
        compare_loaders(folder, TEXT)


def test_without_transformers_three_loaders_are_compared(extended, monkeypatch):
    monkeypatch.setattr("tokenizer.check.installed_transformers", lambda: None)
    assert len(compare_loaders(extended, TEXT)) == 3


def test_bad_input_is_one_line(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "tok")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded"):
        compare_loaders(folder, TEXT)


def test_several_texts_are_all_checked_and_told_by_name(extended, small, tmp_path, capsys):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text(TEXT, encoding="utf-8")
    other.write_text("The dog.\n砚\n", encoding="utf-8")
    line = ["check", str(extended), "--text", str(one), "--text", str(other), "--base", str(small)]
    assert command([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["text"] for entry in found] == [str(one), str(other)]
    assert [entry["base"]["lines"] for entry in found] == [TEXT.count("\n") - 1, 2]  # without those of 砚 and <human>
    assert found[0]["loaders"][0]["texts"] == len(cut(TEXT)) + len(HARD)
    assert found[1]["loaders"][0]["texts"] == len(cut("The dog.\n砚\n")) + len(HARD)
    assert command(line) == 0
    said = capsys.readouterr().out
    assert said.index("one.txt") < said.index("other.txt")
    assert said.count("AutoTokenizer, transformers") == 2
    assert command(line[:-2]) == 0
    assert "without an added piece" not in capsys.readouterr().out


def test_what_fails_in_an_earlier_text_is_not_lost(extended, small, tmp_path, capsys):
    """The first text has a line that another base segments otherwise; the last one has none."""
    other = train_model(tmp_path / "other.model", vocab_size=600)
    first, last = tmp_path / "first.txt", tmp_path / "last.txt"
    first.write_text("\n".join(SENTENCES), encoding="utf-8")
    last.write_text("砚", encoding="utf-8")
    line = ["check", str(extended), "--text", str(first), "--text", str(last), "--base", str(other)]
    with pytest.raises(GateFailed, match=r"first\.txt: \d+ lines without an added piece"):
        command(line)
    assert "last.txt" in capsys.readouterr().out
