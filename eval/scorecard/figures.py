"""What benchmark figures say of a scorecard: the rank they give beside typed points, and an elimination's claim.

Typed scores stand. Beside them goes, for each benchmark on which two scored candidates of a class have figures, the
rank by figure, and whether the two orders agree. Figures of another kind, or with other or unstated shots, are ranked
all the same and marked as not comparable: that is what a team has to argue over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from eval.bilingual import Text
from eval.published import Figure, Row
from eval.scorecard.card import Scorecard
from eval.scorecard.judge import Judgement
from workbench.command import did_you_mean
from workbench.errors import ConfigError


@dataclass(frozen=True)
class FigureRank:
    """One benchmark's order of the scored candidates of a class, beside a criterion's typed order."""

    criterion: str
    size_class: str
    benchmark: str
    figures: Mapping[str, Figure]  # candidate
    ranks: Mapping[str, int]  # by figure
    typed: Mapping[str, int]  # by points
    why_not: Text | None  # why the figures are not comparable with one another

    @property
    def agrees(self) -> bool:
        """Whether no pair stands the other way round."""
        pairs = combinations(self.ranks, 2)
        return all((self.ranks[a] - self.ranks[b]) * (self.typed[a] - self.typed[b]) >= 0 for a, b in pairs)


@dataclass(frozen=True)
class Claim:
    """An elimination's claim to be below others, on one benchmark."""

    candidate: str
    benchmark: str
    figure: Figure | None
    others: Mapping[str, Figure | None]

    @property
    def why_not(self) -> Text | None:
        """Why its figures are not comparable with one another; None if they are."""
        return _why_not([figure for figure in (self.figure, *self.others.values()) if figure is not None])

    @property
    def verdict(self) -> Text:
        """Whether the figures bear the claim out: below all that have one, or not."""
        known = [other.value for other in self.others.values() if other is not None]
        if self.figure is None or not known:
            return Text("no figures", "无分数")
        above = sum(self.figure.value >= value for value in known)
        return Text("contradicts it", "与之矛盾") if above else Text("bears it out", "相符")


@dataclass(frozen=True)
class Figures:
    """All that the table says of a scorecard."""

    ranks: tuple[FigureRank, ...]
    claims: tuple[Claim, ...]


def figures(found: Judgement, rows: Sequence[Row], file: str) -> Figures:
    """Set benchmark figures beside a judgement.

    Args:
        found: The judgement.
        rows: Published rows and own ones.
        file: The scorecard's file, for errors.

    Raises:
        ConfigError: If a candidate names a row that is not there, or that is there twice.
    """
    of = {who: _row(found.card, who, rows, file) for who in found.card.candidates}
    return Figures(tuple(_ranks(found, of)), tuple(_claims(found.card, of)))


def _row(card: Scorecard, who: str, rows: Sequence[Row], file: str) -> Mapping[str, Figure]:
    wanted = card.candidates[who].row
    if wanted is None:
        return {}
    place = f"{Path(file)}: candidates ({who}).row"
    there = [row for row in rows if row.model == wanted]
    if not there:
        known = did_you_mean(wanted, {row.model for row in rows})
        raise ConfigError(place, f"the table has no row {wanted!r}", known)
    if len(there) > 1:
        raise ConfigError(place, f"the table has {len(there)} rows {wanted!r}", "give your own run another model name")
    return there[0].figures


def _ranks(found: Judgement, of: Mapping[str, Mapping[str, Figure]]) -> Iterator[FigureRank]:
    for criterion in found.card.criteria:
        for size_class, ranked in found.ranking.items():
            scored = [one.candidate for one in ranked if one.candidate in found.card.scores]
            for benchmark in criterion.benchmarks:
                here = {who: of[who][benchmark] for who in scored if benchmark in of[who]}
                if len(here) > 1:
                    points = {who: found.card.scores[who][criterion.id].points for who in here}
                    values = {who: figure.value for who, figure in here.items()}
                    order, typed = _order(values), _order(points)
                    yield FigureRank(
                        criterion.id, size_class, benchmark, here, order, typed, _why_not(list(here.values()))
                    )


def _order(values: Mapping[str, float]) -> dict[str, int]:
    """Return the rank of each, 1 for the highest; equal values share it."""
    return {who: 1 + sum(other > value for other in values.values()) for who, value in values.items()}


def _why_not(here: Sequence[Figure]) -> Text | None:
    kinds, shots = {figure.kind for figure in here}, {figure.shots for figure in here}
    if None in kinds or None in shots:
        return Text("kind or shots not stated for all", "类别或样例数未全部注明")
    if len(kinds) > 1 or len(shots) > 1:
        return Text("of different kind or shots", "类别或样例数不同")
    if any(figure.differs for figure in here):
        return Text("not of all items in the column's format", "并非全部题目或题式不同")
    return None


def _claims(card: Scorecard, of: Mapping[str, Mapping[str, Figure]]) -> Iterator[Claim]:
    for gone in card.eliminated.values():
        if gone.evidence is not None:
            for benchmark in gone.evidence.benchmarks:
                others = {who: of[who].get(benchmark) for who in gone.evidence.against}
                yield Claim(gone.candidate, benchmark, of[gone.candidate].get(benchmark), others)
