"""Totals, ranking and winner by class, and what ``--check`` warns of. Typed scores are added and sorted, never changed.

In a class stand the candidates that passed the first cut and were not eliminated, with their largest size of that
class: first those placed by hand, in the order written, then the scored by total. Equal totals share a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eval.bilingual import Text
from eval.scorecard.card import Scorecard, Size, SizeClass


@dataclass(frozen=True)
class Ranked:
    """A candidate at its place."""

    place: int
    candidate: str
    size: Size
    total: float | None  # None: it was not scored
    by_hand: Text | None  # the reason, if its place was set by hand


@dataclass(frozen=True)
class Excess:
    """Points above the reference points of their criterion."""

    candidate: str
    criterion: str
    points: float
    reference_points: float


@dataclass(frozen=True)
class Judgement:
    """A scorecard with what follows from it."""

    card: Scorecard
    totals: Mapping[str, float]
    ranking: Mapping[str, tuple[Ranked, ...]]  # class
    excesses: tuple[Excess, ...]
    warnings: tuple[str, ...]

    @property
    def reference_total(self) -> float:
        """The sum of the reference points."""
        return sum(criterion.reference_points or 0 for criterion in self.card.criteria)

    def winner(self, size_class: str) -> str | None:
        """Return the candidate that is first of a class alone; None if there is none, or a tie."""
        first = [ranked.candidate for ranked in self.ranking[size_class] if ranked.place == 1]
        return first[0] if len(first) == 1 else None

    def name(self, candidate: str) -> Text:
        """Return a candidate's name."""
        return self.card.candidates[candidate].name


def judge(card: Scorecard) -> Judgement:
    """Add, rank and check.

    Args:
        card: A scorecard that was read, and so is consistent.
    """
    totals = {who: sum(score.points for score in scores.values()) for who, scores in card.scores.items()}
    ranking = {c.id: _rank(card, c, totals) for c in card.classes}
    excesses = tuple(_excesses(card))
    found = Judgement(card, totals, ranking, excesses, ())
    return Judgement(card, totals, ranking, excesses, tuple(_warnings(found)))


def competing(card: Scorecard, size_class: SizeClass) -> list[str]:
    """Return who competes in a class: selected, not eliminated, with a size of it."""
    return [
        who
        for who, candidate in card.candidates.items()
        if candidate.selected and who not in card.eliminated and card.size_in(who, size_class)
    ]


def _rank(card: Scorecard, size_class: SizeClass, totals: Mapping[str, float]) -> tuple[Ranked, ...]:
    placed = card.placed.get(size_class.id, ())
    by_hand = {one.candidate: one.reason for one in placed}
    scored = [who for who in competing(card, size_class) if who in totals and who not in by_hand]
    out: list[Ranked] = []
    for who in [*by_hand, *sorted(scored, key=lambda who: -totals[who])]:
        size, total = card.size_in(who, size_class), totals.get(who)
        assert size is not None  # the reader checked those placed, ``competing`` the others
        before = out[-1] if out else None
        tied = before is not None and who not in by_hand and before.by_hand is None and before.total == total
        place = before.place if before is not None and tied else len(out) + 1
        out.append(Ranked(place, who, size, total, by_hand.get(who)))
    return tuple(out)


def _excesses(card: Scorecard) -> Iterator[Excess]:
    for who, scores in card.scores.items():
        for criterion in card.criteria:
            most, points = criterion.reference_points, scores[criterion.id].points
            if most is not None and points > most:
                yield Excess(who, criterion.id, points, most)


def _warnings(found: Judgement) -> Iterator[str]:
    card = found.card
    for x in found.excesses:
        yield f"scores.{x.candidate}.{x.criterion}: {x.points:g} exceeds its {x.reference_points:g} reference points"
    for who, scores in card.scores.items():
        for criterion, score in scores.items():
            if score.reason is None:
                yield f"scores.{who}.{criterion}: no reason is given"
        if who in card.eliminated:
            yield f"scores.{who}: scored, though it is eliminated"
        elif not card.candidates[who].selected:
            yield f"scores.{who}: scored, though it is not selected"
    for size_class in card.classes:
        ranked = {one.candidate for one in found.ranking[size_class.id]}
        for who in competing(card, size_class):
            if who not in ranked:
                yield f"{size_class.id}: {who} is neither scored nor placed, so it has no place"
        if ranked and found.winner(size_class.id) is None:
            yield f"{size_class.id}: several candidates share the first place, so it has no winner"
    for who, candidate in card.candidates.items():
        if candidate.selected and who not in card.eliminated and not any(card.size_in(who, c) for c in card.classes):
            yield f"candidates.{who}: selected, but no class holds one of its sizes"
