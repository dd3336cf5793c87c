import bz2
import tarfile

import pytest

from tokenizer.vocabularies import find_list, is_hanzi, is_sign, shipped
from tokenizer.vocabularies.zh7k import gb2312_hanzi, zh7k
from tokenizer.vocabularies.zh_hant import big5_level_1
from workbench.errors import ConfigError, InputError


def test_zh7k_is_8019_different_characters_with_all_of_gb2312():
    pieces = find_list("zh7k").pieces
    assert len(pieces) == len(set(pieces)) == 8019
    assert len(gb2312_hanzi()) == 6763
    assert gb2312_hanzi() <= set(pieces)
    assert {"０", "Ｚ", "ａ"} <= set(pieces)


def test_zh7k_is_what_unihan_gives(shared):
    archive = shared / "data/lexicon__charset-stopwords-tokenizers.tar.xz"
    if not archive.is_file():
        pytest.skip("../shared has no lexicon archive: zh7k cannot be recomputed")
    with tarfile.open(archive) as members:
        packed = members.extractfile("lexicon/unihan/Unihan_OtherMappings.txt.bz2").read()
    assert zh7k(bz2.decompress(packed).decode().splitlines()) == list(find_list("zh7k").pieces)


def test_zh_hant_is_big5_level_1():
    pieces = find_list("zh-hant").pieces
    assert list(pieces) == big5_level_1()
    assert len(set(pieces)) == 5401
    assert all(map(is_hanzi, pieces))
    assert len(set(pieces) - set(find_list("zh7k").pieces)) == 2011


def test_medical_holds_single_signs_alone():
    pieces = find_list("medical").pieces
    assert len(pieces) == 76
    assert all(is_sign(piece) for piece in pieces)
    assert {"％", "℃", "㎡", "①", "⑩", "＋", "＝", "μ", "±", "≥", "≤", "α", "β", "γ"} <= set(pieces)


def test_a_file_keeps_its_order(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("# two of them\r\n墨\r\n研墨\r\n〇\r\n".encode())
    assert find_list(str(path)).pieces == ("墨", "研墨", "〇")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "blank"),
        ("墨\n\n研\n".encode(), ":2: is a blank line"),
        ("# 1\n墨\n研\n墨\n".encode(), ":4: repeats 墨 of line 2"),
        ("墨\n 研\n".encode(), ":2: ' 研' has a space"),
        ("墨a\n".encode(), "U+0061, which is no hanzi"),
        ("ＡＢ\n".encode(), "U+FF21, which is no hanzi"),
        ("é\n".encode(), "U+00E9, which is no hanzi and no sign"),
        ("℃℃\n".encode(), "U+2103, which is no hanzi"),
        (b"+\n", "U+002B, which is no hanzi and no sign"),
        ("\u200b\n".encode(), "U+200B, which is no hanzi and no sign"),
        ("▁\n".encode(), "U+2581, which is no hanzi and no sign"),
        (b"\xe5\xa2\xa8\n\xed\xa0\x80\n", "has a surrogate at byte 4"),
        ("研\n".encode("gb18030"), "is not UTF-8 at byte 0"),
        (b"# nothing\n", "holds no piece"),
        (("墨" * 17).encode(), "has 17 characters, more than 16"),
    ],
)
def test_a_bad_list_is_one_clear_line(tmp_path, content, said):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        find_list(str(path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_list_names_the_nearest():
    assert "zh7k" in shipped()
    with pytest.raises(ConfigError, match="did you mean zh7k"):
        find_list("zh7")
