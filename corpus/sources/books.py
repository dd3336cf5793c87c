"""Books as txt: encoding detected, Project Gutenberg's frame cut, hard wraps joined, chapters found by their marks.

A document is a book (the default), or a chapter: from a line such as ``第十二回 …``, ``Chapter 12 …``, ``<篇名>…`` or
a lone Roman numeral to the next. The key is the path (``a/book.txt``), for chapters with their number
(``a/book.txt#012``, 0 is what stands before the first); the title is the book's own (``书名：``, ``Title:``) or the
file's name, and the chapter's; the domain is the first folder below ``--src``. Cost: 26 MB per CPU-second, by
chapters 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from corpus.sources.archive import Member
from corpus.sources.base import FileSource, Item, Record, Span
from corpus.sources.find import find_files
from corpus.sources.text import folder_of, texts
from corpus.sources.unwrap import unwrap
from workbench.config import setting

SUFFIXES = (".txt", ".text", ".tar", ".tgz")
HEAD_LINES = 40  # of a book, in which its title may be named

_NUMBER = "[一二三四五六七八九十百千零〇○两0-9０-９]{1,9}"
_LEVELS = (  # the first that occurs twice or more cuts the book
    re.compile(rf"[\s　]*(?:正文)?[\s　]*第{_NUMBER}[章回](?:[\s　：:、.．]|$|[^，。！？]{{1,30}}$)"),
    re.compile(r"\s*(?:chapter|CHAPTER|Chapter)\s+(?:[IVXLCivxlc]+|\d+|[A-Za-z-]{3,14})\b\s*[.:—-]*.{0,60}$"),
    re.compile(rf"[\s　]*第{_NUMBER}[节節卷篇部集折幕](?:[\s　：:、.．]|$|[^，。！？]{{1,30}}$)"),
    re.compile(r"\s*<篇名>"),
    re.compile(r"\s*(?:卷[一二三四五六七八九十上中下][\s　]*|[IVXLC]{1,7}\.?)$"),
)
_MARK_CHARS = 60
_START = re.compile(
    r"^\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*$|^\*END\*?\s?THE SMALL PRINT.*$", re.MULTILINE | re.IGNORECASE
)
_END = re.compile(
    r"^\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG|^End of (?:the |this )?Project Gutenberg",
    re.MULTILINE | re.IGNORECASE,
)
_TITLE = re.compile(r"^\s*(?:Title|书名|書名|标题)\s*[:：]\s*(.{1,80}?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Books(FileSource):
    """Reader of books."""

    document: Literal["book", "chapter"] = setting("book", "what is a document")
    join: bool = setting(True, "whether hard wraps are joined")

    def files(self, path: Path) -> list[Path]:
        """Return the books below a path."""
        return find_files(path, SUFFIXES, "books (.txt, perhaps packed or in tar archives)")

    def items(self, span: Span) -> Iterator[Item]:
        """Read the books of a span."""
        for piece in texts(span, SUFFIXES):
            if isinstance(piece, tuple):
                member, text = piece
                yield from self._book(member, text)
            else:
                yield piece

    def _book(self, member: Member, text: str) -> Iterator[Record]:
        title = _title_of(text) or PurePosixPath(member.name).stem
        text = without_frame(text)
        domain = folder_of(member.name)
        if self.document == "book":
            yield Record(member.name, self._joined(text), title, domain)
            return
        for number, (mark, body) in enumerate(chapters(text)):
            if body.strip() or mark:
                name = f"{title} {mark}".strip()
                yield Record(
                    f"{member.name}#{number:03d}", self._joined(f"{mark}\n\n{body}" if mark else body), name, domain
                )

    def _joined(self, text: str) -> str:
        return (unwrap(text) if self.join else text).strip("\n")


def _title_of(text: str) -> str:
    head = "\n".join(text[:10_000].split("\n", HEAD_LINES)[:HEAD_LINES])
    found = _TITLE.search(head)
    return found.group(1) if found else ""


def without_frame(text: str) -> str:
    """Cut what Project Gutenberg sets before and after a book."""
    start = _START.search(text, 0, 50_000)
    begin = start.end() if start else 0
    end = _END.search(text, begin)
    return text[begin : end.start() if end else len(text)].strip("\n")


def chapters(text: str) -> list[tuple[str, str]]:
    """Cut a book at its chapter marks.

    Returns:
        The mark of each chapter and the text after it; the first has no mark, and is empty if the book begins with one.
        Marks that follow each other with nothing between them (a table of contents) stay in the text before.
    """
    lines = text.split("\n")
    marks: list[int] = []
    for level in _LEVELS:
        marks = [n for n, line in enumerate(lines) if line and len(line) <= _MARK_CHARS and level.match(line)]
        ends = [*marks[1:], len(lines)]
        marks = [n for n, end in zip(marks, ends, strict=False) if any(map(str.strip, lines[n + 1 : end]))]
        if len(marks) >= 2:
            break
    else:
        return [("", text)]
    edges = [*marks, len(lines)]
    out = [("", "\n".join(lines[: edges[0]]).strip("\n"))]
    for begin, end in zip(edges, edges[1:], strict=False):
        out.append((lines[begin].strip(), "\n".join(lines[begin + 1 : end]).strip("\n")))
    return out
