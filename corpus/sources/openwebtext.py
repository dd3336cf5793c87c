"""OpenWebText: ``openwebtext.tar.xz`` as published (tar of ``urlsf_subset*.xz``, each a tar of txt), or HF parquet.

The archives are read nested, as one stream, with nothing written to disk; the hub's subsets
(``subsets/urlsf_subset00.tar``) and single ``urlsf_subset*_data.xz`` files are read alike, and so are folders of the
unpacked txt. The key is the member's path, without a title or domain: the corpus has none. (Gokaslan and Cohen 2019.)
Cost: 45 MB of text per CPU-second from tar.xz, of which xz is half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpus.sources.archive import Member, members
from corpus.sources.base import FileSource, Item, Record, Span, Unreadable
from corpus.sources.encoding import decode
from corpus.sources.find import find_files, has_suffix
from corpus.sources.parquet import SUFFIXES as TABLES
from corpus.sources.parquet import Parquet

SUFFIXES = (".tar", ".txt", "_data", ".tgz", *TABLES)


@dataclass(frozen=True)
class OpenWebText(FileSource):
    """Reader of OpenWebText in its published forms."""

    def files(self, path: Path) -> list[Path]:
        """Return the archives, texts or tables below a path."""
        return find_files(path, SUFFIXES, "OpenWebText archives (.tar.xz, urlsf_subset*.xz, .parquet)")

    def spans(self, file: Path) -> list[Span]:
        """Cut a table; archives are read whole."""
        return Parquet(text="text").spans(file) if has_suffix(file, TABLES) else super().spans(file)

    def items(self, span: Span) -> Iterator[Item]:
        """Read the texts of a span."""
        if has_suffix(span.file, TABLES):
            yield from Parquet(text="text").items(span)
            return
        for member in members(span, (".txt",)):
            if not isinstance(member, Member):
                yield member
                continue
            decoded = decode(member.data)
            if isinstance(decoded, str):
                yield Unreadable(member.file, 0, f"{member.name}: {decoded}")
            else:
                name = PurePosixPath(member.name)
                yield Record(name.with_suffix("").as_posix() if name.suffix == ".txt" else member.name, decoded.text)
