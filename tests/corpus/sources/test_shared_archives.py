"""The sources on real published data: golden counts, and the quality of what depends on judgement."""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from corpus.sources.archive import Member, members
from corpus.sources.base import Span
from corpus.sources.encoding import Decoded, decode
from corpus.sources.unwrap import unwrap
from corpus.sources.webpage import EXTRACTORS, decode_page
from tests.corpus.sources.reading import SHARED, read

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}: the shared archives are not here")


def laid_out(name: str, folder: Path) -> Path:
    (archive,) = SHARED.glob(f"{name}*.tar.xz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def archived(name: str) -> Path:
    (archive,) = SHARED.glob(f"{name}*.tar.xz")
    return archive


@pytest.mark.parametrize(
    ("source", "archive", "options", "records"),
    [
        ("text", "zh_tech__react-docs-zh", {}, 222),
        ("openwebtext", "en_books__litbank", {}, 11),
        ("books", "en_books__litbank", {"document": "chapter"}, 330),
        ("books", "medical__tcm", {}, 44),
        ("html", "zh_web__gerapy", {}, 15),
    ],
)
def test_archives_as_they_are(source: str, archive: str, options: dict[str, str], records: int) -> None:
    found = read(source, archived(archive), **options)
    assert len(found.keys) == len(set(found.keys)) == records
    assert found.causes == []
    assert sum(not text.strip() for text in found.texts) == (source == "html")  # a list of links, without a main text
    assert sum(text.count("\ufffd") for text in found.texts) == 0


@pytest.mark.parametrize(
    ("source", "archive", "records", "unreadable"),
    [
        ("medical", "medical__medicalgpt", 4164, 0),
        ("medical", "medical__huatuo", 9664, 0),
        ("medical", "medical__toyhom", 11_692, 0),
        ("jsonl", "zh_web__chinesewebtext", 120, 0),
        ("jsonl", "zh_web__c4", 100, 3),  # two LFS pointers, and one file of Python's repr instead of JSON
    ],
)
def test_folders(tmp_path: Path, source: str, archive: str, records: int, unreadable: int) -> None:
    found = read(source, laid_out(archive, tmp_path))
    assert (len(found.texts), len(found.causes)) == (records, unreadable)
    assert len(set(found.keys)) == records


def test_toyhom_csv_is_its_7644_dialogues(tmp_path: Path) -> None:
    (table,) = laid_out("medical__toyhom", tmp_path).rglob("*.csv")
    found = read("medical", table)
    assert len(found.texts) == 7644  # as the csv module counts them
    assert Counter(found.domains).most_common(1) == [("肝病科", 3121)]
    assert all(text.count("\n") >= 1 for text in found.texts)


def test_every_old_book_is_gb18030_and_its_lines_are_joined() -> None:
    before = after = lines = 0
    archive = archived("medical__tcm")
    for member in members(Span(archive, 0, 1), (".txt",)):
        if isinstance(member, Member):
            decoded = decode(member.data)
            assert isinstance(decoded, Decoded), member.name
            assert decoded.encoding == "gb18030"
            joined = unwrap(decoded.text)
            assert "".join(joined.split()) == "".join(decoded.text.split())
            before += _breaks(decoded.text)
            after += _breaks(joined)
            lines += sum(bool(line.strip()) for line in joined.split("\n"))
    assert before > 30_000
    assert after < 0.03 * lines


def _breaks(text: str) -> int:
    """Count lines that the next one goes on with: it begins with a mark, or this one breaks off inside a sentence."""
    rows = text.split("\n")
    count = 0
    for line, after in zip(map(str.strip, rows), map(str.strip, rows[1:]), strict=False):
        if line and after and "<" not in line[0] + after[0] and "：" not in after[:7]:
            count += after[0] in "，。、；：！？）" or (len(line) > 12 and line[-1] not in '。！？…：；”』」》）.!?:;"')
    return count


def _f1(one: str, two: str) -> float:
    a, b = (Counter(re.findall(r"[\u3400-\u9fff]|\w+", text)) for text in (one, two))
    both = sum((a & b).values())
    return 2 * both / (sum(a.values()) + sum(b.values())) if both else 0.0


def test_main_text_against_gold(tmp_path: Path) -> None:
    root = laid_out("en_web__newspaper", tmp_path)
    gold = {file.stem: file for file in root.rglob("*.txt")}
    scores = []
    for file in sorted(root.rglob("*.html")):
        if file.stem in gold:
            page = decode_page(file.read_bytes())
            assert page is not None
            scores.append(
                _f1(EXTRACTORS["resiliparse"](page), gold[file.stem].read_text(encoding="utf-8", errors="replace"))
            )
    assert len(scores) == 145
    assert sorted(scores)[len(scores) // 2] >= 0.90
