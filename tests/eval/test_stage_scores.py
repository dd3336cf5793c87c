"""Paired differences: their interval is right, and their verdict follows from it and from which way is better."""

import numpy as np
import pytest

from eval.stage_page import stage_page
from eval.stage_scores import Change, change, changes, multiple_choice, wins
from workbench.errors import InputError


def test_the_interval_is_of_the_paired_difference():
    before, after = [(3.0, 1.0), (8.0, 3.0), (4.0, 2.0)], [(2.0, 1.0), (7.0, 3.0), (2.0, 2.0)]
    found = change("held_out_loss", before, after)
    assert (found.before, found.after) == (15 / 6, 11 / 6)
    difference = -4 / 6
    rest = [-1 - difference, -1 - 3 * difference, -2 - 2 * difference]
    half = 1.959964 * (3 / 2 * sum(r * r for r in rest)) ** 0.5 / 6
    assert found.difference == pytest.approx(difference)
    assert (found.low, found.high) == pytest.approx((difference - half, difference + half))


def test_it_covers_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        w = rng.integers(5, 50, 60).astype(float)
        hard = rng.normal(3, 1, 60) * w  # what both models share, and pairing takes away
        x, y = hard + rng.normal(0, 0.1, 60) * w, hard + rng.normal(0.02, 0.1, 60) * w
        found = change("s", list(zip(x, w, strict=True)), list(zip(y, w, strict=True)))
        held += found.low <= 0.02 <= found.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(
    ("score", "low", "high", "verdict"),
    [
        ("bits_per_byte", -0.2, -0.1, "better"),
        ("bits_per_byte", 0.1, 0.2, "worse"),
        ("reward", 0.1, 0.2, "better"),
        ("win_rate", -0.2, -0.1, "worse"),
        ("gold_answer", -0.1, 0.1, "no detectable change"),
        ("gold_answer", None, None, "no data"),
    ],
)
def test_the_verdict(score, low, high, verdict):
    assert Change(score, 9, 0.0, 0.0, 0.0, low, high).verdict == verdict


def test_nothing_changed_and_nothing_to_compare():
    same = [(1.0, 1.0), (2.0, 1.0)]
    assert change("reward", same, same).verdict == "no detectable change"
    assert change("reward", None, same).verdict == "no data"
    assert change("reward", same[:1], same[:1]).verdict == "no data"


def test_wins_count_ties_as_halves():
    found = wins([0.0, 0.0, 1.0, 5.0], [1.0, 0.0, 2.0, 4.0])
    assert found.after == 2.5 / 4
    assert found.verdict == "no detectable change"
    assert wins([0.0] * 30, [1.0] * 30).verdict == "better"
    both = changes({"reward": [(0.0, 1.0)] * 30}, {"reward": [(1.0, 1.0)] * 30})
    assert [one.score for one in both] == ["reward", "win_rate"]


def test_no_multiple_choice_is_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no benchmark"):
        multiple_choice(tmp_path, 5)


def test_the_page_escapes_what_a_model_says():
    page = stage_page({"01-pt": ("预训练", "pre-training")}, {}, ["<b>问</b>"], {"01-pt": ["<script>x</script>"]})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
