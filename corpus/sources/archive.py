"""Whole small files out of whatever they are packed in: plain, compressed, or members of tar archives within archives.

Nothing is written to disk, so a member's name can do no harm. A document is at most ``DOCUMENT_BYTES``; archives nest
at most ``DEPTH`` deep; a damaged member costs that member, a damaged archive its rest. Cost: 74 µs a member.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from corpus.sources.base import DOCUMENT_BYTES, PACKED, Skipped, Span, Unreadable
from corpus.sources.find import has_suffix
from corpus.sources.unpack import Unpacked, open_file, unpacked

DEPTH = 4


@dataclass(frozen=True)
class Member:
    """A whole file: its path below the root (archives are folders of it), and its bytes."""

    name: str
    data: bytes
    file: str  # where it is told to be unreadable
    in_archive: bool


def members(span: Span, suffixes: Sequence[str] = ()) -> Iterator[Member | Unreadable | Skipped]:
    """Yield the file of a span, or what is in it if it is an archive.

    Args:
        span: A whole file.
        suffixes: What members' names must end in (none: anything); others, and hidden ones, are counted as skipped.
    """
    with open_file(span.file) as stream:
        for member in _walk(stream, span.name, str(span.file), 0):
            name = PurePosixPath(member.name) if isinstance(member, Member) and member.in_archive else None
            if name is not None and any(part.startswith(".") for part in name.parts):
                yield Skipped(str(span.file), "a hidden member of the archive")
            elif name is not None and suffixes and not has_suffix(Path(name), suffixes):
                yield Skipped(str(span.file), f"a member of another kind ({name.suffix or 'no suffix'})")
            else:
                yield member


def _walk(stream: Unpacked, name: str, file: str, depth: int) -> Iterator[Member | Unreadable]:
    head = stream.peek(512)[:512]
    if head[257:262] == b"ustar":
        if depth >= DEPTH:
            yield Unreadable(file, 0, f"{name}: archives nested deeper than {DEPTH}, read no further")
            return
        yield from _tar(stream, name, file, depth)
        return
    data = stream.read(DOCUMENT_BYTES + 1)
    if len(data) > DOCUMENT_BYTES:
        yield Unreadable(file, 0, f"{name}: one document of more than {DOCUMENT_BYTES // 1_000_000} MB")
    elif stream.broken:
        yield Unreadable(file, len(data), f"{name}: {stream.broken}" if depth else stream.broken)
    else:
        yield Member(name, data, file, depth > 0)


def _tar(stream: Unpacked, name: str, file: str, depth: int) -> Iterator[Member | Unreadable]:
    folder = PurePosixPath(name)
    base = (folder.with_suffix("") if folder.suffix in (".tar", ".tgz") else folder).as_posix()
    place = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|", ignore_zeros=False) as tar:
            for info in tar:
                tar.members = []  # type: ignore[attr-defined]  # a stream is read once: without this the list grows with the archive
                place = info.offset
                if not info.isfile():
                    continue  # a folder or link: no bytes of its own
                content: IO[bytes] | None = tar.extractfile(info)
                assert content is not None
                path = PurePosixPath(info.name)
                path = path.with_suffix("") if path.suffix in PACKED else path
                inner = "/".join(part for part in path.parts if part not in ("/", ".."))
                for found in _walk(unpacked(content), f"{base}/{inner}", file, depth + 1):
                    if isinstance(found, Unreadable):
                        yield Unreadable(file, place + found.offset, found.cause)
                    else:
                        yield found
    except (tarfile.TarError, EOFError, OSError) as error:
        yield Unreadable(
            file, place, f"{name}: {stream.broken or f'broken tar archive ({error})'}, its rest is not read"
        )
        return
    if stream.broken:
        yield Unreadable(file, place, f"{name}: {stream.broken}, its rest is not read")
