"""What a source is: it lists spans of input, and reads one span into chunks of records.

A span is a piece of one file, or several small whole files, that a worker reads by itself; the cut depends on the files
alone, never on the number of workers, so shards come out the same however many there are. A record that cannot be read
is reported with its file, byte offset and cause; the reader goes on with the next one. What a source leaves out by its
own rule (a redirect, a vendored file) is counted by file and cause. Cost: 0.9 µs a record to gather it into a chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

SPAN_BYTES = 32_000_000  # of raw input a span, where a format can be cut
CHUNK_BYTES = 16_000_000  # of raw input parsed at a time: bounds a worker's memory
SPAN_FILES = 10_000  # small files a span, at most
DOCUMENT_BYTES = 64_000_000  # of one document; what is longer is not read into memory

Value = float | str | None  # of a signal: a number or a label


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of a file (or row groups, batches: as the source counts); a record belongs where it begins."""

    file: Path
    start: int
    end: int
    root: Path | None = None  # the folder of --src: keys name files relative to it
    more: tuple[Path, ...] = ()  # whole files that are read after this one

    def pieces(self) -> Iterator[Span]:
        """Yield a span a file."""
        yield replace(self, more=())
        for file in self.more:
            yield Span(file, 0, file.stat().st_size, self.root)

    @property
    def name(self) -> str:
        """Return the file's path below the root, without a compression suffix: what keys begin with."""
        inside = self.root is not None and self.file.is_relative_to(self.root)
        path = self.file.relative_to(self.root) if inside and self.root else self.file
        return (path.with_suffix("") if path.suffix in PACKED else path).as_posix()


PACKED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Unreadable:
    """A record, or the rest of a file, that could not be read."""

    file: str
    offset: int  # bytes from the start of the file; of a compressed file, of what is in it
    cause: str


@dataclass(frozen=True)
class Skipped:
    """What a source leaves out by its own rule: it was read, and is no document."""

    file: str
    cause: str
    count: int = 1


class Record(NamedTuple):
    """A document as a source gives it."""

    key: str
    text: str
    title: str = ""
    domain: str = ""
    signals: Mapping[str, Value] = MappingProxyType({})


Item = Record | Unreadable | Skipped


@dataclass
class Chunk:
    """Some records of a span, column by column, and what could not be read among them."""

    keys: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    signals: dict[str, list[Value]] = field(default_factory=dict)  # the input's own columns, as long as keys
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, key: str, text: str, title: str, domain: str, signals: Mapping[str, Value] | None = None) -> None:
        """Append a record; a signal that it does not have is None."""
        self.keys.append(key)
        self.texts.append(text)
        self.titles.append(title)
        self.domains.append(domain)
        if signals:
            for name in signals:
                if name not in self.signals:
                    self.signals[name] = [None] * (len(self.keys) - 1)
        for name, column in self.signals.items():
            column.append(signals.get(name) if signals else None)


class Source(Protocol):
    """A kind of input, by its format."""

    def files(self, path: Path) -> list[Path]:
        """Return the files below a path, in the order in which they are read.

        Raises:
            InputError: If there is nothing of this format.
        """
        ...

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns of the input that are carried as signals, with their kinds: ``number`` or ``label``."""
        ...

    def spans(self, file: Path) -> list[Span]:
        """Cut a file into spans."""
        ...

    def read(self, span: Span) -> Iterator[Chunk]:
        """Read a span, a bounded chunk at a time."""
        ...


class FileSource(ABC):
    """A source that reads one file after another into items, which are gathered into chunks."""

    @abstractmethod
    def files(self, path: Path) -> list[Path]:
        """Return the files below a path, in the order in which they are read."""

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns of the input that are carried as signals, with their kinds; none by default."""
        return {}

    def spans(self, file: Path) -> list[Span]:
        """Return the file whole; formats that can be cut say how."""
        return [Span(file, 0, file.stat().st_size)]

    @abstractmethod
    def items(self, span: Span) -> Iterator[Item]:
        """Read a span of one file."""

    def read(self, span: Span) -> Iterator[Chunk]:
        """Read a span, a bounded chunk at a time."""
        return in_chunks(item for piece in span.pieces() for item in self._guarded(piece))

    def _guarded(self, piece: Span) -> Iterator[Item]:
        try:
            with piece.file.open("rb") as stream:
                stub = stream.read(64).startswith(b"version https://git-lfs.github.com/spec/")
            if stub:
                yield Unreadable(str(piece.file), 0, "a Git LFS pointer, not the data; run git lfs pull")
                return
            yield from self.items(piece)
        except OSError as error:
            yield Unreadable(str(piece.file), piece.start, f"cannot be read ({error.strerror or error})".lower())


def in_chunks(items: Iterable[Item]) -> Iterator[Chunk]:
    """Gather items into chunks of about ``CHUNK_BYTES`` of text."""
    chunk, size = Chunk(), 0
    skipped: dict[tuple[str, str], int] = {}
    for item in items:
        if isinstance(item, Record):
            chunk.add(*item)
            size += len(item.text) * (1 if item.text.isascii() else 3) + 100
        elif isinstance(item, Unreadable):
            chunk.unreadable.append(item)
            size += 200
        else:
            skipped[item.file, item.cause] = skipped.get((item.file, item.cause), 0) + item.count
        if size >= CHUNK_BYTES:
            yield _with_skipped(chunk, skipped)
            chunk, size, skipped = Chunk(), 0, {}
    if chunk.keys or chunk.unreadable or skipped:
        yield _with_skipped(chunk, skipped)


def _with_skipped(chunk: Chunk, counts: Mapping[tuple[str, str], int]) -> Chunk:
    chunk.skipped = [Skipped(file, cause, count) for (file, cause), count in counts.items()]
    return chunk


def plan(source: Source, path: Path, files: Iterable[Path] | None = None) -> list[Span]:
    """Cut all of a source's input into spans; small files that follow one another share a span.

    Args:
        source: The reader.
        path: What the user named: a file, a folder or a glob.
        files: The source's files, if they are known already.
    """
    root = root_of(path)
    out: list[Span] = []
    room = 0  # bytes that the last span may still take
    for file in source.files(path) if files is None else files:
        spans = [replace(span, root=root) for span in source.spans(file)]
        size = file.stat().st_size
        alone = len(spans) != 1 or not isinstance(source, FileSource)
        if not alone and out and size <= room and len(out[-1].more) < SPAN_FILES - 1:
            out[-1] = replace(out[-1], more=(*out[-1].more, file))
            room -= size
        else:
            out += spans
            room = 0 if alone else SPAN_BYTES - size
    return out


def root_of(path: Path) -> Path:
    """Return the folder that keys are relative to: the path itself, a file's folder, or a glob's fixed part."""
    if path.is_dir():
        return path
    parts: list[str] = []
    for part in path.parts:
        if any(sign in part for sign in "*?["):
            return Path(*parts) if parts else Path()
        parts.append(part)
    return path.parent


def cut_by_bytes(file: Path) -> list[Span]:
    """Return spans of about ``SPAN_BYTES``, for a format in which a reader finds the next record from any byte."""
    size = file.stat().st_size
    count = max(1, round(size / SPAN_BYTES))
    edges = [size * n // count for n in range(count + 1)]
    return [Span(file, start, end) for start, end in zip(edges, edges[1:], strict=False)]
