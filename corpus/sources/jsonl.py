"""JSON records in lines or arrays, with a column map: ``--src jsonl=DATA`` guesses it, ``text=… id=…`` says it.

Files are ``.json``, ``.jsonl`` or ``.ndjson``, plain or packed; plain UTF-8 files are cut into spans at any byte,
others are read as one. A record's id is the id column's text; a number counts within its file and follows the
file's name (``part-0#12``); without one it is the file's name and the byte offset. Cost, MB (of what is in the file)
per CPU-second: plain 136, zst 150, gz 117, xz 63, bz2 24.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpus.sources.base import DOCUMENT_BYTES, FileSource, Item, Span, Unreadable, cut_by_bytes
from corpus.sources.columns import SAMPLE_RECORDS, Layout, common_signals, lay_out
from corpus.sources.encoding import open_utf8
from corpus.sources.find import find_files
from corpus.sources.json_records import Objects, read_objects
from corpus.sources.nested import is_nested_array, read_nested
from workbench.config import setting
from workbench.console import note
from workbench.errors import InputError

HEAD_BYTES = 1_000_000  # of a file, in which its first records are looked at
SUFFIXES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Jsonl(FileSource):
    """Reader of JSON records."""

    text: str | None = setting(None, "column of the text (dots reach into nested values); none: guessed")
    id: str | None = setting(None, "column of the record's own key")
    title: str | None = setting(None, "column of the title")
    domain: str | None = setting(None, "column of the source's label")
    carry: tuple[str, ...] | None = setting(None, "columns carried as signals; none: all numbers and short labels")

    def files(self, path: Path) -> list[Path]:
        """Return the JSON files below a path; tell the column map, and refuse one that does not fit.

        Raises:
            InputError: If there are none, or a named column is not in the first file that holds records.
        """
        files = find_files(path, SUFFIXES, "JSON records (.json, .jsonl, .ndjson, perhaps packed)")
        for file in files:
            if sample := head_of(file):
                note(f"{file.name}: {lay_out(sample, self._wanted(), file, carry=self.carry).said()}")
                break
        return files

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the signals that the files carry, with their kinds, before a record is read."""
        found = {}
        for file in files:
            layout = self._layout(file)
            if isinstance(layout, Layout):
                found[str(file)] = layout
        return common_signals(found)

    def spans(self, file: Path) -> list[Span]:
        """Cut a plain file; the reader finds the next record from any byte."""
        whole = Span(file, 0, file.stat().st_size)
        return cut_by_bytes(file) if is_plain(whole) and not is_nested(file) else [whole]

    def items(self, span: Span) -> Iterator[Item]:
        """Read the records that begin in a span."""
        layout, name = self._layout(span.file), span.name
        for objects in objects_of(span):
            yield from objects.unreadable
            for offset, value in objects.found:
                if isinstance(layout, str):
                    yield Unreadable(str(span.file), offset, layout)
                    continue
                record = layout.record(value, f"{name}@{offset}", name)
                yield Unreadable(str(span.file), offset, record) if isinstance(record, str) else record

    def _wanted(self) -> dict[str, str | None]:
        return {"text": self.text, "id": self.id, "title": self.title, "domain": self.domain}

    def _layout(self, file: Path) -> Layout | str:
        """Return a file's layout by its first records, or why it has none."""
        return _layout_of(self, file, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _layout_of(source: Jsonl, file: Path, _modified: int) -> Layout | str:
    try:
        return lay_out(head_of(file), source._wanted(), file.name, carry=source.carry)
    except InputError as error:
        return f"{error.place.removeprefix(file.name).lstrip(': ')} {error.found}".strip()


def is_plain(span: Span) -> bool:
    """Tell whether a file's own bytes are UTF-8, so that it can be cut."""
    opened = open_utf8(span)
    opened.stream.close()
    return opened.is_plain


def is_nested(file: Path) -> bool:
    """Tell whether a file is an array of records that hold lists of objects, by its first megabyte."""
    return _is_nested(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _is_nested(file: Path, _modified: int) -> bool:
    with open_utf8(Span(file, 0, 0)).stream as stream:
        return is_nested_array(stream.read(HEAD_BYTES))


def objects_of(span: Span) -> Iterator[Objects]:
    """Yield the objects of a span of a file that may be packed or not UTF-8."""
    opened = open_utf8(span)
    if is_nested(span.file):
        yield from read_nested(opened.stream, span)
    elif opened.is_plain:
        opened.stream.close()
        yield from read_objects(span)
        return
    else:
        yield from read_objects(span, opened.stream)
    yield Objects(unreadable=opened.end(span))


def head_of(file: Path) -> list[dict[str, Any]]:
    """Return the first records of a file: those in its first megabyte, at most ``SAMPLE_RECORDS``.

    If the first record alone is longer, the head is that record, as far as 64 MB.
    """
    size = HEAD_BYTES
    while True:
        with open_utf8(Span(file, 0, 0)).stream as stream:
            data = stream.read(size)
        found: list[dict[str, Any]] = []
        head: io.BufferedReader = io.BufferedReader(io.BytesIO(data), max(len(data), 1))
        span = Span(file, 0, size)
        for objects in read_nested(head, span) if is_nested_array(data) else read_objects(span, head):
            found += [value for _, value in objects.found]
        if found or len(data) < size or size > DOCUMENT_BYTES:
            return found[:SAMPLE_RECORDS]
        size *= 8
