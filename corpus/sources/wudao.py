"""WuDao 2.0: a folder of ``part-*.json``, each one array of ``{"uniqueKey", "dataType", "title", "content", …}``.

Some mirrors wrap the array as ``{"RECORDS": […]}``; some are JSON lines under the same name; all are read alike. The
document's id is ``wudao/<uniqueKey>``, its domain ``dataType`` verbatim. (Yuan et al. 2021, "WuDaoCorpora".)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.sources.base import Chunk, Span, Unreadable, cut_by_bytes
from corpus.sources.json_records import Objects, read_objects
from workbench.errors import InputError


@dataclass(frozen=True)
class WuDao:
    """Reader of WuDao records."""

    def files(self, path: Path) -> list[Path]:
        """Return ``part-*.json`` below a folder, or all its ``*.json`` if no file is named so; a file is itself."""
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise InputError(
                path, "no such folder", "give --src wudao=PATH, or make a sample: corpus sample --out PATH"
            )
        found = sorted(path.rglob("part-*.json")) or sorted(path.rglob("*.json"))
        found = [file for file in found if file.name != "manifest.json"]
        if not found:
            raise InputError(path, "holds no part-*.json", "WuDao 2.0 is a folder of part-*.json arrays")
        return found

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return nothing: WuDao has no numbers or labels but ``dataType``, the domain."""
        return {}

    def spans(self, file: Path) -> list[Span]:
        """Cut a file; the reader finds the next record from any byte."""
        return cut_by_bytes(file)

    def read(self, span: Span) -> Iterator[Chunk]:
        """Read the records that begin in a span."""
        for objects in read_objects(span):
            chunk = Chunk(unreadable=list(objects.unreadable))
            texts: list[Any] = [record.get("content") for record in objects.records]
            keys: list[Any] = [record.get("uniqueKey") or record.get("id") for record in objects.records]
            if all(type(text) is str for text in texts) and all(type(key) in (str, int) for key in keys):
                chunk.keys, chunk.texts = list(map(str, keys)), texts
                chunk.titles = [_label(record, "title") for record in objects.records]
                chunk.domains = [_label(record, "dataType") for record in objects.records]
            else:
                _add_each(chunk, objects, span.file)
            yield chunk


def _label(record: Mapping[str, Any], name: str) -> str:
    return str(record.get(name) or "")


def _add_each(chunk: Chunk, objects: Objects, file: Path) -> None:
    """Add records of which some lack their text or key; those without text are told, the others get a key."""
    for offset, record in objects.found:
        content = record.get("content")
        if not isinstance(content, str):
            cause = "no content" if "content" not in record else f"content is {type(content).__name__}, not text"
            chunk.unreadable.append(Unreadable(str(file), offset, cause))
            continue
        key = record.get("uniqueKey") or record.get("id")
        key = str(key) if isinstance(key, str | int) else f"{file.stem}@{offset}"
        chunk.add(key, content, _label(record, "title"), _label(record, "dataType"))
