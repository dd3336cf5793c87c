import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.schedule import Name, OptimSettings, share_of_peak


def share(step, steps, **settings):
    return share_of_peak(step, steps, OptimSettings(**settings))


def test_warm_up_is_linear_and_begins_above_zero():
    assert [share(s, 100, warmup=4) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_cosine_by_hand():
    # 10 steps of warm-up, then 90: the half of them is step 54
    assert share(54, 100, warmup=10, min_lr_share=0.1) == pytest.approx(0.55)
    assert share(99, 100, warmup=10, min_lr_share=0.1) == pytest.approx(0.1)
    assert share(9 + 30, 100, warmup=10, min_lr_share=0) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def test_wsd_holds_then_decays_to_the_floor():
    settings = {"schedule": "wsd", "warmup": 0, "decay_share": 0.2, "min_lr_share": 0.05}
    assert share(79, 100, **settings) == 1.0
    assert share(89, 100, **settings) == pytest.approx(1 - 0.95 / 2)
    assert share(99, 100, **settings) == pytest.approx(0.05)


def test_constant_and_no_warm_up():
    assert share(0, 10, schedule="constant", warmup=0) == 1.0
    assert share(9, 10, schedule="constant", warmup=0) == 1.0


@given(
    st.sampled_from(get_args(Name)),
    st.integers(1, 300),
    st.integers(0, 400),
    st.floats(0, 1),
    st.floats(0.01, 1),
)
def test_never_above_the_peak_nor_below_the_floor_after_warm_up(schedule, steps, warmup, floor, decay):
    settings = OptimSettings(schedule=schedule, warmup=warmup, min_lr_share=floor, decay_share=decay)
    rates = [share_of_peak(step, steps, settings) for step in range(steps)]
    assert all(0 < rate <= 1 + 1e-12 for rate in rates[:warmup])
    assert all(floor - 1e-9 <= rate <= 1 + 1e-9 for rate in rates[warmup:])
    assert all(a >= b - 1e-9 for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
