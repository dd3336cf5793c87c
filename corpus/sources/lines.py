"""Lines, or paragraphs between blank lines, that begin in a span: any cut into spans gives the same pieces.

Line ends are LF or CR LF. GB18030 and Big5 have no LF inside a character, so a file in them is cut like
UTF-8; UTF-16 and compressed files are read as one span. Cost: 0.7 µs a line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from corpus.sources.base import DOCUMENT_BYTES, Span, Unreadable, cut_by_bytes
from corpus.sources.encoding import SAMPLE, open_utf8, sniff
from corpus.sources.unpack import kind_of

_BLANK_LOOK_BACK = 4096  # bytes before a line in which the line end before it stands, if that line is blank


def spans_of_lines(span: Span) -> list[Span]:
    """Cut a file that is read by lines; one that must be unpacked or recoded stays whole."""
    with span.file.open("rb") as stream:
        head = stream.read(SAMPLE)
    if kind_of(head) is None and not (sniff(head, cut=True) or "").startswith(("utf-16", "utf-32")):
        return cut_by_bytes(span.file)
    return [span]


def read_lines(span: Span, *, paragraphs: bool = False) -> Iterator[tuple[int, str] | Unreadable]:
    """Yield the lines (or paragraphs) that begin in a span, with their byte offsets, without their line ends.

    Blank ones are left out. The offset is that of the file's own bytes, or of the UTF-8 text of a file that is packed
    or in UTF-16.
    """
    with span.file.open("rb") as raw:
        head = raw.read(SAMPLE)
    encoding = sniff(head, cut=len(head) == SAMPLE) or "utf-8"
    if kind_of(head) is None and not encoding.startswith(("utf-16", "utf-32")):
        with span.file.open("rb") as stream:
            place = _first_line(stream, span.start, paragraphs)
            for offset, piece in _gather(stream, place, span, paragraphs):
                yield _decoded(offset, piece, encoding.removesuffix("-sig"), span)
        return
    opened = open_utf8(span)
    for offset, piece in _gather(opened.stream, 0, span, paragraphs, to_end=True):
        yield _decoded(offset, piece, "utf-8", span)
    yield from opened.end(span)


def _decoded(offset: int, piece: bytes, encoding: str, span: Span) -> tuple[int, str] | Unreadable:
    if len(piece) > DOCUMENT_BYTES:
        return Unreadable(str(span.file), offset, f"one line of more than {DOCUMENT_BYTES // 1_000_000} MB")
    try:
        text = piece.decode(encoding)
    except UnicodeDecodeError as error:
        return Unreadable(str(span.file), offset, f"invalid {encoding} at byte {error.start} of the record")
    return offset, (text.replace("\r\n", "\n") if "\r" in text else text).strip("\r\n\ufeff")


def _first_line(stream: io.BufferedReader, start: int, paragraphs: bool) -> int:
    """Put a seekable stream at the first line (paragraph) that begins at or after ``start``; return where that is."""
    if start == 0:
        return 0
    stream.seek(start - 1)
    _skip_line(stream)
    place = stream.tell()
    if paragraphs:
        near = max(0, place - _BLANK_LOOK_BACK)
        stream.seek(near)
        before = stream.read(place - near)
        lines = before.split(b"\n")  # the last is empty: the line end just before this line
        inside = len(lines) >= 2 and bool(lines[-2].strip())
        while inside and (line := stream.readline(DOCUMENT_BYTES)):
            inside = bool(line.strip())
            place += len(line)
    return place


def _skip_line(stream: io.BufferedReader) -> None:
    while (part := stream.readline(1 << 20)) and not part.endswith(b"\n"):
        pass


def _gather(
    stream: io.BufferedReader, place: int, span: Span, paragraphs: bool, *, to_end: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Yield lines, or paragraphs, until one begins at or after the span's end."""
    parts: list[bytes] = []
    begin = size = 0
    while line := stream.readline(DOCUMENT_BYTES + 1):
        if len(line) > DOCUMENT_BYTES and not line.endswith(b"\n"):
            here = place
            place += len(line)
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                place += len(rest)
            place += len(rest)
            if to_end or here < span.end:
                yield here, line
            continue
        blank = not line.strip()
        if not parts and not to_end and place >= span.end:
            return
        if blank or not paragraphs:
            if parts:
                yield begin, b"".join(parts)
                parts, size = [], 0
            if not blank:
                yield place, line
        else:
            if not parts:
                begin = place
            if size <= DOCUMENT_BYTES:  # one more than allowed is enough to tell
                parts.append(line)
            size += len(line)
        place += len(line)
    if parts:
        yield begin, b"".join(parts)
