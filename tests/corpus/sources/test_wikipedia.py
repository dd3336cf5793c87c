from __future__ import annotations

import bz2
import gzip
import json
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources import configure
from tests.corpus.sources.reading import read, read_cut

HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh">\n<siteinfo>\n'
HEAD += "<sitename>Wikipedia</sitename><dbname>zhwiki</dbname></siteinfo>\n"
TAIL = "</mediawiki>\n"


def page(number: int, text: str, *, title: str = "", space: int = 0, redirect: str = "") -> str:
    to = f'<redirect title="{redirect}" />' if redirect else ""
    return (
        f"  <page>\n    <title>{title or f'条目{number}'}</title>\n    <ns>{space}</ns>\n    <id>{number}</id>{to}\n"
        f"    <revision>\n      <id>{number + 900}</id>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text)}" xml:space="preserve">{escape(text)}</text>\n    </revision>\n  </page>\n'
    )


PAGES = [
    page(1, "'''甲'''是[[字]]。<ref>x</ref>\n\n== 历史 ==\n很长。", title="甲 &amp; 乙"),
    page(2, "#REDIRECT [[甲]]", redirect="甲"),
    page(3, "讨论", title="Talk:甲", space=1),
    page(4, "#重定向 [[乙]]"),
    page(5, "乙是-{zh-hans:计算机;zh-hant:電腦}-。"),
]
DUMP = HEAD + "".join(PAGES) + TAIL


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_a_dump(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    file = tmp_path / "zhwiki-latest-pages-articles.xml.bz2"
    file.write_bytes(pack(DUMP.encode()))
    found = read("wikipedia", tmp_path, domain="百科")
    assert found.keys == ["1", "5"]
    assert found.titles == ["甲 & 乙", "条目5"]
    assert found.texts == ["甲是字。\n\n历史\n\n很长。", "乙是计算机。"]
    assert found.domains == ["百科", "百科"]
    assert found.skipped == {"redirect": 2, "namespace 1": 1}
    assert found.causes == []
    assert read("wikipedia", file, variant="zh-hant").texts[1] == "乙是電腦。"


def test_a_broken_page_costs_one_page(tmp_path: Path) -> None:
    broken = page(7, "文").replace("</revision>", "</revison>")
    text = HEAD + page(6, "前") + broken + page(8, "后") + "  <page>\n <title>截断"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    found = read("wikipedia", tmp_path)
    assert found.texts == ["前", "后"]
    assert ["not XML" in found.causes[0], "cut off" in found.causes[1]] == [True, True]
    assert text.encode()[found.unreadable[0].offset :].startswith(b"<page>")


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    streams=st.lists(st.integers(1, 2500), max_size=6),
    cuts=st.lists(st.integers(1, 2500), max_size=5),
)
def test_any_cut_of_plain_and_multistream_dumps_gives_the_same_pages(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], streams: list[int], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("dump")
    data = (HEAD + "".join(page(n, "字" * size) for n, size in enumerate(sizes)) + TAIL).encode()
    (folder / "a.xml").write_bytes(data)
    edges = [0, *sorted({at for at in streams if at < len(data)}), len(data)]  # streams may end inside a page, a tag
    (folder / "b.xml.bz2").write_bytes(
        b"".join(bz2.compress(data[a:b]) for a, b in zip(edges, edges[1:], strict=False))
    )
    source = configure("wikipedia", {})
    for name in ("a.xml", "b.xml.bz2"):
        found = read_cut(source, folder / name, cuts)
        assert found.keys == [str(n) for n in range(len(sizes))]
        assert found.texts == ["字" * size for size in sizes]
        assert found.causes == []


def test_a_broken_stream_of_a_multistream_dump_costs_that_stream(tmp_path: Path) -> None:
    parts = [bz2.compress(page(n, f"第{n}页").encode()) for n in range(3)]
    parts[1] = parts[1][:-20] + b"\0" * 20
    (tmp_path / "a.xml.bz2").write_bytes(b"".join(parts))
    found = read("wikipedia", tmp_path)
    assert found.texts == ["第0页", "第2页"]
    assert any("broken bz2 stream" in cause for cause in found.causes)


def test_wikiextractors_documents(tmp_path: Path) -> None:
    (tmp_path / "AA").mkdir()
    docs = "".join(
        f'<doc id="{n}" url="https://zh.wikipedia.org/wiki?curid={n}" title="题&amp;{n}">\n题&{n}\n\n正文{n}。\n\n段二\n</doc>\n'
        for n in range(40)
    )
    (tmp_path / "AA" / "wiki_00").write_text(docs, encoding="utf-8")
    found = read("wikipedia", tmp_path)
    assert found.keys == [str(n) for n in range(40)]
    assert (found.titles[7], found.texts[7]) == ("题&7", "正文7。\n\n段二")
    assert read_cut(configure("wikipedia", {}), tmp_path / "AA" / "wiki_00", [10, 500, 501, 502, 900]) == found


def test_wikiextractors_json_lines_and_the_hubs_records(tmp_path: Path) -> None:
    rows = [{"id": str(n), "url": f"https://x/{n}", "title": f"题{n}", "text": f"题{n}\n\n正文{n}"} for n in range(12)]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "wiki_00").write_text(lines, encoding="utf-8")
    (tmp_path / "wiki_01.bz2").write_bytes(bz2.compress(lines.replace('"id": "', '"id": "9').encode()))
    found = read("wikipedia", tmp_path)
    assert found.keys[:3] == ["0", "1", "2"]
    assert len(set(found.keys)) == 24
    assert (found.titles[5], found.texts[5]) == ("题5", "正文5")
    assert found.signals[0] == {}
