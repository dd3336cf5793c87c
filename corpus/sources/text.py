"""Plain text: a file is a document (the default), or each paragraph between blank lines, or each line.

Files are ``.txt``, ``.text`` or ``.md``, plain or packed, or tar archives of any files; the encoding is detected. The
key is the path below what ``--src`` names (``a/b.txt``), with the byte offset for paragraphs and lines; the title of a
whole file is its name, the domain the first folder of its path. Cost, MB per CPU-second:
whole files 210 (GB18030 100), paragraphs 42, lines 20 (of 40 bytes: it is a cost a record, 2 µs).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from corpus.sources.archive import Member, members
from corpus.sources.base import FileSource, Item, Record, Skipped, Span, Unreadable
from corpus.sources.encoding import decode
from corpus.sources.find import find_files
from corpus.sources.lines import read_lines, spans_of_lines
from workbench.config import setting

SUFFIXES = (".txt", ".text", ".md", ".tar", ".tgz")


@dataclass(frozen=True)
class Text(FileSource):
    """Reader of plain text files."""

    document: Literal["file", "paragraph", "line"] = setting("file", "what is a document")

    def files(self, path: Path) -> list[Path]:
        """Return the text files below a path."""
        return find_files(path, SUFFIXES, "text files (.txt, .md, perhaps packed or in tar archives)")

    def spans(self, file: Path) -> list[Span]:
        """Cut a file where its documents are lines or paragraphs."""
        whole = Span(file, 0, file.stat().st_size)
        return [whole] if self.document == "file" else spans_of_lines(whole)

    def items(self, span: Span) -> Iterator[Item]:
        """Read the documents that begin in a span."""
        if self.document != "file":
            name, domain = span.name, folder_of(span.name)
            for piece in read_lines(span, paragraphs=self.document == "paragraph"):
                if isinstance(piece, Unreadable):
                    yield piece
                else:
                    yield Record(f"{name}@{piece[0]}", piece[1], "", domain)
            return
        for entry in texts(span, SUFFIXES):
            if isinstance(entry, tuple):
                member, text = entry
                yield Record(member.name, text, PurePosixPath(member.name).stem, folder_of(member.name))
            else:
                yield entry


def texts(span: Span, suffixes: Sequence[str]) -> Iterator[tuple[Member, str] | Unreadable | Skipped]:
    """Yield the text files of a span, in archives or not, with their text; what is no text is told."""
    for member in members(span, suffixes):
        if not isinstance(member, Member):
            yield member
            continue
        decoded = decode(member.data)
        if isinstance(decoded, str):
            yield Unreadable(member.file, 0, f"{member.name}: {decoded}" if member.in_archive else decoded)
        else:
            yield member, decoded.text


def folder_of(name: str) -> str:
    """Return the first folder of a path: what the input itself sorts its files by; empty if there is none."""
    path = PurePosixPath(name)
    return path.parts[0] if len(path.parts) > 1 and not path.is_absolute() else ""
