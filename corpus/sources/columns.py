"""Which column of a table or of JSON records is what: named by the user, or guessed among the common names.

Nested values are named with dots (``info.quality_score``). What is left of numbers and short labels is carried along as
signals, under its own name, so that gates can use what the input already knows (ChineseWebText 2.0 brings quality and
toxicity scores). Names of this project's own columns are not carried, and that is told. Cost: 2 µs a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from corpus.sources.base import Record, Value
from workbench.command import did_you_mean
from workbench.errors import InputError

GUESSES: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "raw_content", "article", "body", "document", "passage", "正文", "内容"),
    "id": ("uniqueKey", "id", "_id", "doc_id", "docid", "uuid", "guid", "hexsha", "digest", "url"),
    "title": ("title", "headline", "标题"),
    "domain": ("dataType", "domain", "category", "topic", "分类", "source_domain", "domain.single_label", "source"),
}
LABEL_CHARS = 64  # a text column whose values are all this short is a label
FEW_LABELS = 10  # distinct values that a column may have however few the records are; else at most half as many
SAMPLE_RECORDS = 500  # that a layout is judged by


@cache
def ours() -> frozenset[str]:
    """Return the names of this project's own columns; polars is imported here, where there are columns to name."""
    from corpus.rows import SOURCE, VERDICT

    return frozenset({*SOURCE, *VERDICT, "lang", "bucket"})


@dataclass(frozen=True)
class Layout:
    """Where a record's parts are, and the kinds (``number``, ``label``) of the signals it carries."""

    text: str
    id: str | None
    title: str | None
    domain: str | None
    signals: tuple[tuple[str, str], ...]
    ours: tuple[str, ...] = ()  # columns that are not carried because the name is ours

    def said(self) -> str:
        """Return the layout in one line."""
        named = [f"{part}={name}" for part in GUESSES if (name := getattr(self, part))]
        carried = f"; carried as signals: {', '.join(name for name, _ in self.signals)}" if self.signals else ""
        left = f"; not carried, the names are ours: {', '.join(self.ours)}" if self.ours else ""
        return " ".join(named) + carried + left

    def record(self, value: Mapping[str, Any], place: str, stem: str) -> Record | str:
        """Make a record of a mapping; return why not if it has no text.

        Args:
            value: Column names to values, nested mappings as they are.
            place: The key of a record that has none of its own.
            stem: The file's name; a number that is a record's id counts within its file, so it follows this.
        """
        text = get(value, self.text)
        if not isinstance(text, str):
            return f"no {self.text}" if text is None else f"{self.text} is {type(text).__name__}, not text"
        own = get(value, self.id) if self.id else None
        key = place
        if isinstance(own, str) and own:
            key = own
        elif isinstance(own, int) and not isinstance(own, bool):
            key = f"{stem}#{own}"
        title = get(value, self.title) if self.title else None
        domain = get(value, self.domain) if self.domain else None
        signals = {name: fit(get(value, name), kind) for name, kind in self.signals}
        return Record(key, text, "" if title is None else str(title), _label(domain), signals)


def _label(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def get(value: Mapping[str, Any], name: str) -> Any:
    """Return a column by its name, or by a path of names with dots."""
    if name in value:
        return value[name]
    head, dot, rest = name.partition(".")
    inner = value.get(head) if dot else None
    return get(inner, rest) if isinstance(inner, Mapping) else None


def fit(value: Any, kind: str) -> Value:
    """Return a value as a signal of a kind: a number as float, a label as str; what does not fit is None."""
    if kind == "number":
        return float(value) if isinstance(value, int | float) else None
    return value if isinstance(value, str) else None


def flat_names(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the columns of a record, those of nested mappings with dots."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def lay_out(
    sample: Iterable[Mapping[str, Any]],
    wanted: Mapping[str, str | None],
    place: object,
    kinds: Mapping[str, str] | None = None,
    carry: tuple[str, ...] | None = None,
) -> Layout:
    """Find the parts of records.

    Args:
        sample: The first records.
        wanted: What the user named, of text, id, title and domain.
        place: The file, for the error line.
        kinds: The kinds of columns where a schema tells them; else they are judged by the sample.
        carry: The columns to carry as signals; None means all numbers and labels.

    Raises:
        InputError: If a named column is not there, no text column can be guessed, or a column that shall be carried
            has one of our names.
    """
    seen: dict[str, str] = dict(kinds or {})
    values: dict[str, set[str]] = {}
    records = 0
    for record in sample:
        records += 1
        for name, value in flat_names(record):
            seen[name] = _join(seen.get(name, "empty"), _kind(value))
            if seen[name] == "label" and isinstance(value, str):
                values.setdefault(name, set()).add(value)
    for name, distinct in values.items():
        if len(distinct) > max(FEW_LABELS, records / 2) and name not in (carry or ()):
            seen[name] = "long"  # dates, addresses and names: they do not repeat, so no gate can ask for one
    found: dict[str, str | None] = {}
    for part, guesses in GUESSES.items():
        named = wanted.get(part)
        if named and named not in seen:
            raise InputError(f"{place}: {part}={named}", "no such column", did_you_mean(named, seen))
        taken = set(found.values())
        found[part] = named or next((guess for guess in guesses if guess in seen and guess not in taken), None)
    if found["text"] is None:
        words = f"its columns are {', '.join(sorted(seen)) or 'none'}"
        raise InputError(place, f"no column of text can be guessed ({words})", "name it: text=COLUMN")
    for name in carry or ():
        if name not in seen:
            raise InputError(f"{place}: carry={name}", "no such column", did_you_mean(name, seen))
        if name in ours():
            raise InputError(f"{place}: carry={name}", "the name is one of ours", "rename the column in the input")
        if seen[name] not in ("number", "label"):
            raise InputError(f"{place}: carry={name}", "is neither a number nor a label", "carry another column")
    left = {name: kind for name, kind in seen.items() if kind in ("number", "label")}
    unused = set(left) - set(found.values())
    left = {name: kind for name, kind in left.items() if name in (unused if carry is None else carry)}
    return Layout(
        text=found["text"],
        id=found["id"],
        title=found["title"],
        domain=found["domain"],
        signals=tuple((name, kind) for name, kind in sorted(left.items()) if name not in ours()),
        ours=tuple(sorted(name for name in left if name in ours())),
    )


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "label" if len(value) <= LABEL_CHARS and "\n" not in value else "long"
    return "other"


def _join(one: str, two: str) -> str:
    if "empty" in (one, two):
        return two if one == "empty" else one
    if one == two:
        return one
    return "long" if {one, two} == {"label", "long"} else "other"


def common_signals(layouts: Mapping[str, Layout]) -> dict[str, str]:
    """Return the signals of several files with their kinds.

    Args:
        layouts: File names to layouts.

    Raises:
        InputError: If a column is a number in one file and a label in another.
    """
    out: dict[str, tuple[str, str]] = {}
    for file, layout in layouts.items():
        for name, kind in layout.signals:
            known, first = out.setdefault(name, (kind, file))
            if known != kind:
                raise InputError(f"{file}: {name}", f"is a {kind} here and a {known} in {first}", "make them agree")
    return {name: kind for name, (kind, _) in out.items()}
