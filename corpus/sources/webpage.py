"""HTML pages: the main text and the title, out of folders of ``.html``, archives of them, or WARC files.

Two extractors, measured on 145 news pages with a gold text beside them (token F1, median; MB of HTML per CPU-second):
resiliparse .914, 63 (the default); trafilatura .980, 3.7, for fewer and better pages (``extractor=trafilatura``, an
extra: pip install 'yanmo[html]'). The encoding is the byte order mark's, else
UTF-8, else what ``<meta charset>`` says, else detected. The key is the path or the page's address, the domain the host
of the address (in a file, of its canonical link).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from corpus.sources.archive import Member, members
from corpus.sources.base import DOCUMENT_BYTES, FileSource, Item, Record, Skipped, Span, Unreadable
from corpus.sources.encoding import decode, sniff
from corpus.sources.find import find_files, has_suffix
from workbench.config import setting
from workbench.errors import MissingPackage

WARC = (".warc",)
SUFFIXES = (".html", ".htm", ".xhtml", ".shtml", ".tar", ".tgz", *WARC)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,20})", re.IGNORECASE)
_SAME = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "big5": "big5hkscs", "iso-8859-1": "cp1252"}
_BLANK_LINES = re.compile(r"\n\s*\n+")


def _resiliparse(page: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(page, main_content=True, alt_texts=False, links=False, preserve_formatting=True))


def _trafilatura(page: str) -> str:
    try:
        from trafilatura import extract
    except ImportError as error:
        raise MissingPackage("trafilatura", "html") from error
    return extract(page, include_comments=False, favor_precision=True) or ""


EXTRACTORS: dict[str, Callable[[str], str]] = {"resiliparse": _resiliparse, "trafilatura": _trafilatura}


@dataclass(frozen=True)
class WebPage(FileSource):
    """Reader of HTML pages."""

    extractor: Literal["resiliparse", "trafilatura"] = setting("resiliparse", "what finds the main text")

    def files(self, path: Path) -> list[Path]:
        """Return the pages, archives or WARC files below a path."""
        return find_files(path, SUFFIXES, "HTML pages (.html, .warc.gz, or tar archives of them)")

    def items(self, span: Span) -> Iterator[Item]:
        """Read the pages of a span."""
        if has_suffix(span.file, WARC):
            yield from self._warc(span)
            return
        for member in members(span, SUFFIXES):
            if not isinstance(member, Member):
                yield member
            else:
                yield self._page(member.data, member.name, "", member.file, 0)

    def _page(self, data: bytes, key: str, domain: str, file: str, offset: int) -> Item:
        page = decode_page(data)
        if page is None:
            return Unreadable(file, offset, f"{key}: not text in a known encoding")
        text = _BLANK_LINES.sub("\n\n", EXTRACTORS[self.extractor](page)).strip()
        return Record(key, text, title_of(page), domain or host_of(address_of(page)))

    def _warc(self, span: Span) -> Iterator[Item]:
        """Read the HTML responses of a WARC file (ISO 28500); other records are counted as skipped."""
        from fastwarc.warc import ArchiveIterator, WarcRecordType

        offset = 0
        with span.file.open("rb") as stream:
            try:
                for record in ArchiveIterator(stream, parse_http=True):
                    offset = record.stream_pos
                    if record.record_type != WarcRecordType.response:
                        yield Skipped(str(span.file), f"WARC record {record.headers.get('WARC-Type')}")
                    elif "html" not in (record.http_content_type or ""):
                        yield Skipped(str(span.file), "a response that is not HTML")
                    else:
                        address = record.headers.get("WARC-Target-URI") or ""
                        data = record.reader.read(DOCUMENT_BYTES)
                        yield self._page(
                            data, address or f"{span.name}@{offset}", host_of(address), str(span.file), offset
                        )
            except (OSError, EOFError, RuntimeError, ValueError) as error:
                yield Unreadable(str(span.file), offset, f"broken WARC ({error}), its rest is not read")


def decode_page(data: bytes) -> str | None:
    """Decode a page: UTF-8 if it is, else as its ``<meta>`` says if that holds, else as detected; None if no text."""
    encoding = sniff(data)
    if encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        said = _CHARSET.search(data[:4096])
        if said:
            name = said.group(1).decode().lower()
            try:
                return data.decode(_SAME.get(name, name))
            except (LookupError, UnicodeDecodeError):  # mislabelled: detected below
                pass
    decoded = decode(data)
    return None if isinstance(decoded, str) else decoded.text


def title_of(page: str) -> str:
    """Return what a page's ``<title>`` holds, its white space as single spaces."""
    from html import unescape

    found = re.search(r"<title[^>]{0,200}>(.{0,1000}?)</title", page[:200_000], re.IGNORECASE | re.DOTALL)
    return " ".join(unescape(found.group(1)).split()) if found else ""


def address_of(page: str) -> str:
    """Return the address that a page gives as its own (``<link rel="canonical">``), empty if it gives none."""
    found = re.search(r'<link[^>]{0,100}rel="canonical"[^>]{0,100}href="([^"]{1,500})"', page[:200_000], re.IGNORECASE)
    return found.group(1) if found else ""


def host_of(address: str) -> str:
    """Return the host of an address, without port."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
