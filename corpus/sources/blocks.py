"""Blocks between an opening and a closing mark (``<page>…</page>``) that begin in a span of plain or packed bytes.

A bz2 file of many streams (Wikipedia's multistream dumps, pbzip2's output) is cut between its streams, so that workers
unpack it side by side; a block may run over a cut. A broken block costs one block. Cost: that of unpacking.
"""

from __future__ import annotations

import bz2
import io
from collections.abc import Iterator
from pathlib import Path

from corpus.sources.base import DOCUMENT_BYTES, Span, Unreadable, cut_by_bytes
from corpus.sources.encoding import open_utf8
from corpus.sources.unpack import BLOCK, FEED, FREE_BYTES, MAX_RATIO, kind_of

_STREAM = b"1AY&SY"  # follows BZh and a digit where a bz2 stream begins


def spans_of_blocks(file: Path) -> list[Span]:
    """Cut a plain or bz2 file anywhere; others are read whole."""
    kind = _kind(file)
    return cut_by_bytes(file) if kind in (None, "bz2") else [Span(file, 0, file.stat().st_size)]


def _kind(file: Path) -> str | None:
    with file.open("rb") as stream:
        return kind_of(stream.read(16))


def read_blocks(span: Span, opening: bytes, closing: bytes) -> Iterator[tuple[int, bytes] | Unreadable]:
    """Yield the blocks that begin in a span, marks included, each with the offset of its opening mark.

    Args:
        span: Bytes of a file; of a bz2 file, the streams that begin there.
        opening: The mark a block begins with; it stands nowhere else.
        closing: The mark a block ends with.
    """
    kind = _kind(span.file)
    pieces = _bz2(span) if kind == "bz2" else _plain(span) if kind is None else _packed(span)
    buffer, base, own_end, own = b"", span.start if kind is None else 0, 0, True
    given = base
    at_end = False
    while True:
        begin = buffer.find(opening)
        if begin >= 0 and not own and base + begin >= own_end:
            return
        stop = buffer.find(closing, begin) if begin >= 0 else -1
        if stop >= 0:
            yield base + begin, buffer[begin : stop + len(closing)]
            buffer, base = buffer[stop + len(closing) :], base + stop + len(closing)
            continue
        if begin >= 0 and (at_end or len(buffer) - begin > DOCUMENT_BYTES):
            what = "the file ends inside it" if at_end else f"it does not end within {DOCUMENT_BYTES // 1_000_000} MB"
            yield Unreadable(str(span.file), base + begin, f"a {opening.decode()} is cut off: {what}")
            buffer, base = buffer[begin + len(opening) :], base + begin + len(opening)
            continue
        if at_end:
            return
        if begin < 0:
            keep = len(opening) - 1  # a mark may be cut in two
            base += max(0, len(buffer) - keep)
            buffer = buffer[-keep:]
            if not own and base >= own_end:
                return
        more: list[bytes] = []
        wanted = max(BLOCK, len(buffer))  # twice as much each time: a long block is searched few times
        while wanted > 0:
            piece = next(pieces, None)
            if piece is None:
                at_end = True
                break
            if isinstance(piece, Unreadable):
                yield piece
                continue
            data, is_own = piece
            if own and not is_own:
                own, own_end = False, given
            given += len(data)
            more.append(data)
            wanted -= len(data)
        buffer += b"".join(more)


Pieces = Iterator[tuple[bytes, bool] | Unreadable]


def _plain(span: Span) -> Pieces:
    with span.file.open("rb") as stream:
        stream.seek(span.start)
        left = span.end - span.start
        while data := stream.read(min(BLOCK, left) if left > 0 else BLOCK):
            yield data, left > 0
            left -= len(data)


def _packed(span: Span) -> Pieces:
    opened = open_utf8(span)
    while data := opened.stream.read(BLOCK):
        yield data, True
    yield from opened.end(span)


def _bz2(span: Span) -> Pieces:
    """Unpack the streams that begin in a span, and those after it as long as they are asked for."""
    with span.file.open("rb") as stream:
        place = _next_stream(stream, span.start, span.end)
        while place is not None:
            one = bz2.BZ2Decompressor()
            taken = given = 0
            stream.seek(place)
            try:
                while not one.eof:
                    data = stream.read(FEED) if one.needs_input else b""
                    if one.needs_input and not data:
                        raise EOFError("the file ends inside the compressed stream")
                    taken += len(data)
                    out = one.decompress(data, BLOCK)
                    given += len(out)
                    if given > max(FREE_BYTES, MAX_RATIO * taken):
                        raise EOFError(f"unpacks to more than {MAX_RATIO} times its size: an archive bomb")
                    yield out, place < span.end
                place += taken - len(one.unused_data)
                stream.seek(place)
                if not (stream.read(10).startswith(b"BZh")):
                    return
            except (OSError, EOFError) as error:
                yield Unreadable(str(span.file), place, f"broken bz2 stream ({error})")
                following = _next_stream(stream, place + 1, span.end)
                if following is None:
                    return
                place = following


def _next_stream(stream: io.BufferedReader, start: int, end: int) -> int | None:
    """Return where the first bz2 stream at or after ``start`` and before ``end`` begins, None if there is none."""
    stream.seek(start)
    base, tail = start, b""
    while base - len(tail) < end and (data := stream.read(BLOCK)):
        window = tail + data
        at = -1
        while (at := window.find(_STREAM, at + 1)) >= 0:
            if at >= 4 and window[at - 4 : at - 1] == b"BZh" and window[at - 1 : at] in b"123456789":
                place = base - len(tail) + at - 4
                return place if place < end else None
        base += len(data)
        tail = window[-(len(_STREAM) + 3) :]
    return None
