"""What the sources' tests share: read all of a source's input, as a build would."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.sources import Chunk, Source, Span, Unreadable, configure, plan

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@dataclass
class Read:
    """All that a source gave."""

    keys: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    signals: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Chunk) -> None:
        assert all(len(column) == len(chunk.keys) for column in chunk.signals.values())
        self.keys += chunk.keys
        self.texts += chunk.texts
        self.titles += chunk.titles
        self.domains += chunk.domains
        self.signals += [
            {name: column[n] for name, column in chunk.signals.items() if column[n] is not None}
            for n in range(len(chunk.keys))
        ]
        self.unreadable += chunk.unreadable
        for entry in chunk.skipped:
            self.skipped[entry.cause] += entry.count

    @property
    def causes(self) -> list[str]:
        return [entry.cause for entry in self.unreadable]


def read(name: str, path: Path, **options: Any) -> Read:
    source = configure(name, options)
    out = Read()
    for span in plan(source, path):
        for chunk in source.read(span):
            out.add(chunk)
    return out


def read_cut(source: Source, file: Path, cuts: list[int]) -> Read:
    """Read a file in spans that are cut at the given bytes."""
    size = file.stat().st_size
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < size), size]
    out = Read()
    for start, end in zip(edges, edges[1:], strict=False):
        for chunk in source.read(Span(file, start, end, file.parent)):
            out.add(chunk)
    return out
