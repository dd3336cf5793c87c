"""Parquet files (the hub's ``data/train-00000-of-00002.parquet``) and HF ``datasets`` folders (``save_to_disk``).

A span of a parquet file is some row groups, of an Arrow file some record batches; only the columns that are used are
read, a few MB at a time. Column map, signals and ids as in ``jsonl``: a number that is an id follows the file's name,
a record without one is named by its row. Cost: 220 MB of text per CPU-second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpus.sources.base import SPAN_BYTES, FileSource, Item, Span, Unreadable
from corpus.sources.columns import SAMPLE_RECORDS, Layout, common_signals, lay_out
from corpus.sources.find import find_files
from workbench.config import setting
from workbench.console import note
from workbench.errors import InputError

BATCH_ROWS = 1024
SUFFIXES = (".parquet", ".arrow")


@dataclass(frozen=True)
class Parquet(FileSource):
    """Reader of parquet and Arrow tables."""

    text: str | None = setting(None, "column of the text (dots reach into structs); none: guessed")
    id: str | None = setting(None, "column of the record's own key")
    title: str | None = setting(None, "column of the title")
    domain: str | None = setting(None, "column of the source's label")
    carry: tuple[str, ...] | None = setting(None, "columns carried as signals; none: all numbers and short labels")

    def files(self, path: Path) -> list[Path]:
        """Return the tables below a path (not the caches of ``datasets``); tell the column map.

        Raises:
            InputError: If there are none, or a named column is not in the first one that can be read.
        """
        found = find_files(path, SUFFIXES, "parquet files or HF datasets folders")
        files = [file for file in found if not file.name.startswith(("cache-", "tmp")) or len(found) == 1]
        for file in files:
            try:
                layout = self.layout(file)
            except OSError:  # what is wrong with it is told when it is read
                continue
            note(f"{file.name}: {layout.said()}")
            break
        return files

    def layout(self, file: Path) -> Layout:
        """Return where a file's records have their parts.

        Raises:
            InputError: If a named column is not there, or none can be guessed.
            OSError: If the file cannot be read.
        """
        return _layout_of(self, file, file.stat().st_mtime_ns)

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the signals that the files carry, with their kinds, before a record is read."""
        found = {}
        for file in files:
            try:
                found[str(file)] = self.layout(file)
            except (OSError, InputError):  # told when it is read
                continue
        return common_signals(found)

    def spans(self, file: Path) -> list[Span]:
        """Cut a file between row groups (record batches), so that a span is about ``SPAN_BYTES``."""
        try:
            sizes = part_sizes(file)
        except OSError:
            return [Span(file, 0, 1)]
        out: list[Span] = []
        start = weight = 0
        for n, size in enumerate(sizes):
            weight += size
            if weight >= SPAN_BYTES or n == len(sizes) - 1:
                out.append(Span(file, start, n + 1))
                start, weight = n + 1, 0
        return out or [Span(file, 0, 0)]

    def items(self, span: Span) -> Iterator[Item]:
        """Read a span's records."""
        try:
            layout = self.layout(span.file)
        except InputError as error:
            yield Unreadable(str(span.file), 0, error.found)
            return
        stem = span.name
        parts = [layout.text, layout.id, layout.title, layout.domain, *(name for name, _ in layout.signals)]
        for piece in rows(span, [name for name in parts if name]):
            if isinstance(piece, Unreadable):
                yield piece
                continue
            number, row = piece
            record = layout.record(row, f"{stem}#{number}", stem)
            yield Unreadable(str(span.file), number, f"row {number}: {record}") if isinstance(record, str) else record


@lru_cache(maxsize=64)
def _layout_of(source: Parquet, file: Path, _modified: int) -> Layout:
    sample: list[dict[str, Any]] = []
    for piece in rows(Span(file, 0, 1), None):
        if isinstance(piece, Unreadable):
            raise OSError(piece.cause)
        sample.append(piece[1])
        if len(sample) >= SAMPLE_RECORDS:
            break
    wanted = {"text": source.text, "id": source.id, "title": source.title, "domain": source.domain}
    return lay_out(sample, wanted, file.name, schema_kinds(file), source.carry)


def schema_kinds(file: Path) -> dict[str, str]:
    """Return the kinds of a table's columns by its schema: number, label (a dictionary or a text), other."""
    import pyarrow as pa

    out: dict[str, str] = {}

    def walk(fields: Any, prefix: str) -> None:
        for one in fields:
            kind = one.type
            if pa.types.is_struct(kind):
                walk(kind, f"{prefix}{one.name}.")
            elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
                out[f"{prefix}{one.name}"] = "number"
            elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
                out[f"{prefix}{one.name}"] = "empty"  # the values tell whether they are labels
            else:
                out[f"{prefix}{one.name}"] = "other"

    walk(_schema(file), "")
    return out


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _schema(file: Path) -> Any:
    if _is_parquet(file):
        from pyarrow import parquet

        return parquet.read_schema(file)
    return _open_arrow(file).schema


def _open_arrow(file: Path) -> Any:
    """Open an Arrow file of either form: ``datasets`` writes streams, feather has an index at its end."""
    import pyarrow as pa

    with file.open("rb") as stream:
        indexed = stream.read(6) == b"ARROW1"
    try:
        source = pa.memory_map(str(file))
        return pa.ipc.open_file(source) if indexed else pa.ipc.open_stream(source)
    except pa.ArrowException as error:
        raise OSError(f"neither parquet nor Arrow: {error}") from error


def part_sizes(file: Path) -> list[int]:
    """Return the bytes of each row group, unpacked, or of each record batch.

    Raises:
        OSError: If it is neither parquet nor Arrow.
    """
    import pyarrow as pa

    if not _is_parquet(file):
        return [batch.nbytes for batch in _batches(_open_arrow(file))]
    from pyarrow import parquet

    try:
        meta = parquet.read_metadata(file)
    except pa.ArrowException as error:
        raise OSError(f"broken parquet: {error}") from error
    return [meta.row_group(n).total_byte_size for n in range(meta.num_row_groups)]


def _batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        for n in range(reader.num_record_batches):
            yield reader.get_batch(n)
    else:
        yield from reader


def rows(span: Span, columns: list[str] | None) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
    """Yield the rows of a span with their numbers in the file; a damaged row group is told, and the next one read.

    Args:
        span: Row groups, or record batches, of a file.
        columns: The columns to read, with dots for structs; None means all.
    """
    import pyarrow as pa

    try:
        parquet = _is_parquet(span.file)
        yield from (_parquet_rows(span, columns) if parquet else _arrow_rows(span, columns))
    except (pa.ArrowException, OSError) as error:
        yield Unreadable(str(span.file), 0, f"broken table: {' '.join(str(error).split())[:200]}")


def _parquet_rows(span: Span, columns: list[str] | None) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(span.file, memory_map=True) as table:
        meta = table.metadata
        first = 0
        for group in range(meta.num_row_groups):
            count = meta.row_group(group).num_rows
            if span.start <= group < span.end:
                number = first
                try:
                    for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
                        for row in _as_rows(batch):
                            yield number, row
                            number += 1
                except (pa.ArrowException, OSError) as error:
                    why = " ".join(str(error).split())[:200]
                    yield Unreadable(str(span.file), number, f"rows {number} to {first + count - 1} are broken: {why}")
            first += count


def _arrow_rows(span: Span, columns: list[str] | None) -> Iterator[tuple[int, dict[str, Any]]]:
    tops = {name.partition(".")[0] for name in columns or ()}
    number = 0
    for n, batch in enumerate(_batches(_open_arrow(span.file))):
        if n >= span.end:
            return
        if n >= span.start:
            used = [name for name in batch.schema.names if columns is None or name in tops or name in columns]
            some = batch.select(used)
            for start in range(0, len(some), BATCH_ROWS):
                for offset, row in enumerate(_as_rows(some.slice(start, BATCH_ROWS))):
                    yield number + start + offset, row
        number += len(batch)


def _as_rows(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield a batch's rows as mappings, column by column."""
    names = batch.schema.names
    for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        yield dict(zip(names, values, strict=True))
