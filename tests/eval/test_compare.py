"""Paired comparison: against plain resampling and scipy, on simulated runs, and what is said of items not shared."""

import dataclasses

import numpy as np
import pytest

from eval.compare import _resample, compare, mcnemar
from eval.samples import Sample, line_of
from workbench.errors import InputError


def sample(task, number, correct, **changes):
    base = Sample(task, f"{task}/s/test/{number}", "s", "test", 5, "official", "mc", "q", "A", correct)
    return dataclasses.replace(base, **changes)


def run(folder, **tasks):
    folder.mkdir()
    for task, samples in tasks.items():
        (folder / f"samples-{task}.jsonl").write_text("".join(f"{line_of(s)}\n" for s in samples), encoding="utf-8")
    return folder


def verdicts(task, values, **changes):
    return [sample(task, number, float(value), **changes) for number, value in enumerate(values)]


def test_the_same_run_twice_differs_by_nothing(tmp_path):
    values = [1, 0, 1, 1]
    found = compare(
        run(tmp_path / "a", mmlu=verdicts("mmlu", values)), run(tmp_path / "b", mmlu=verdicts("mmlu", values))
    )
    (task,) = found.tasks
    assert (task.n, task.first, task.second, task.difference, task.low, task.high, task.p) == (4, 75, 75, 0, 0, 0, 1)
    assert (task.mcnemar.only_first, task.mcnemar.only_second, task.mcnemar.p) == (0, 0, 1)
    assert found.together == ()


def test_the_resamples_are_those_of_drawing_items():
    rng = np.random.default_rng(1)
    differences = rng.choice([-1, 0, 0, 0, 0.5, 1, 1], size=300)
    plain = np.array([rng.choice(differences, size=300).mean() for _ in range(20_000)])
    ours = _resample(differences, 20_000, np.random.default_rng(2))
    assert ours.mean() == pytest.approx(differences.mean(), abs=0.002)
    assert np.quantile(ours, (0.025, 0.5, 0.975)) == pytest.approx(np.quantile(plain, (0.025, 0.5, 0.975)), abs=0.01)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, hits = np.random.default_rng(3), 0
    for trial in range(400):
        differences = rng.choice([-1, 0, 1], p=(0.1, 0.7, 0.2), size=200)
        low, high = np.quantile(_resample(differences, 1000, np.random.default_rng(trial)), (0.025, 0.975))
        hits += low <= 0.1 <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_real_difference_is_found_and_a_chance_one_is_not(tmp_path):
    rng = np.random.default_rng(4)
    first = rng.random(500) < 0.5
    better = first | (rng.random(500) < 0.15)
    noise = np.where(rng.random(500) < 0.1, ~first, first)
    a = run(tmp_path / "a", mmlu=verdicts("mmlu", first))
    (real,) = compare(a, run(tmp_path / "b", mmlu=verdicts("mmlu", better))).tasks
    assert real.low > 0
    assert real.p < 0.001
    assert real.mcnemar.p < 0.001
    assert real.difference == pytest.approx(real.second - real.first)
    (chance,) = compare(a, run(tmp_path / "c", mmlu=verdicts("mmlu", noise))).tasks
    assert chance.low < 0 < chance.high
    assert chance.p > 0.05
    assert chance.mcnemar.p > 0.05
    (back,) = compare(tmp_path / "b", a).tasks
    assert (back.difference, back.mcnemar.p) == (-real.difference, real.mcnemar.p)


def test_mcnemar_is_the_binomial_test():
    stats = pytest.importorskip("scipy.stats")
    for b, c in ((0, 0), (1, 0), (3, 9), (20, 20), (7, 31), (400, 460)):
        exact = stats.binomtest(b, b + c).pvalue if b + c else 1.0
        assert mcnemar(b, c).p == pytest.approx(exact)


def test_together_weighs_items_or_tasks(tmp_path):
    a = run(tmp_path / "a", bbh=verdicts("bbh", [0] * 30), mmlu=verdicts("mmlu", [0] * 10))
    b = run(tmp_path / "b", bbh=verdicts("bbh", [0] * 30), mmlu=verdicts("mmlu", [1] * 10))
    found = compare(a, b)
    assert [task.name for task in found.tasks] == ["bbh", "mmlu"]
    items, means = found.together
    assert (items.name, items.n, items.first, items.second, items.difference) == ("all items", 40, 0, 25, 25)
    assert (means.name, means.difference, means.mcnemar) == ("mean of tasks", 50, None)
    assert (items.mcnemar.only_first, items.mcnemar.only_second) == (0, 10)


def test_shares_of_programs_have_no_mcnemar(tmp_path):
    a = run(tmp_path / "a", mbpp=verdicts("mbpp", [0.1, 0.5, 1], format="generate"))
    b = run(tmp_path / "b", mbpp=verdicts("mbpp", [0.2, 0.5, 1], format="generate"))
    (task,) = compare(a, b).tasks
    assert task.mcnemar is None
    assert task.difference == pytest.approx(100 * 0.1 / 3)


def test_what_is_not_shared_is_told(tmp_path):
    first = [*verdicts("mmlu", [1, 0, 1]), sample("mmlu", 8, 1.0), sample("mmlu", 9, 1.0, gold="B")]
    second = [
        *verdicts("mmlu", [1, 1, 1], shots=0, protocol="lm-eval"),
        sample("mmlu", 9, 1.0),
        sample("mmlu", 10, 1.0),
        sample("mmlu", 11, 1.0),
    ]
    found = compare(
        run(tmp_path / "a", mmlu=first, bbh=verdicts("bbh", [1])),
        run(tmp_path / "b", mmlu=second, gsm8k=verdicts("gsm8k", [1])),
    )
    (task,) = found.tasks
    assert (task.n, task.only_in_first, task.only_in_second, task.other_gold) == (3, 1, 2, 1)
    assert task.settings == ("protocol official | lm-eval", "shots 5 | 0")
    assert (found.only_in_first, found.only_in_second) == (("bbh",), ("gsm8k",))


def test_equal_seeds_give_equal_figures(tmp_path):
    rng = np.random.default_rng(6)
    a = run(tmp_path / "a", mmlu=verdicts("mmlu", rng.random(60) < 0.5))
    b = run(tmp_path / "b", mmlu=verdicts("mmlu", rng.random(60) < 0.6))
    assert compare(a, b, seed=1) == compare(a, b, seed=1)
    assert compare(a, b, seed=1).tasks[0].p != compare(a, b, seed=2, draws=999).tasks[0].p


def test_runs_that_cannot_be_compared(tmp_path):
    a = run(tmp_path / "a", mmlu=verdicts("mmlu", [1]))
    for other, said in (
        (tmp_path / "nowhere", "holds no samples-*.jsonl"),
        (run(tmp_path / "b", bbh=verdicts("bbh", [1])), "has no item in common with"),
        (run(tmp_path / "c", mmlu=verdicts("mmlu", [1, 1])[:1] * 2), "has mmlu/s/test/0 twice"),
    ):
        with pytest.raises(InputError) as caught:
            compare(a, other)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
