"""What a scorecard is. Everything a team typed stands here as typed; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.bilingual import Text


@dataclass(frozen=True)
class Criterion:
    """What is scored, and the points that the team (or its source) set beside it."""

    id: str
    name: Text
    reference_points: float | None = None
    benchmarks: tuple[str, ...] = ()  # columns of the published table that this criterion judges by hand


@dataclass(frozen=True)
class Size:
    """A number of parameters, as written."""

    text: str
    parameters: float


@dataclass(frozen=True)
class SizeClass:
    """Candidates that compete with one another: those with a size in [low, high)."""

    id: str
    name: Text
    low: float = 0
    high: float = float("inf")


@dataclass(frozen=True)
class Fact:
    """A cell of the candidates' table; a doubtful one keeps what the source says beside what is right."""

    value: Text
    corrected: Text | None = None
    reason: Text | None = None

    @property
    def now(self) -> Text:
        """What holds."""
        return self.corrected or self.value


@dataclass(frozen=True)
class Family:
    """Models that come from one design."""

    id: str
    name: Text
    members: tuple[Text, ...]


@dataclass(frozen=True)
class Candidate:
    """A model that was looked at, with all its sizes."""

    id: str
    name: Text
    sizes: tuple[Size, ...]
    sizes_cell: Fact
    selected: bool  # passed the first cut
    selected_cell: Fact
    facts: Mapping[str, Fact]
    family: str | None = None
    row: str | None = None  # its row in the published table


@dataclass(frozen=True)
class Evidence:
    """What an elimination claims of benchmark figures; the page sets the figures beside it."""

    benchmarks: tuple[str, ...]
    against: tuple[str, ...]  # candidates that the eliminated one is said to be below


@dataclass(frozen=True)
class Elimination:
    """A candidate that was taken out, by which rule and why. It is typed, not computed."""

    candidate: str
    rule: str
    reason: Text
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Score:
    """Points that were typed, and why."""

    points: float
    reason: Text | None


@dataclass(frozen=True)
class Placed:
    """A candidate that takes its place by hand, before those ranked by points."""

    candidate: str
    reason: Text


@dataclass(frozen=True)
class Scorecard:
    """A whole file."""

    name: str
    title: Text
    about: tuple[Text, ...]
    reference_note: Text | None  # what the reference points are, where that is not plain
    criteria: tuple[Criterion, ...]
    facts: Mapping[str, Text]  # the columns of the candidates' table, in order
    classes: tuple[SizeClass, ...]
    rules: Mapping[str, Text]
    families: tuple[Family, ...]
    candidates: Mapping[str, Candidate]
    eliminated: Mapping[str, Elimination]
    scores: Mapping[str, Mapping[str, Score]]  # candidate, criterion
    placed: Mapping[str, tuple[Placed, ...]]  # class

    def size_in(self, candidate: str, size_class: SizeClass) -> Size | None:
        """Return the largest size with which a candidate competes in a class; None if it has none there."""
        inside = [s for s in self.candidates[candidate].sizes if size_class.low <= s.parameters < size_class.high]
        return max(inside, key=lambda size: size.parameters, default=None)
