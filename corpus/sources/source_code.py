"""Code: folders of repositories (or archives of them), or the-stack's tables, with language and licence.

The domain is the language: the table's own, else by the file's name. ``license`` is a signal: the table's own, else an
SPDX line in the file, else the nearest LICENSE file above it (of archives only the SPDX line: they are read once, in
order). Vendored, generated and minified files, and files of no known language, are left out and counted, each with its
file and cause. The key is the table's own, else the path. Cost: 84 MB per CPU-second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from corpus.sources.archive import Member, members
from corpus.sources.base import FileSource, Item, Record, Skipped, Span, Unreadable, Value
from corpus.sources.columns import ours
from corpus.sources.encoding import decode
from corpus.sources.find import find_files, has_suffix
from corpus.sources.languages import (
    LICENCE_FILES,
    declared_licence,
    language_of,
    licence_of,
    not_by_hand,
    vendored_folder,
)
from corpus.sources.parquet import SUFFIXES as TABLES
from corpus.sources.parquet import Parquet, rows, schema_kinds
from workbench.config import setting

# What the tables of the-stack (v1, v2, smol), starcoderdata and codeparrot call the parts; the first that is there.
PARTS: dict[str, tuple[str, ...]] = {
    "text": ("content", "text", "code"),
    "key": ("hexsha", "blob_id", "id"),
    "language": ("lang", "language", "programming_language"),
    "path": ("max_stars_repo_path", "path", "file_path"),
    "repository": ("max_stars_repo_name", "repository_name", "repo_name"),
    "license": ("max_stars_repo_licenses", "detected_licenses", "licenses", "license"),
}


@dataclass(frozen=True)
class SourceCode(FileSource):
    """Reader of code."""

    by_hand: bool = setting(True, "whether vendored, generated and minified files are left out (and counted)")

    def files(self, path: Path) -> list[Path]:
        """Return all files below a path, but hidden ones; what is no code is counted when it is read."""
        return find_files(path, (), "code (a folder of repositories, archives of them, or .parquet tables)")

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the licence, and the numbers of tables."""
        out = {"license": "label"}
        for file in files:
            if has_suffix(file, TABLES):
                with suppress(OSError):  # told when it is read
                    out.update(dict.fromkeys(_numbers(schema_kinds(file)), "number"))
        return out

    def spans(self, file: Path) -> list[Span]:
        """Cut a table between row groups."""
        return Parquet().spans(file) if has_suffix(file, TABLES) else super().spans(file)

    def items(self, span: Span) -> Iterator[Item]:
        """Read the files of a span."""
        if has_suffix(span.file, TABLES):
            yield from self._table(span)
            return
        if left_out := self._left_out_unread(span):
            yield left_out
            return
        for member in members(span):
            if not isinstance(member, Member):
                yield member
                continue
            place = member.name if member.in_archive else str(span.file)
            cause = self._by_name(member.name)
            if cause:
                yield Skipped(place, cause)
                continue
            decoded = decode(member.data)
            if isinstance(decoded, str):
                yield Unreadable(member.file, 0, f"{member.name}: {decoded}" if member.in_archive else decoded)
                continue
            licence = declared_licence(decoded.text)
            if licence is None and not member.in_archive:
                licence = _licence_above(span.file.parent, span.root or span.file.parent)
            language = language_of(member.name) or ""
            yield self._judged(member.name, decoded.text, language, member.name, {"license": licence}, place)

    def _table(self, span: Span) -> Iterator[Item]:
        kinds = schema_kinds(span.file)
        names = {part: next((name for name in known if name in kinds), None) for part, known in PARTS.items()}
        text_name = names["text"]
        if text_name is None:
            yield Unreadable(str(span.file), 0, f"no column of code: its columns are {', '.join(kinds)}")
            return
        numbers = _numbers(kinds)
        for row in rows(span, [*(name for name in names.values() if name), *numbers]):
            if isinstance(row, Unreadable):
                yield row
                continue
            number, value = row
            text = value[text_name]
            if not isinstance(text, str):
                yield Unreadable(str(span.file), number, f"row {number}: no {text_name}")
                continue

            def part(name: str, value: Mapping[str, Any] = value) -> str:
                column = names[name]
                found = value.get(column) if column else None
                return ",".join(map(str, found)) if isinstance(found, list) else "" if found is None else str(found)

            path = "/".join(filter(None, (part("repository"), part("path"))))
            signals: dict[str, Value] = {name: None if value[name] is None else float(value[name]) for name in numbers}
            signals["license"] = part("license") or None
            cause = self._by_name(path) if path and not part("language") else None
            key = part("key") or path or f"{span.name}#{number}"
            if cause:
                yield Skipped(f"{span.file}: {key}", cause)
            else:
                language = part("language") or language_of(path) or ""
                yield self._judged(key, text, language, path, signals, f"{span.file}: {path or key}")

    def _left_out_unread(self, span: Span) -> Skipped | None:
        """Return why a file of a folder needs not be opened: other people's code, or no code by its name."""
        if has_suffix(span.file, (".tar", ".tgz")):
            return None
        cause = self._by_name(span.name)
        folder = vendored_folder(span.name)
        place = f"{span.root}/{folder}" if cause and folder and span.root else str(span.file)
        return Skipped(place, cause) if cause else None

    def _by_name(self, path: str) -> str | None:
        if self.by_hand and vendored_folder(path):
            return "vendored"
        if language_of(path) is None:
            return f"no code by its name ({PurePosixPath(path).suffix or 'no suffix'})"
        return None

    def _judged(
        self, key: str, text: str, language: str, path: str, signals: Mapping[str, Value], place: str
    ) -> Record | Skipped:
        cause = not_by_hand(path, text, language) if self.by_hand else None
        if cause is None and self.by_hand and vendored_folder(path):
            cause = "vendored"
        return Skipped(place, cause) if cause else Record(key, text, path, language, signals)


def _numbers(kinds: Mapping[str, str]) -> list[str]:
    return [name for name, kind in kinds.items() if kind == "number" and name not in ours() and "." not in name]


@lru_cache(maxsize=4096)
def _licence_above(folder: Path, root: Path) -> str | None:
    """Return the licence of the nearest LICENSE file in a folder or above it, up to the root."""
    for name in LICENCE_FILES:
        file = folder / name
        if file.is_file():
            return licence_of(file.read_text(encoding="utf-8", errors="replace")) or "unknown"
    return None if folder == root or folder == folder.parent else _licence_above(folder.parent, root)
