"""The records of a file with the places a person would look them up at: JSON lines or arrays, CSV, parquet, Arrow.

The readers are those of ``corpus.sources`` (any encoding, gz, bz2, xz, zst, broken arrays mended record by record);
here byte offsets become lines, for which the file is read a second time as it goes. What a file is, its content tells
(its suffix only for CSV). Cost: 6 µs a record beside the readers'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.instructions.rows import Faulty
from corpus.sources.base import Span, Unreadable
from corpus.sources.delimited import read_csv
from corpus.sources.encoding import open_utf8
from corpus.sources.find import find_files, has_suffix
from corpus.sources.jsonl import SUFFIXES as JSON
from corpus.sources.jsonl import objects_of
from corpus.sources.parquet import SUFFIXES as TABLES
from corpus.sources.parquet import rows

SUFFIXES = (*JSON, ".csv", *TABLES)
WHAT = "instruction data (.json, .jsonl, .csv, .parquet, .arrow, perhaps packed)"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Record:
    """A mapping of a file, and where it stands."""

    place: str
    value: dict[str, Any]


def files_of(path: Path) -> list[Path]:
    """Return the files that a path means: a file, a folder or a glob.

    Raises:
        InputError: If there is nothing there that is read.
    """
    found = find_files(path, SUFFIXES, WHAT)
    return [file for file in found if not file.name.startswith(("cache-", "tmp")) or len(found) == 1]


def records_of(file: Path, name: str) -> Iterator[Record | Faulty]:
    """Yield a file's records in order, and what could not be read among them.

    Args:
        file: A file.
        name: How places begin: its path as the user would write it.
    """
    span = Span(file, 0, file.stat().st_size)
    kind = kind_of(file)
    if kind == "table":
        for row in rows(Span(file, 0, 1 << 40), None):
            if isinstance(row, Unreadable):
                yield Faulty(f"{name}#{row.offset}", row.cause)
            else:
                yield Record(f"{name}#{row[0]}", row[1])
    elif kind == "csv":
        lines = _Lines(span)
        for piece in read_csv(span):
            if isinstance(piece, Unreadable):
                yield Faulty(f"{name}:{lines.line_at(piece.offset)}", piece.cause)
            else:
                yield Record(f"{name}:{lines.line_at(piece[0])}", dict(piece[1]))
    elif kind == "json":
        yield from _json(span, name)
    else:
        yield Faulty(name, kind)


def kind_of(file: Path) -> str:
    """Return ``table``, ``csv`` or ``json``, else why the file holds no records."""
    try:
        with file.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})".lower()
    if not head:
        return "empty file"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer, not the data; run git lfs pull"
    if head.startswith((b"PAR1", b"ARROW1")) or has_suffix(file, TABLES):
        return "table"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive, to be unpacked first"
    if has_suffix(file, (".csv",)):
        return "csv"
    with open_utf8(Span(file, 0, 0)).stream as stream:
        head = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    is_json = head[:1] in (b"{", b"[") or (has_suffix(file, JSON) and b"{" in head)  # its first line may be broken
    return "json" if is_json else "neither JSON records nor CSV, parquet or Arrow"


def _json(span: Span, name: str) -> Iterator[Record | Faulty]:
    lines = _Lines(span)
    for objects in objects_of(span):
        merged: list[tuple[int, Any]] = [*objects.found, *((bad.offset, bad.cause) for bad in objects.unreadable)]
        merged.sort(key=lambda at: at[0])
        for offset, value in merged:
            place = f"{name}:{lines.place_at(offset)}"
            yield Record(place, value) if isinstance(value, dict) else Faulty(place, value)


class _Lines:
    """Lines of ascending byte offsets, in the file as UTF-8."""

    def __init__(self, span: Span) -> None:
        self.stream = open_utf8(span).stream
        self.block = b""
        self.place = 0  # in the block: what is before it is counted
        self.start = 0  # offset of the block
        self.line = 1
        self.last, self.nth = 0, 0

    def line_at(self, offset: int) -> int:
        """Return the line, from 1, in which an offset is that is not before the one asked last."""
        while offset > self.start + len(self.block):
            self.line += self.block.count(b"\n", self.place)
            self.start, self.place = self.start + len(self.block), 0
            self.block = self.stream.read(BLOCK)
            if not self.block:
                return self.line
        end = max(self.place, offset - self.start)
        self.line += self.block.count(b"\n", self.place, end)
        self.place = end
        return self.line

    def place_at(self, offset: int) -> str:
        """Return the line; with ``[n]`` for the n-th record, from 0, that begins there, if it is not the first."""
        line = self.line_at(offset)
        self.nth = self.nth + 1 if line == self.last else 0
        self.last = line
        return f"{line}[{self.nth}]" if self.nth else str(line)
