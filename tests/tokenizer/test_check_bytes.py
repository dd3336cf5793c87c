import json
import shutil

import pytest

from tests.tokenizer.conftest import SENTENCES
from tokenizer.base import Base
from tokenizer.byte_level import extend_byte_level
from tokenizer.check import check
from tokenizer.cli import command
from tokenizer.verdict import HARD, Finding, cut, judge
from tokenizer.vocabularies import find_list
from workbench.errors import GateFailed, InputError
from workbench.files import sha256_file

TEXT = "\n".join([*SENTENCES, "  leading\r", "\ttab", "", "😀𠮷 and <|endoftext|> <human>", "砚"])


@pytest.fixture(scope="module")
def folder(byte_level, words, tmp_path_factory):
    out = tmp_path_factory.mktemp("grown") / "tok"
    extend_byte_level(
        Base(str(byte_level), byte_level, sha256_file(byte_level)), [find_list(str(words))], out, pad_to=1
    )
    return out


def test_a_good_folder_passes(folder, byte_level):
    finding = check(folder, "text", TEXT, byte_level)
    assert [one.loader.split(",")[0] for one in finding.loaders] == ["tokenizers", "yanmo", "AutoTokenizer"]
    assert {one.texts for one in finding.loaders} == {len(cut(TEXT)) + len(HARD)}
    assert all(one.different == one.not_restored == 0 for one in finding.loaders)
    assert finding.base_changed == 0
    assert 0 < finding.base_lines < TEXT.count("\n") + 1  # the line with 砚 is left out
    judge([finding])


def test_a_loader_that_adds_a_space_and_a_base_with_other_merges_are_found(folder, byte_level, tmp_path):
    other = shutil.copytree(folder, tmp_path / "tok")
    content = json.loads((other / "tokenizer.json").read_text())
    content["decoder"]["trim_offsets"] = True
    content["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    (other / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(GateFailed, match="text: tokenizers: "):
        judge([check(other, "text", TEXT)])
    content = json.loads(byte_level.read_text())
    content["model"]["merges"] = content["model"]["merges"][::-1]
    (tmp_path / "base.json").write_text(json.dumps(content))
    found = check(folder, "text", TEXT, tmp_path / "base.json")
    assert found.base_changed > 0
    with pytest.raises(GateFailed, match="without an added piece are segmented otherwise"):
        judge([Finding("text", found.loaders, found.base_lines, found.base_changed)])


def test_by_the_command(folder, byte_level, small, tmp_path, capsys):
    text = tmp_path / "t.txt"
    text.write_text(TEXT, encoding="utf-8")
    assert command(["check", str(folder), "--text", str(text), "--base", str(byte_level)]) == 0
    assert "0 segmented otherwise than in the base" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"is not a tokenizer\.json"):
        command(["check", str(folder), "--text", str(text), "--base", str(small)])
    with pytest.raises(InputError, match=r"holds no tokenizer\.model and no tokenizer\.json"):
        command(["check", str(tmp_path), "--text", str(text)])
