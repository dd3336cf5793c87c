from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from corpus.sources.webpage import decode_page, title_of
from tests.corpus.sources.reading import read
from tests.corpus.sources.test_archive import tar_of

BODY = "研墨的人不是一天就会的，先要知道水和墨的多少，然后慢慢地来，这是我们从前就学过的道理。"
PAGE = f"""<!DOCTYPE html><html><head><meta charset="gbk"><title>研墨 &amp; 写字
 _某网</title><link rel="canonical" href="https://www.example.org/a/1.html"></head><body>
<nav><ul><li><a href="/">首页</a></li><li><a href="/n">新闻</a></li></ul></nav>
<article><h1>研墨</h1><p>{BODY}</p><p>{BODY[::-1]}</p><script>var x = "不是正文";</script></article>
<footer>版权所有</footer></body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_the_main_text_and_the_title(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.html").write_bytes(PAGE.encode(encoding))
    found = read("html", tmp_path)
    assert (found.keys, found.titles, found.domains) == (["a.html"], ["研墨 & 写字 _某网"], ["www.example.org"])
    assert BODY in found.texts[0] and BODY[::-1] in found.texts[0]
    assert "var x" not in found.texts[0]
    assert "首页" not in found.texts[0]


def test_pages_in_archives(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of({"x/1.html": PAGE.encode(), "x/1.css": b"a {}", "2.htm": b"<p>two</p>"}))
    found = read("html", tmp_path)
    assert found.keys == ["a/x/1.html", "a/2.htm"]
    assert found.skipped == {"a member of another kind (.css)": 1}


def test_a_page_that_says_a_wrong_encoding() -> None:
    wrong = PAGE.replace("gbk", "big5").encode("utf-8")
    assert decode_page(wrong) == PAGE.replace("gbk", "big5")
    wrong = PAGE.replace("gbk", "no-such-charset").encode("gb18030")
    assert decode_page(wrong) == PAGE.replace("gbk", "no-such-charset")
    assert title_of("<p>none</p>") == ""


def warc(address: str, kind: str, body: bytes, content: str) -> bytes:
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    payload = http if kind == "response" else body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:0>\r\nContent-Type: application/http; msgtype={kind}\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + payload + b"\r\n\r\n")


def test_warc(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(
        warc("http://a.example.org/1", "warcinfo", b"software: x\r\n", "")
        + warc("http://a.example.org:80/1", "response", PAGE.encode(), "text/html; charset=utf-8")
        + warc("http://a.example.org/2", "response", b"\x89PNG", "image/png")
    )
    found = read("html", tmp_path)
    assert found.keys == ["http://a.example.org:80/1"]
    assert found.domains == ["a.example.org"]
    assert BODY in found.texts[0]
    assert sum(found.skipped.values()) == 2


def test_the_other_extractor(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura", exc_type=ImportError)
    (tmp_path / "a.html").write_bytes(PAGE.encode())
    assert BODY in read("html", tmp_path, extractor="trafilatura").texts[0]
