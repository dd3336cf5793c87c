"""Wikipedia: the XML dump (plain, .bz2, multistream), WikiExtractor's output (JSON lines or ``<doc>``), the HF tables.

Of a dump only articles are read (namespace 0); redirects and other namespaces are counted as skipped. The key is the
page id, the title the page's. Each page is parsed by itself, so a broken one costs one page and memory stays small.
A multistream dump is cut between its streams and read by all workers; a dump in a single bz2 stream by one.
Cost, MB of XML per CPU-second: 16 plain, 14 from bz2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from corpus.sources.base import FileSource, Item, Record, Skipped, Span, Unreadable
from corpus.sources.blocks import read_blocks, spans_of_blocks
from corpus.sources.encoding import open_utf8
from corpus.sources.find import find_files
from corpus.sources.jsonl import Jsonl
from corpus.sources.parquet import SUFFIXES as TABLES
from corpus.sources.parquet import Parquet
from corpus.sources.wikitext import is_redirect, plain
from workbench.config import setting

SUFFIXES = (".xml", ".json", ".jsonl", *TABLES, *(f"wiki_{n:02d}" for n in range(100)))
_DOC = re.compile(r'<doc id="([^"]*)"(?: url="([^"]*)")?(?: title="([^"]*)")?[^>]*>\n?')


@dataclass(frozen=True)
class Wikipedia(FileSource):
    """Reader of Wikipedia in its published forms; each file is known by its first bytes."""

    variant: Literal["zh-hans", "zh-hant"] = setting("zh-hans", "which form of -{zh-hans:…;zh-hant:…}- is given")
    domain: str = setting("", "the label of all articles: a dump has none of its own")

    def files(self, path: Path) -> list[Path]:
        """Return the dumps, extracts or tables below a path."""
        return find_files(
            path, SUFFIXES, "Wikipedia dumps (.xml.bz2), WikiExtractor output (wiki_00), .json or .parquet"
        )

    def spans(self, file: Path) -> list[Span]:
        """Cut a file by its form."""
        form = form_of(file)
        if form == "table":
            return Parquet().spans(file)
        return Jsonl().spans(file) if form == "json" else spans_of_blocks(file)

    def items(self, span: Span) -> Iterator[Item]:
        """Read the articles that begin in a span."""
        form = form_of(span.file)
        if form == "xml":
            yield from self._dump(span)
        elif form == "doc":
            yield from self._extract(span)
        else:
            yield from self._records(span, form)

    def _dump(self, span: Span) -> Iterator[Item]:
        for piece in read_blocks(span, b"<page>", b"</page>"):
            if isinstance(piece, Unreadable):
                yield piece
                continue
            offset, block = piece
            try:
                page = ElementTree.fromstring(block)  # noqa: S314 - one page: no entities are declared in it
            except ElementTree.ParseError as error:
                yield Unreadable(str(span.file), offset, f"a page that is not XML ({error})")
                continue
            yield self._page(page, span, offset)

    def _page(self, page: ElementTree.Element, span: Span, offset: int) -> Item:
        title, number = page.findtext("title") or "", page.findtext("id")
        if (space := page.findtext("ns") or "0") != "0":
            return Skipped(str(span.file), f"namespace {space}")
        revisions = page.findall("revision")
        text = (revisions[-1].findtext("text") or "") if revisions else ""
        if page.find("redirect") is not None or is_redirect(text):
            return Skipped(str(span.file), "redirect")
        if not revisions or number is None:
            return Unreadable(str(span.file), offset, "a page without an id or a revision")
        model = revisions[-1].findtext("model") or "wikitext"
        if model != "wikitext":
            return Skipped(str(span.file), f"content model {model}")
        return Record(number, plain(text, self.variant), title, self.domain)

    def _extract(self, span: Span) -> Iterator[Item]:
        for piece in read_blocks(span, b"<doc id=", b"\n</doc>"):
            if isinstance(piece, Unreadable):
                yield piece
                continue
            offset, block = piece
            try:
                body = block.decode("utf-8").removesuffix("\n</doc>")
            except UnicodeDecodeError as error:
                yield Unreadable(str(span.file), offset, f"invalid UTF-8 at byte {error.start} of the article")
                continue
            head = _DOC.match(body)
            if head is None:
                yield Unreadable(str(span.file), offset, "a <doc> without an id")
                continue
            title, text = unescape(head.group(3) or ""), body[head.end() :]
            yield Record(head.group(1), _without_title(text, title), title, self.domain)

    def _records(self, span: Span, form: str) -> Iterator[Item]:
        source: FileSource = Parquet(carry=()) if form == "table" else Jsonl(carry=())
        for item in source.items(span):
            if isinstance(item, Record):
                key = item.key.removeprefix(f"{span.name}#")  # a page id is unique by itself
                yield item._replace(key=key, text=_without_title(item.text, item.title), domain=self.domain)
            else:
                yield item


def _without_title(text: str, title: str) -> str:
    """Cut the title that WikiExtractor sets over the text."""
    first, line_end, rest = text.lstrip("\n").partition("\n")
    return (rest if line_end and title and first.strip() == title else text).strip("\n")


def form_of(file: Path) -> str:
    """Return a file's form by its first bytes: table, json, doc or xml."""
    with open_utf8(Span(file, 0, 0)).stream as stream:
        head = stream.peek(4096)[:4096].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return "table"
    if head.startswith((b"{", b"[")):
        return "json"
    return "doc" if head.startswith(b"<doc ") else "xml"
