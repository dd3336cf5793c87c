"""JSON arrays whose records hold lists of objects: conversations, questions about a paragraph, search results.

There ``},{`` stands inside records too, so a record's end cannot be told from any byte; these files are read from their
beginning, by depth. A broken record costs the records up to the next one that begins with the same key as the first.
Cost: 70 MB per CPU-second.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import orjson

from corpus.sources.base import CHUNK_BYTES, DOCUMENT_BYTES, Span, Unreadable
from corpus.sources.json_records import Objects, array_opening, end_of_object

_FIRST_KEY = re.compile(rb'\s*\{\s*("(?:[^"\\]|\\.)*")\s*:')


def is_nested_array(head: bytes) -> bool:
    """Tell by the first bytes of a file (UTF-8) whether it is an array whose first records hold lists of objects."""
    place = array_opening(head)
    if not place:
        return False
    while (end := end_of_object(head, place)) > 0:
        try:
            if _holds_list_of_objects(orjson.loads(head[head.index(b"{", place) : end])):
                return True
        except ValueError:  # told when it is read
            pass
        place = end
    return False


def _holds_list_of_objects(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_list_of_objects(inner) for inner in value.values())
    return isinstance(value, list) and any(isinstance(one, dict) or _holds_list_of_objects(one) for one in value)


def read_nested(stream: io.BufferedReader, span: Span) -> Iterator[Objects]:
    """Yield the records of an array that is read from its beginning, about 16 MB of input at a time.

    Args:
        stream: The file as UTF-8.
        span: The file, for what is told of it.
    """
    file = str(span.file)
    buffer, base, at_end = b"", 0, False
    again: re.Pattern[bytes] | None = None  # how a record begins
    with stream:
        while not at_end:
            block = stream.read(CHUNK_BYTES)
            buffer += block
            at_end = len(block) < CHUNK_BYTES
            out, place = Objects(), 0
            if again is None:
                place = array_opening(buffer)
                key = _FIRST_KEY.match(buffer, place)
                again = re.compile(rb"\{\s*" + (re.escape(key.group(1)) if key else rb'"') + rb"\s*:")
            while (end := end_of_object(buffer, place)) > 0:
                begin = buffer.index(b"{", place)
                try:
                    out.add(base + begin, orjson.loads(buffer[begin:end]))
                    place = end
                except ValueError as error:
                    out.unreadable.append(Unreadable(file, base + begin, f"not JSON ({error})"))
                    following = again.search(buffer, begin + 1)
                    place = following.start() if following else end
            rest = len(buffer) - place
            if end == 0 and (at_end or rest > DOCUMENT_BYTES):
                begin = buffer.index(b"{", place)
                following = again.search(buffer, begin + 1)
                why = "truncated: the file ends inside this record" if at_end else "a record that does not end"
                out.unreadable.append(Unreadable(file, base + begin, why))
                if following:
                    place, at_end = following.start(), False
                else:
                    place = len(buffer)
            elif end < 0 and at_end and b"]" not in buffer[place:]:
                out.unreadable.append(Unreadable(file, base + len(buffer), "truncated JSON array: it is not closed"))
            buffer, base = buffer[place:], base + place
            yield out
