"""JSON objects out of an array, a wrapped array or plain lines, from any byte of the file, without loading the whole.

Published corpora call all three forms ``.json``. One pattern finds where a record begins: ``}``, at most one comma,
``{``, a key, a colon. It cannot match inside a JSON string: there a quote after ``{`` is escaped, and if the string
itself ends in ``},{`` its closing quote is followed by a comma or brace, never by key-then-colon. So a span can start
anywhere, and one bad record costs one record. Lines have no comma between records, so theirs may hold lists of objects;
arrays of such records are read by ``nested``. Cost: 340 MB per CPU-second with orjson.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from corpus.sources.base import CHUNK_BYTES, DOCUMENT_BYTES, Span, Unreadable

_BETWEEN = re.compile(rb'\}\s*,?\s*(\{)\s*"(?:[^"\\]|\\.)*"\s*:')  # in an array
_BETWEEN_LINES = re.compile(rb'\}\s*(\{)\s*"(?:[^"\\]|\\.)*"\s*:')  # without: a comma stands inside a record
_START = re.compile(rb'\{\s*"(?:[^"\\]|\\.)*"\s*:')
_DECODER = json.JSONDecoder(strict=False)
_OPENING = re.compile(rb'\s*(?:\xef\xbb\xbf)?\s*(\{\s*"[^"\\]*"\s*:\s*)?\[\s*')
_TOKEN = re.compile(rb'[{}]|"[^"\\]*(?:\\.[^"\\]*)*"|"', re.DOTALL)  # the last: a string that is not closed
_CLOSING = re.compile(rb"\s*\]\s*\}?\s*\Z")
_HEAD = 1 << 20  # bytes by which a wrapped array is told from lines
_TURNS = frozenset({"conversations", "conversation", "messages", "dialog", "dialogue", "turns"})
_LOOK_BACK = 1 << 16  # bytes before a span in which the brace that ends the record before it must stand


def array_opening(head: bytes) -> int:
    """Return how long the opening of an array (``[``, or the wrapper's ``{"RECORDS": [``) is; 0 for lines.

    A line may begin like a wrapper (``{"conversations": [``): it is a wrapper if no other object follows it, and its
    one key holds objects that are not the turns of a dialogue.
    """
    opening = _OPENING.match(head)
    if not opening:
        return 0
    if opening.group(1):
        end = end_of_object(head, 0)
        if end > 0 and (head[end:].strip() or not _is_wrapper(head[:end])):
            return 0
    return opening.end()


def _is_wrapper(piece: bytes) -> bool:
    try:
        value = orjson.loads(piece.lstrip(b"\xef\xbb\xbf"))
    except ValueError:
        return True  # what is broken inside it is told record by record
    key, inner = next(iter(value.items()))
    return len(value) == 1 and key not in _TURNS and all(isinstance(one, dict) for one in inner)


def end_of_object(buffer: bytes, start: int) -> int:
    """Return where the object that begins next ends: 0 if that is not in sight, -1 if no object begins."""
    begin = buffer.find(b"{", start)
    if begin < 0:
        return -1
    depth = 0
    for token in _TOKEN.finditer(buffer, begin):
        mark = token.group()
        if mark == b"{":
            depth += 1
        elif mark == b"}":
            depth -= 1
            if depth == 0:
                return token.end()
        elif mark == b'"':
            return 0
    return 0


@dataclass
class Objects:
    """Parsed objects with their byte offsets, and what could not be parsed."""

    records: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    offsets_of: Callable[[], list[int]] | None = None  # finds the offsets, which few ask for; None: they are known
    known: list[int] = field(default_factory=list)

    def add(self, offset: int, record: dict[str, Any]) -> None:
        """Append an object."""
        self.records.append(record)
        self.known.append(offset)

    @cached_property
    def offsets(self) -> list[int]:
        """Return the offset of each object's opening brace."""
        return self.known if self.offsets_of is None else self.offsets_of()

    @property
    def found(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the objects, each with its offset."""
        return list(zip(self.offsets, self.records, strict=True))


def read_objects(span: Span, unpacked: io.BufferedReader | None = None) -> Iterator[Objects]:
    """Yield the objects that begin in a span, about 16 MB of input at a time.

    Args:
        span: Any byte range of the file.
        unpacked: What is in the file, if that is packed or not UTF-8; it is read from beginning to end.

    Yields:
        Objects with the offset of each one's opening brace, and the places that are not JSON.
    """
    start, end = (span.start, span.end) if unpacked is None else (0, sys.maxsize)
    with unpacked or io.BufferedReader(io.FileIO(span.file), _HEAD) as stream:
        head = stream.peek(_HEAD)[:_HEAD]
        if not head:
            yield Objects(unreadable=[Unreadable(str(span.file), 0, "empty file")])
            return
        is_array = array_opening(head) > 0
        between = _BETWEEN if is_array else _BETWEEN_LINES
        position = max(0, start - _LOOK_BACK) if start else 0
        if position:
            stream.seek(position)
        buffer = b""
        synced = start == 0  # whether the buffer begins at a record (or at the head of the file)
        while True:
            block = stream.read(CHUNK_BYTES)
            buffer += block
            at_end = len(block) < CHUNK_BYTES
            if not synced:
                first = next((m.start(1) for m in between.finditer(buffer) if position + m.start(1) >= start), None)
                if first is None:
                    if at_end or position + len(buffer) > end + _LOOK_BACK:
                        return
                    continue
                buffer, position, synced = buffer[first:], position + first, True
            if position >= end:
                return
            if position + len(buffer) > end:  # this span ends at the first record that begins at or after its end
                near = max(0, end - position - _LOOK_BACK)
                stop = next((m.start(1) for m in between.finditer(buffer, near) if position + m.start(1) >= end), None)
                if stop is not None:
                    yield _parse(buffer[:stop], position, span.file, is_array, is_last=False)
                    return
            if at_end:
                if buffer.strip():
                    yield _parse(buffer, position, span.file, is_array, is_last=True)
                return
            last = _last_boundary(buffer, between)
            if last:
                yield _parse(buffer[:last], position, span.file, is_array, is_last=False)
                buffer, position = buffer[last:], position + last
            elif len(buffer) > DOCUMENT_BYTES:
                cause = f"no record ends within {DOCUMENT_BYTES // 1_000_000} MB; the rest of the file is not read"
                yield Objects(unreadable=[Unreadable(str(span.file), position, cause)])
                return


def _last_boundary(buffer: bytes, between: re.Pattern[bytes]) -> int:
    """Return where the last record of a buffer begins, 0 if only one is in sight."""
    window = _LOOK_BACK
    while True:
        begin = max(0, len(buffer) - window)
        last = 0
        for match in between.finditer(buffer, begin):
            last = match.start(1)
        if last or begin == 0:
            return last
        window *= 8


def _parse(piece: bytes, offset: int, file: Path, is_array: bool, is_last: bool) -> Objects:
    """Parse whole records; ``offset`` is where the piece stands in the file."""
    out = Objects()
    start, end = 0, len(piece)
    if offset == 0:
        opening = _OPENING.match(piece) if is_array else None
        bom = 3 if piece.startswith(b"\xef\xbb\xbf") else 0
        start = opening.end() if opening else bom
    if is_last and is_array:
        closing = _CLOSING.search(piece, max(start, end - 4096))
        if closing:
            end = closing.start()
        else:
            out.unreadable.append(Unreadable(str(file), offset + len(piece), "truncated JSON array: it is not closed"))
    body = piece[start:end].rstrip()
    comma = body.endswith(b",")
    if comma:
        body = body[:-1].rstrip()
    if not body:
        return out
    between = _BETWEEN if is_array else _BETWEEN_LINES
    if is_array:
        try:
            values = orjson.loads(b"[" + body + b"]")
        except ValueError:
            values = None
        if values is not None and all(type(value) is dict for value in values):
            out.records, out.offsets_of = values, lambda: _places(body, offset + start, between, len(values))
            return out
    starts = [0, *(m.start(1) for m in between.finditer(body))]
    for begin, stop in zip(starts, [*starts[1:], len(body)], strict=True):
        _recover(body[begin:stop], offset + start + begin, str(file), out)
    return out


def _places(body: bytes, offset: int, between: re.Pattern[bytes], number: int) -> list[int]:
    """Return where the records of a parsed piece begin; that of the piece where they hold objects themselves."""
    starts = [offset, *(offset + m.start(1) for m in between.finditer(body))]
    return starts if len(starts) == number else [offset] * number


def _recover(piece: bytes, place: int, file: str, out: Objects) -> None:
    """Take what should be one record; where it is not, find out what of it is, and tell the rest."""
    while piece := piece.rstrip(b", \t\r\n\x00"):
        value, length, cause = _parse_one(piece)
        if isinstance(value, dict):
            out.add(place, value)
        else:
            inside = _START.search(piece, 1)  # a record that was cut off runs into the next one
            length = inside.start() if inside else len(piece)
            cause = cause or f"a {type(value).__name__}, not a record"
            if cause.startswith("not JSON") and piece.startswith(b"{") and (inside or not piece.endswith(b"}")):
                cause = f"truncated: {'the next record begins' if inside else 'the file ends'} inside this one"
            out.unreadable.append(Unreadable(file, place, cause))
        rest = piece[length:]
        piece = rest.lstrip(b", \t\r\n\x00")
        place += length + len(rest) - len(piece)


def _parse_one(piece: bytes) -> tuple[Any, int, str]:
    """Parse the record a piece begins with; return its value, its length in bytes, and why there is none."""
    try:
        return orjson.loads(piece), len(piece), ""
    except ValueError:
        pass
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, 0, f"invalid UTF-8 at byte {error.start} of the record"
    try:  # orjson refuses lone surrogates and what follows the record; json does not
        value, end = _DECODER.raw_decode(text)
    except ValueError as error:
        return None, 0, f"not JSON ({error})"
    clean = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return clean, len(text[:end].encode()), ""
