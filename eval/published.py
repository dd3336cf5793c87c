"""Published benchmark figures: each with kind (base or chat), shots, protocol and source. They are data, in YAML.

``published()`` reads the eighteen rows that come with the package (40 ms): fourteen of Qwen's README; DeepSeek 67B
Chat, TigerBot and Yuan-2.0 as a selection of 2023 quotes them; and DeepSeek 67B Base, added. What a source does not
state is None here and reads "not stated" wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eval.bilingual import Text
from eval.checked import Checked, unique

SHIPPED = Path(__file__).parent / "data" / "published.yaml"
KINDS = ("base", "chat")
NOT_STATED = "not stated"
Origin = Literal["published", "added", "own"]


@dataclass(frozen=True)
class Benchmark:
    """A column: its name, and the shots that its header states."""

    id: str
    name: str
    shots: int


@dataclass(frozen=True)
class Source:
    """Where figures come from, and whether they were compared with it."""

    id: str
    title: str
    address: str
    checked: Text


@dataclass(frozen=True)
class Figure:
    """A model's score on a benchmark, in percent, and how it was taken."""

    value: float
    kind: str | None  # base or chat; None: not stated
    shots: int | None  # None: not stated
    protocol: str
    source: str
    items: int | None = None  # how many items were scored, if that is known
    stderr: float | None = None  # in percent
    split: str | None = None
    differs: tuple[Text, ...] = ()  # what else sets it apart from the column: part of the items, another format


@dataclass(frozen=True)
class Row:
    """A model's figures by benchmark id; a benchmark without a figure is absent."""

    model: str
    origin: Origin
    figures: Mapping[str, Figure]
    note: Text | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of its figures, each once."""
        return tuple(dict.fromkeys(figure.kind or NOT_STATED for figure in self.figures.values()))

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the sources of its figures, each once."""
        return tuple(dict.fromkeys(figure.source for figure in self.figures.values()))


@dataclass(frozen=True)
class Published:
    """The columns, the rows, and what their sources and protocols are."""

    benchmarks: tuple[Benchmark, ...]
    rows: tuple[Row, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)
    protocols: Mapping[str, Text] = field(default_factory=dict)


def published(path: Path = SHIPPED) -> Published:
    """Return the published rows.

    Args:
        path: A file of the form of ``data/published.yaml``.

    Raises:
        ConfigError: If a row names a benchmark, kind, protocol or source that is not there, or a figure is no percent.
    """
    root = Checked.root(path)
    columns, sources = root.entries("benchmarks"), root.entries("sources")
    protocols = root.entries("protocols")
    for entries in (columns, sources, protocols):
        unique(entries)
    benchmarks = tuple(_benchmark(entry) for entry in columns)
    known_sources = {source.id: source for source in map(_source, sources)}
    known_protocols = {entry.text("id"): entry.words("about") for entry in protocols}
    for entry in protocols:
        entry.done()
    rows = root.entries("rows", named="model")
    unique(rows, "model")
    found = tuple(_row(entry, benchmarks, known_sources, known_protocols) for entry in rows)
    root.done()
    return Published(benchmarks, found, known_sources, known_protocols)


def _benchmark(entry: Checked) -> Benchmark:
    shots = entry.whole("shots")
    if shots is None:
        entry.fail("shots", "is missing", "write the shots of the header")
    found = Benchmark(entry.text("id"), entry.text("name"), shots)
    entry.done()
    return found


def _source(entry: Checked) -> Source:
    found = Source(entry.text("id"), entry.text("title"), entry.text("address"), entry.words("checked"))
    entry.done()
    return found


def _row(
    entry: Checked, benchmarks: tuple[Benchmark, ...], sources: Mapping[str, Any], protocols: Mapping[str, Any]
) -> Row:
    kind, by_header = entry.choice("kind", KINDS), entry.has("shots") and bool(entry.choice("shots", ("header",)))
    protocol, source = entry.choice("protocol", protocols), entry.choice("source", sources)
    figures = entry.inner("figures")
    figures.only([benchmark.id for benchmark in benchmarks])
    found: dict[str, Figure] = {}
    for benchmark in benchmarks:
        if not figures.has(benchmark.id):
            continue
        raw, shots = figures.raw(benchmark.id, "write a figure"), benchmark.shots if by_header else None
        if isinstance(raw, dict):
            cell = figures.inner(benchmark.id)
            value, own = cell.number("value", 0, 100), cell.whole("shots")
            cell.done()
            shots = shots if own is None else own
        else:
            value = figures.as_number(benchmark.id, raw, 0, 100)
        found[benchmark.id] = Figure(float(value), kind, shots, protocol, source)
    origin: Origin = "added" if entry.flag("added", default=False) else "published"
    row = Row(entry.text("model"), origin, found, entry.words("note") if entry.has("note") else None)
    entry.done()
    return row
