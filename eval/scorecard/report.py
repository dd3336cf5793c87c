"""A judgement as JSON, and as tables on a terminal."""

from __future__ import annotations

from typing import Any

from eval.bilingual import plain
from eval.published import NOT_STATED, Figure
from eval.scorecard.card import Candidate, Fact
from eval.scorecard.figures import Claim, FigureRank, Figures
from eval.scorecard.judge import Judgement, Ranked
from workbench.console import table


def as_dict(found: Judgement, figures: Figures) -> dict[str, Any]:
    """Return the judgement for JSON: criteria, scores, totals, eliminated with reasons, winner by class, and the rest.

    Texts are ``{"en": …, "zh": …}``, equal where the file gives one.
    """
    card = found.card
    return {
        "name": card.name,
        "title": card.title.as_dict(),
        "criteria": [
            {"id": c.id, "name": c.name.as_dict(), "reference_points": c.reference_points} for c in card.criteria
        ],
        "reference_total": found.reference_total,
        "scores": {
            who: {
                name: {"points": score.points, "reason": score.reason and score.reason.as_dict()}
                for name, score in scores.items()
            }
            for who, scores in card.scores.items()
        },
        "totals": dict(found.totals),
        "excesses": [
            {
                "candidate": x.candidate,
                "criterion": x.criterion,
                "points": x.points,
                "reference_points": x.reference_points,
            }
            for x in found.excesses
        ],
        "eliminated": [
            {
                "candidate": gone.candidate,
                "name": found.name(gone.candidate).as_dict(),
                "rule": gone.rule,
                "reason": gone.reason.as_dict(),
                "claims": [_claim(claim) for claim in figures.claims if claim.candidate == gone.candidate],
            }
            for gone in card.eliminated.values()
        ],
        "ranking": {name: [_ranked(found, one) for one in ranked] for name, ranked in found.ranking.items()},
        "winner_by_class": {c.id: found.winner(c.id) for c in card.classes},
        "figures": [_rank(rank) for rank in figures.ranks],
        "candidates": [_candidate(candidate) for candidate in card.candidates.values()],
        "families": {
            f.id: {"name": f.name.as_dict(), "members": [member.as_dict() for member in f.members]}
            for f in card.families
        },
        "warnings": list(found.warnings),
    }


def _ranked(found: Judgement, one: Ranked) -> dict[str, Any]:
    return {
        "place": one.place,
        "candidate": one.candidate,
        "name": found.name(one.candidate).as_dict(),
        "size": one.size.text,
        "by": "points" if one.by_hand is None else "hand",
        "total": one.total,
        "reason": one.by_hand and one.by_hand.as_dict(),
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    shots = NOT_STATED if figure.shots is None else figure.shots
    return {"value": figure.value, "kind": figure.kind or NOT_STATED, "shots": shots, "source": figure.source}


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "benchmark": claim.benchmark,
        "figure": _figure(claim.figure),
        "below": {who: _figure(figure) for who, figure in claim.others.items()},
        "verdict": claim.verdict.as_dict(),
        "not_comparable": claim.why_not and claim.why_not.as_dict(),
    }


def _rank(rank: FigureRank) -> dict[str, Any]:
    return {
        "criterion": rank.criterion,
        "class": rank.size_class,
        "benchmark": rank.benchmark,
        "figures": {who: _figure(figure) for who, figure in rank.figures.items()},
        "ranks": dict(rank.ranks),
        "typed_ranks": dict(rank.typed),
        "agrees": rank.agrees,
        "not_comparable": rank.why_not and rank.why_not.as_dict(),
    }


def _fact(fact: Fact) -> dict[str, Any]:
    if fact.corrected is None or fact.reason is None:
        return {"value": fact.value.as_dict()}
    return {
        "value": fact.value.as_dict(),
        "corrected": fact.corrected.as_dict(),
        "reason": fact.reason.as_dict(),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "name": candidate.name.as_dict(),
        "family": candidate.family,
        "sizes": {"parsed": [size.text for size in candidate.sizes], **_fact(candidate.sizes_cell)},
        "selected": {"holds": candidate.selected, **_fact(candidate.selected_cell)},
        "row": candidate.row,
        "facts": {name: _fact(fact) for name, fact in candidate.facts.items()},
    }


def show(found: Judgement, figures: Figures) -> None:
    """Print the scores, the ranking of each class, the eliminated, and where figures disagree."""
    card = found.card
    scored = list(card.scores)
    rows: list[list[object]] = [
        [plain(c.name.en), c.reference_points, *(card.scores[who][c.id].points for who in scored)]
        for c in card.criteria
    ]
    rows.append(["total", found.reference_total, *(found.totals[who] for who in scored)])
    table(["criterion", "reference", *(_name(found, who) for who in scored)], rows, title=plain(card.title.en))
    for size_class in card.classes:
        ranked = found.ranking[size_class.id]
        lines = [
            (
                one.place,
                _name(found, one.candidate),
                one.size.text,
                _won(found, one, size_class.id),
                one.total,
                _why(one),
            )
            for one in ranked
        ]
        title = f"Class: {plain(size_class.name.en)}" + ("" if lines else " (nobody has a place)")
        table(("place", "candidate", "size", "", "total", "by"), lines, title=title)
    if card.eliminated:
        gone = [
            (_name(found, x.candidate), plain(card.rules[x.rule].en), plain(x.reason.en))
            for x in card.eliminated.values()
        ]
        table(("eliminated", "rule", "reason"), gone, title="Eliminated")
    claims = [
        (_name(found, c.candidate), c.benchmark, c.figure and c.figure.value, _others(found, c), c.verdict.en)
        for c in figures.claims
    ]
    if claims:
        table(("eliminated", "benchmark", "figure", "said to be below", "figures"), claims, title="Claims")
    criteria = {criterion.id: plain(criterion.name.en) for criterion in card.criteria}
    beside = [
        (
            criteria[rank.criterion],
            rank.benchmark,
            *(_rank_text(rank, who) for who in scored),
            "" if rank.agrees else "disagrees",
        )
        for rank in figures.ranks
    ]
    if beside:
        title = "Typed rank → rank by figure (typed scores stand)"
        table(("criterion", "benchmark", *(_name(found, who) for who in scored), ""), beside, title=title)


def _name(found: Judgement, who: str) -> str:
    return plain(found.name(who).en)


def _why(one: Ranked) -> str:
    return "points" if one.by_hand is None else f"hand: {plain(one.by_hand.en)}"


def _won(found: Judgement, one: Ranked, size_class: str) -> str:
    return "winner" if one.candidate == found.winner(size_class) else ""


def _others(found: Judgement, claim: Claim) -> str:
    parts = (f"{_name(found, who)} {'–' if f is None else f'{f.value:g}'}" for who, f in claim.others.items())
    return ", ".join(parts)


def _rank_text(rank: FigureRank, who: str) -> str:
    if who not in rank.figures:
        return "–"
    return f"{rank.typed[who]} → {rank.ranks[who]} ({rank.figures[who].value:g})"
