import json
import shutil

import pytest

from tests.tokenizer.conftest import SENTENCES
from tokenizer.check import BROKEN, HARD, check, cut, judge, read_text, segmentation_changes
from tokenizer.cli import command
from workbench.errors import GateFailed, InputError

TEXT = "\n".join([*SENTENCES, "  leading\r", "\ttab", "", "😀𠮷 and <s> </s> <human>", "砚"])


def test_a_good_folder_passes(extended, small):
    verdicts = check(extended, TEXT)
    assert [one.loader.split(",")[0] for one in verdicts] == [
        "sentencepiece", "tokenizers", "yanmo", "AutoTokenizer", "LlamaTokenizer",
    ]  # fmt: skip
    assert {one.texts for one in verdicts if not one.refused} == {len(cut(TEXT)) + len(HARD)}
    assert all(one.different == one.not_restored == 0 for one in verdicts)
    changed, compared = segmentation_changes(extended, small, TEXT)
    assert changed == 0
    assert 0 < compared < TEXT.count("\n") + 1  # the line with 砚 is left out
    judge(verdicts, changed)


def test_merges_in_another_order_are_found(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "tok")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"] = content["model"]["merges"][:0:-1]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    verdicts = check(folder, TEXT)
    assert verdicts[1].different > 0
    assert verdicts[0].different == verdicts[2].different == 0
    with pytest.raises(GateFailed, match="tokenizers: "):
        judge(verdicts, 0)
    with pytest.raises(GateFailed, match="3 lines without an added piece"):
        judge(verdicts[:1], 3)


def test_llama_tokenizer_is_equal_or_refused_with_the_reason(extended):
    import transformers

    one = check(extended, TEXT)[-1]
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
        check(folder, TEXT)


def test_without_transformers_three_loaders_are_compared(extended, monkeypatch):
    monkeypatch.setattr("tokenizer.check._transformers", lambda: None)
    assert len(check(extended, TEXT)) == 3


def test_bad_input_is_one_line(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "tok")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded"):
        check(folder, TEXT)
    for content, said in ((b"", "is empty"), (b"a\xff", "is not UTF-8 at byte 1")):
        (tmp_path / "t.txt").write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_text(tmp_path / "t.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path / "nowhere.txt")


def test_commands(extended, small, tmp_path, capsys):
    text = tmp_path / "t.txt"
    text.write_text(TEXT, encoding="utf-8")
    assert command(["check", str(extended), "--text", str(text), "--base", str(small), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base"]["changed"] == 0
