"""pass@k against its definition by binomials, against drawing, and at its ends."""

import math
from fractions import Fraction

import numpy as np
import pytest

from eval.passk import pass_at_k


def test_it_is_the_ratio_of_binomials():
    for n in range(1, 30):
        for c in range(n + 1):
            for k in range(1, n + 1):
                exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
                assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-12)


def test_its_ends():
    assert pass_at_k(200, 0, 100) == 0
    assert pass_at_k(200, 200, 1) == 1
    assert pass_at_k(200, 101, 100) == 1  # fewer fail than are drawn
    assert pass_at_k(5, 2, 1) == pytest.approx(0.4)
    assert pass_at_k(100_000, 1, 1) == pytest.approx(1e-5)


def test_large_counts_neither_overflow_nor_cancel():
    exact = 1 - Fraction(math.comb(9_900, 100), math.comb(10_000, 100))
    assert pass_at_k(10_000, 100, 100) == pytest.approx(float(exact), rel=1e-12)


def test_it_is_what_drawing_gives_on_average():
    rng = np.random.default_rng(5)
    passed = np.arange(10) < 3
    drawn = np.mean([rng.permutation(passed)[:4].any() for _ in range(20_000)])
    assert pass_at_k(10, 3, 4) == pytest.approx(drawn, abs=0.015)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 6), (5, 2, 0), (0, 0, 1)])
def test_what_cannot_be_estimated(n, c, k):
    with pytest.raises(ValueError, match=f"pass@{k}"):
        pass_at_k(n, c, k)
