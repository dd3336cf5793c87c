"""The sample that people read: written as a table with empty columns for them to fill, and read back.

``sample.csv`` opens in Excel and WPS (UTF-8 with its mark; a cell that would be a formula is made text) and has a row a
document: verdict, category and note are empty. What comes back may be UTF-8 or GB18030, separated by comma, semicolon
or tab, or jsonl; only ``id``, ``verdict`` and ``category`` are read. A verdict is pass or fail, or one of the words
below; an empty one is a document not yet read. Every id must be in the sample, and no verdict is guessed.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import ConfigError, InputError
from workbench.files import atomic_path

COLUMNS = ("number", "verdict", "category", "note", "id", "source", "domain", "bucket", "title", "text")
CELL_CHARS = 30_000  # Excel's cells hold 32,767
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
PASS = frozenset({"pass", "passed", "ok", "yes", "y", "1", "合格", "通过", "√", "✓"})
FAIL = frozenset({"fail", "failed", "no", "n", "0", "不合格", "不通过", "×", "✗", "x"})


def write_sample(path: Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write the table.

    Args:
        path: The csv file.
        documents: In the order of reading: id, source, domain, bucket, title, text.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for number, one in enumerate(documents, 1):
            text = str(one["text"])
            if len(text) > CELL_CHARS:
                text = f"{text[:CELL_CHARS]}…（全文 {len(text):,} 字：corpus show {one['id']}）"
            values = {**one, "number": number, "verdict": "", "category": "", "note": "", "text": text}
            writer.writerow([_inert(values[name]) for name in COLUMNS])


def _inert(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    cell = "" if value is None else str(value).replace("\x00", "")
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def has_verdicts(path: Path) -> bool:
    """Tell whether somebody has begun to fill a table in; what cannot be read is somebody's too."""
    try:
        return any(row["verdict"] for _, row in _rows(path))
    except (InputError, ConfigError):
        return True


def read_verdicts(path: Path, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read the filled table back.

    Args:
        path: A csv or jsonl file.
        ids: The ids of the sample.

    Returns:
        By id: ``verdict`` (pass or fail) and ``category``; documents without a verdict are left out.

    Raises:
        InputError: If the file cannot be read, or a row has an id that is not in the sample or comes twice.
        ConfigError: If a verdict is no word that is known.
    """
    known, seen = set(ids), set()
    out: dict[str, dict[str, str]] = {}
    for place, row in _rows(path):
        name = row["id"]
        if name not in known:
            remedy = "read the sample that corpus audit wrote for this corpus, with the same --seed"
            raise InputError(place, f"{name!r} is not in the sample", remedy)
        if name in seen:
            raise InputError(place, f"{name} comes twice", "keep one verdict a document")
        seen.add(name)
        word = row["verdict"].casefold()
        if not word:
            continue
        if word not in PASS and word not in FAIL:
            raise ConfigError(place, f"{row['verdict']!r} is no verdict", "write pass or fail (合格 or 不合格)")
        out[name] = {"verdict": "pass" if word in PASS else "fail", "category": row["category"]}
    return out


def _rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Return place and the three columns of each row that has an id."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name the filled sample.csv") from error
    text = _decoded(raw, path)
    lines = _json_lines(text, path) if path.suffix in (".jsonl", ".ndjson") else _csv_lines(text, path)
    out = []
    for place, row in lines:
        if not any(str(value or "").strip() for value in row.values()):
            continue
        for name in ("id", "verdict"):
            if name not in row:
                raise InputError(place, f"has no {name}", "keep the columns id and verdict of the sample")
        values = {
            name: str(row.get(name) if row.get(name) is not None else "") for name in ("id", "verdict", "category")
        }
        out.append((place, {name: value.strip().removeprefix("'") for name, value in values.items()}))
    return out


def _decoded(raw: bytes, path: Path) -> str:
    for codec in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    raise InputError(path, "is neither UTF-8 nor GB18030", "save it as CSV UTF-8")


def _csv_lines(text: str, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    if not reader.fieldnames or not {"id", "verdict"} <= set(reader.fieldnames):
        raise InputError(
            path, "its first line does not name the columns id and verdict", "keep the sample's first line"
        )
    for row in reader:
        row.pop(None, None)
        yield f"{path}:{reader.line_num}", row


def _json_lines(text: str, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}:{number}", f"is not JSON ({error})", "write one object a line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}", "is no object", "write one object a line, with id and verdict")
        yield f"{path}:{number}", row


def judged(verdicts: Mapping[str, Mapping[str, str]], sample: Mapping[str, str], min_pass: float) -> dict[str, Any]:
    """Return what people found.

    Args:
        verdicts: Of ``read_verdicts``.
        sample: The source of each id of the sample.
        min_pass: The share that must pass.

    Returns:
        sample, read, failed, pass_rate (None before anything is read), by_source, categories, and state: met, missed
        (also when so many failed that the rest cannot make up for it), or pending.
    """
    read, failed = Counter[str](), Counter[str]()
    categories: dict[str, Counter[str]] = {}
    for name, one in verdicts.items():
        source = sample[name]
        read[source] += 1
        if one["verdict"] == "fail":
            failed[source] += 1
            categories.setdefault(source, Counter())[one["category"] or "?"] += 1
    whole, wrong = read.total(), failed.total()
    if whole == len(sample) and whole:
        state = "met" if (whole - wrong) / whole >= min_pass else "missed"
    else:
        state = "missed" if wrong > (1 - min_pass) * len(sample) + 1e-9 else "pending"
    return {
        "sample": len(sample),
        "read": whole,
        "failed": wrong,
        "pass_rate": (whole - wrong) / whole if whole else None,
        "by_source": {s: {"read": read[s], "failed": failed[s]} for s in sorted(read)},
        "categories": {s: dict(counts.most_common()) for s, counts in sorted(categories.items())},
        "state": state,
    }
