"""Totals, places, winners and warnings, and figures beside them, on a small file."""

import pytest

from eval.published import Figure, Row
from eval.scorecard.figures import figures
from eval.scorecard.judge import judge
from workbench.errors import ConfigError

SCORE_B = "{points: 2.5, reason: fits}"


def places(found, size_class):
    return [(one.place, one.candidate) for one in found.ranking[size_class]]


def test_the_scored_rank_by_total_and_the_placed_go_first(read):
    found = judge(read())
    assert found.totals == {"a": 5, "b": 3.5}
    assert places(found, "small") == [(1, "a"), (2, "b")]  # c is eliminated, d not selected
    assert places(found, "large") == [(1, "b")]
    assert found.winner("small") == "a"
    assert found.warnings == ()
    found = judge(read(("placed: {", "placed: {small: [{candidate: b, reason: x}], ")))
    assert places(found, "small") == [(1, "b"), (2, "a")]


def test_equal_totals_share_a_place_and_there_is_no_winner(read):
    found = judge(read((SCORE_B, "{points: 4, reason: fits}")))
    assert places(found, "small") == [(1, "a"), (1, "b")]
    assert found.winner("small") is None
    assert found.warnings == ("small: several candidates share the first place, so it has no winner",)


def test_a_score_changes_nothing_but_is_warned_of(read):
    found = judge(read((SCORE_B, "9")))
    assert found.totals["b"] == 10
    assert found.warnings == (
        "scores.b.size: 9 exceeds its 5 reference points",
        "scores.b.size: no reason is given",
    )
    assert [(x.candidate, x.points, x.reference_points) for x in found.excesses] == [("b", 9, 5)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: D, sizes: [8B]", "name: D, sizes: [8B], selected: yes", "small: d is neither scored nor placed"),
        ("below: 10B", "from: 1B, below: 7B", "candidates.a: selected, but no class holds one of its sizes"),
        ("name: A, sizes: [7B], selected: yes", "name: A, sizes: [7B]", "scores.a: scored, though it is not selected"),
        ("candidate: c, rule", "candidate: a, rule", "scores.a: scored, though it is eliminated"),
    ],
)
def test_warnings(read, old, new, said):
    assert any(said in warning for warning in judge(read((old, new))).warnings)


def row(model, value, kind="base", shots=5):
    return Row(model, "own", {"mmlu": Figure(value, kind, shots, "p", "s")})


@pytest.mark.parametrize(
    ("rows", "agrees", "comparable"),
    [
        ((row("A", 60), row("B", 50)), True, True),
        ((row("A", 50), row("B", 60)), False, True),
        ((row("A", 50), row("B", 50)), True, True),
        ((row("A", 50), row("B", 60, kind="chat")), False, False),
        ((row("A", 50), row("B", 60, shots=0)), False, False),
        ((row("A", 60, shots=None), row("B", 50, shots=None)), True, False),
    ],
)
def test_figures_beside_typed_points(read, rows, agrees, comparable):
    changes = [
        ("reference_points: 5", "benchmarks: [mmlu, ceval]"),
        ("sizes: [7B], selected: yes, family", "row: A, sizes: [7B], selected: yes, family"),
        ("sizes: [7B, 70B]", "row: B, sizes: [7B, 70B]"),
    ]
    found = figures(judge(read(*changes)), rows, "card.yaml")
    (rank,) = found.ranks
    assert (rank.size_class, rank.benchmark) == ("small", "mmlu")
    assert rank.typed == {"a": 1, "b": 2}
    assert rank.agrees == agrees
    assert (rank.why_not is None) == comparable


def test_a_row_that_is_not_there_or_twice(read):
    found = judge(read(("sizes: [7B], selected: yes, family", "row: Qwen-27B, sizes: [7B], selected: yes, family")))
    with pytest.raises(ConfigError, match="no row 'Qwen-27B'; did you mean Qwen-72B") as caught:
        figures(found, [row("Qwen-72B", 1)], "card.yaml")
    assert "card.yaml: candidates (a).row" in str(caught.value)
    with pytest.raises(ConfigError, match="2 rows 'Qwen-27B'"):
        figures(found, [row("Qwen-27B", 1), row("Qwen-27B", 2)], "card.yaml")


def test_a_claim_without_figures(read):
    change = ("reason: of 2019", "reason: of 2019, evidence: {benchmarks: [mmlu], below: [a]}")
    (claim,) = figures(judge(read(change)), [], "card.yaml").claims
    assert claim.verdict.en == "no figures"
