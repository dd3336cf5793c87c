"""The rows of a file as mappings of columns, whatever its format; a row that cannot be read is told, not skipped.

The format goes by the name: ``.json .jsonl .ndjson`` · ``.csv`` · ``.parquet .arrow`` · all else is text, whose rows
are its lines, paragraphs or the whole file. Text that begins with ``__label__`` is fastText's own: labels and text.
Cost: that of ``corpus.sources``, 20–220 MB per CPU-second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from corpus.sources.base import Skipped, Span, Unreadable
from corpus.sources.columns import SAMPLE_RECORDS, flat_names
from corpus.sources.delimited import read_csv
from corpus.sources.find import has_suffix
from corpus.sources.jsonl import objects_of
from corpus.sources.lines import read_lines
from corpus.sources.parquet import rows as table_rows
from corpus.sources.parquet import schema_kinds
from corpus.sources.text import texts
from workbench.errors import InputError

Document = Literal["line", "paragraph", "file"]
Row = tuple[int, dict[str, Any]]  # the row's offset (of a table: its number), its columns

JSON, CSV, TABLE = (".json", ".jsonl", ".ndjson"), (".csv",), (".parquet", ".arrow")
TEXT = (".txt", ".text", ".md", ".tar", ".tgz")
SUFFIXES = (*JSON, *CSV, *TABLE, *TEXT)
LABEL = "__label__"


def columns_in(file: Path, document: Document) -> list[str]:
    """Return the names of a file's columns (of JSON: those of its first records, with dots for nested ones).

    Args:
        file: The file.
        document: What is a document of plain text.

    Raises:
        InputError: If it is a table that cannot be read.
    """
    if has_suffix(file, TABLE):
        try:
            return list(schema_kinds(file))
        except OSError as error:
            raise InputError(file, f"cannot be read ({error})", "give a parquet or Arrow file") from error
    readable = (row for row in read_rows(file, None, document) if not isinstance(row, Unreadable))
    names: dict[str, None] = {}
    for _, values in islice(readable, SAMPLE_RECORDS):
        names |= dict.fromkeys(values) | {name: None for name, _ in flat_names(values)}
    return list(names)


def read_rows(file: Path, columns: Sequence[str] | None, document: Document) -> Iterator[Row | Unreadable]:
    """Yield the rows of a file.

    Args:
        file: The file.
        columns: Of a table, the columns to read; None: all.
        document: What is a document of plain text.
    """
    try:
        span = Span(file, 0, file.stat().st_size)
        with file.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "see its rights") from error
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        yield Unreadable(str(file), 0, "a Git LFS pointer, not the data; run git lfs pull")
    elif has_suffix(file, TABLE):
        yield from table_rows(Span(file, 0, 1 << 31), None if columns is None else list(dict.fromkeys(columns)))
    elif has_suffix(file, JSON):
        for objects in objects_of(span):
            yield from objects.unreadable
            yield from objects.found
    elif has_suffix(file, CSV):
        yield from read_csv(span)
    elif LABEL.encode() in head:
        for line in read_lines(span):
            yield line if isinstance(line, Unreadable) else (line[0], _labelled(line[1]))
    elif document == "file":
        for entry in texts(span, TEXT):
            if isinstance(entry, Unreadable):
                yield entry
            elif isinstance(entry, Skipped):
                yield Unreadable(entry.file, 0, entry.cause)
            else:
                yield 0, {"text": entry[1]}
    else:
        for piece in read_lines(span, paragraphs=document == "paragraph"):
            yield piece if isinstance(piece, Unreadable) else (piece[0], {"text": piece[1]})


def _labelled(line: str) -> dict[str, Any]:
    """Return the labels and the text of a line that fastText reads."""
    words = line.split()
    return {
        "label": [word.removeprefix(LABEL) for word in words if word.startswith(LABEL)],
        "text": " ".join(word for word in words if not word.startswith(LABEL)),
    }
