"""CSV with broken quotes: a bad row costs one row, and never swallows those after it.

The rule: a row is a line. If its quotes close on it, it is read as CSV says. If a quoted field stays open, lines are
added (at most ``MAX_LINES``) until the quotes close and the fields are as many as the header's; if that never happens,
or the fields are too many, the line alone is split at its commas, quotes being plain characters, and the last column
takes what is left. A line with too few fields is unreadable. Cost: 40 MB per CPU-second.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator

from corpus.sources.base import DOCUMENT_BYTES, Span, Unreadable
from corpus.sources.encoding import open_utf8

MAX_LINES = 50
csv.field_size_limit(DOCUMENT_BYTES)


def read_csv(span: Span) -> Iterator[tuple[int, dict[str, str]] | Unreadable]:
    """Yield the rows of a CSV file with their offsets (in its UTF-8 text), as mappings of the header's names.

    Args:
        span: A whole file, in any encoding, plain or packed.
    """
    opened = open_utf8(span)
    place = 0
    waiting: list[tuple[int, str]] = []  # lines read and not yet used
    done = False

    def line_at(n: int) -> tuple[int, str] | None:
        nonlocal place, done
        while len(waiting) <= n and not done:
            raw = opened.stream.readline(DOCUMENT_BYTES)
            done = not raw
            if raw:
                waiting.append((place, raw.decode("utf-8", "replace").rstrip("\r\n").lstrip("\ufeff")))
                place += len(raw)
        return waiting[n] if len(waiting) > n else None

    head = line_at(0)
    names = next(csv.reader([head[1]]), []) if head else []
    if len(names) < 2:
        yield Unreadable(str(span.file), 0, "no CSV header with at least two names")
        opened.end(span)
        return
    waiting.pop(0)
    while (entry := line_at(0)) is not None:
        offset, line = entry
        used, fields = 1, _plain_fields(line, len(names)) if '"' not in line else None
        if fields is None and '"' in line:
            used, fields = _quoted(line_at, line, len(names))
        del waiting[:used]
        if fields:
            yield offset, dict(zip(names, fields, strict=True))
        elif line.strip():
            yield Unreadable(str(span.file), offset, f"{line.count(',') + 1} fields where the header has {len(names)}")
    yield from opened.end(span)


def _plain_fields(line: str, count: int) -> list[str] | None:
    fields = line.split(",", count - 1)
    return fields if len(fields) == count else None


def _quoted(line_at: Callable[[int], tuple[int, str] | None], line: str, count: int) -> tuple[int, list[str] | None]:
    whole = line
    for extra in range(MAX_LINES):
        if extra:
            entry = line_at(extra)
            if entry is None:
                break
            whole = f"{whole}\n{entry[1]}"
        if whole.count('"') % 2:
            continue
        fields = _strict(whole)
        if fields is not None and len(fields) == count:
            return extra + 1, fields
        if extra == 0:
            break
    return 1, _plain_fields(line, count)


def _strict(text: str) -> list[str] | None:
    try:
        found = list(csv.reader(text.splitlines(keepends=True), strict=True))
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None
