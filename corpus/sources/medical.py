"""Medical corpora in the forms they are published in: JSON records, tables of dialogues (CSV), texts.

Records are known by their keys (``FORMS``): shibing624/medical's pretrain, finetune and reward, sharegpt conversations,
Huatuo's questions and answers, encyclopaedia entries. A dialogue becomes the text a reader would see, question and
answer on lines of their own; of a reward pair the chosen answer only. CSV may be GB18030 with broken quotes: see
``read_csv``. The domain is the record's own label (``department``, ``category``), verbatim. The key is the file's
name and the offset: the ids of published files repeat. Cost: JSON 70, CSV 40 MB per CPU-second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.sources.base import FileSource, Item, Record, Span, Unreadable, Value
from corpus.sources.columns import ours
from corpus.sources.delimited import read_csv
from corpus.sources.encoding import open_utf8
from corpus.sources.find import find_files, has_suffix
from corpus.sources.jsonl import SUFFIXES as JSON
from corpus.sources.jsonl import Jsonl, head_of, objects_of
from corpus.sources.lines import read_lines, spans_of_lines
from corpus.sources.parquet import Parquet, rows
from corpus.sources.text import Text

SUFFIXES = (*JSON, ".csv", ".txt", ".parquet")
_TURN = re.compile(r"\s*<(?:user|bot|human|assistant)>\s*[:：]?\s*")
_SPEAKER = re.compile(r"^\s*(?:问|答|用户|医生)\s*[:：]\s*")

Make = Callable[[Mapping[str, Any]], list[str]]  # the parts of a text, a line each


def _strings(value: Any) -> list[str]:
    """Return the texts of nested lists, in order."""
    if isinstance(value, str):
        return [value]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []


def _instruction(record: Mapping[str, Any]) -> list[str]:
    history = _strings(record.get("history") or [])
    first = [_TURN.sub("\n", str(record["instruction"]))]
    return [*history, *first, str(record.get("input") or ""), *_strings(record["output"])]


def _turns(record: Mapping[str, Any]) -> list[str]:
    name = "conversations" if "conversations" in record else "messages"
    turns = [str(turn.get("value") or turn.get("content") or "") for turn in record[name] if isinstance(turn, dict)]
    return [*turns, *_strings(record.get("chosen") or "")]


def _entry(record: Mapping[str, Any]) -> list[str]:
    """Return an encyclopaedia entry: its prose, then its other fields as ``field: values``."""
    parts = [str(record["name"]), str(record.get("desc") or "")]
    for key, value in record.items():
        words = _strings(value)
        if key not in ("name", "desc", "category", "_id") and "".join(words).strip():
            parts.append(f"{key}：{'、'.join(words)}")
    return parts


# The first whose keys a record has. Keys, how the text is made, and the key of the label.
FORMS: tuple[tuple[tuple[str, ...], Make, str], ...] = (
    (("conversations",), _turns, ""),
    (("messages",), _turns, ""),
    (("instruction", "output"), _instruction, ""),
    (("question", "response_chosen"), lambda r: [str(r["question"]), str(r["response_chosen"])], ""),
    (("question", "chosen"), lambda r: [*_strings(r.get("history") or []), str(r["question"]), str(r["chosen"])], ""),
    (("title", "ask", "answer"), lambda r: [str(r["title"]), str(r["ask"]), str(r["answer"])], "department"),
    (("question", "answer"), lambda r: [*_strings(r["question"]), *_strings(r["answer"])], "label"),
    (("questions", "answers"), lambda r: [_strings(r["questions"])[0], _strings(r["answers"])[0]], "label"),
    (("data",), lambda r: [_SPEAKER.sub("", text) for text in _strings(r["data"])], ""),
    (("name", "desc"), _entry, "category"),
    (("text",), lambda r: [str(r["text"])], "category"),
    (("content",), lambda r: [str(r["content"])], "category"),
)


@dataclass(frozen=True)
class Medical(FileSource):
    """Reader of medical records, dialogues and texts."""

    def files(self, path: Path) -> list[Path]:
        """Return the records, tables and texts below a path."""
        return find_files(path, SUFFIXES, "medical records (.json, .jsonl, .csv, .parquet, .txt)")

    def signals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the numbers that the first records of the JSON files have."""
        heads = [head_of(file) for file in files if has_suffix(file, JSON)]
        return {name: "number" for head in heads for record in head for name in _numbers(record)}

    def spans(self, file: Path) -> list[Span]:
        """Cut a file by its form; a CSV file is read from beginning to end, since quotes run over lines."""
        if has_suffix(file, JSON):
            return Jsonl().spans(file)
        if has_suffix(file, (".parquet",)):
            return Parquet().spans(file)
        whole = Span(file, 0, file.stat().st_size)
        return spans_of_lines(whole) if has_suffix(file, (".txt",)) and holds_pairs(file) else [whole]

    def items(self, span: Span) -> Iterator[Item]:
        """Read a span's records."""
        name = span.name
        if has_suffix(span.file, (".txt",)):
            yield from self._pairs(span, name) if holds_pairs(span.file) else Text().items(span)
        elif has_suffix(span.file, (".csv",)):
            for piece in read_csv(span):
                yield piece if isinstance(piece, Unreadable) else _made(piece[1], span, name, piece[0])
        elif has_suffix(span.file, (".parquet",)):
            for row in rows(span, None):
                yield row if isinstance(row, Unreadable) else _made(row[1], span, name, row[0])
        else:
            for objects in objects_of(span):
                yield from objects.unreadable
                for offset, value in objects.found:
                    yield _made(value, span, name, offset)

    @staticmethod
    def _pairs(span: Span, name: str) -> Iterator[Item]:
        for piece in read_lines(span, paragraphs=True):
            if isinstance(piece, Unreadable):
                yield piece
            else:
                yield Record(f"{name}@{piece[0]}", piece[1])


def _made(record: Mapping[str, Any], span: Span, name: str, place: int) -> Record | Unreadable:
    for keys, make, label in FORMS:
        if all(key in record and record[key] not in (None, [], "") for key in keys):
            try:
                parts = make(record)
            except (IndexError, AttributeError, TypeError) as error:
                return Unreadable(
                    str(span.file), place, f"a record of {'+'.join(keys)} that is not so formed ({error})"
                )
            text = "\n".join(part.strip() for part in parts if part.strip())
            key = f"{name}@{place}"  # the records' own ids repeat in the published files
            title = str(record.get("title") or record.get("name") or "") if keys[0] in ("title", "name", "text") else ""
            labels = _strings(record.get(label) or "") if label else []
            return Record(key, text, title, ",".join(labels), _numbers(record))
    return Unreadable(
        str(span.file), place, f"none of the known forms: its keys are {', '.join(map(str, record))[:120]}"
    )


def _numbers(record: Mapping[str, Any]) -> dict[str, Value]:
    """Return a record's own numbers, to be carried as signals."""
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and name != "id" and name not in ours()
    }


def holds_pairs(file: Path) -> bool:
    """Tell whether a text is question-and-answer pairs: two lines each, set apart by blank lines."""
    with open_utf8(Span(file, 0, 0)).stream as stream:
        head = stream.read(50_000).decode("utf-8", "replace").replace("\r\n", "\n")
    blocks = [block for block in re.split(r"\n\s*\n", head)[:-1] if block.strip()]
    return len(blocks) >= 2 and sum(block.strip().count("\n") == 1 for block in blocks) > 0.8 * len(blocks)
