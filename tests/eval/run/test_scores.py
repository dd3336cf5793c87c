"""Means, errors, limits and the exemplars that are left out, on numbers worked out by hand."""

import math
from dataclasses import replace

import pytest

from corpus.sources.benchmarks import Item
from eval.answer import by_letter, by_text
from eval.plan import fit, portions, shares
from eval.scores import bits_per_byte, mean
from eval.tasks.base import Prompt, Question


def question(number=0, head="H", shots=("1", "22", "3"), **more):
    item = Item("mmlu", "s", "test", number, "q", ("一", "two words"), "B")
    return Question(item, "s", Prompt(head, shots, "Q"), "B", **more)


def test_micro_weights_by_size_and_macro_does_not():
    groups, sizes = {"a": [1.0, 1.0, 0.0, 0.0], "b": [1.0, 1.0]}, {"a": 4, "b": 2}
    micro, macro = mean(groups, sizes), mean(groups, sizes, by_subject=True)
    assert micro.value == pytest.approx(4 / 6)
    assert macro.value == pytest.approx(0.75)
    assert micro.stderr == pytest.approx(math.sqrt((4 / 6 * 2 / 6) * 6 / 5 / 6))  # lm-eval's error of a mean
    assert macro.stderr == pytest.approx(math.sqrt(0.25 * (1 / 3) / 4))
    assert micro.limit_stderr == macro.limit_stderr == 0


def test_a_limited_run_weights_each_subject_by_its_whole_size():
    groups, sizes = {"a": [1.0, 0.0], "b": [1.0, 1.0]}, {"a": 300, "b": 100}
    found = mean(groups, sizes)
    assert found.value == pytest.approx(0.75 * 0.5 + 0.25 * 1)
    assert found.stderr == pytest.approx(math.sqrt(0.75**2 * 0.5 / 2))
    assert 0 < found.limit_stderr < found.stderr
    alone = mean({"a": [1.0], "b": [0.0]}, sizes)
    assert alone.stderr > 0  # of one item a subject the spread of all stands in
    assert mean({"a": [0.0] * 20}, {"a": 300}).stderr == pytest.approx(math.sqrt(1 / 22 * 21 / 22 / 20))
    assert mean({"a": [0.0] * 20}, {"a": 20}).stderr == 0


def test_the_error_of_a_limit_is_what_limits_do():
    """Drawn again and again, limited estimates spread about the whole's value as their error says."""
    import random

    rnd = random.Random(0)
    whole = {s: [float(rnd.random() < p) for _ in range(60)] for s, p in (("a", 0.2), ("b", 0.5), ("c", 0.8))}
    sizes = {s: len(v) for s, v in whole.items()}
    true = mean(whole, sizes).value
    runs = [mean({s: rnd.sample(v, 15) for s, v in whole.items()}, sizes) for _ in range(400)]
    spread = math.sqrt(sum((one.value - true) ** 2 for one in runs) / len(runs))
    said = sum(one.limit_stderr for one in runs) / len(runs)
    assert said == pytest.approx(spread, rel=0.15)


def test_a_limit_is_shared_by_size():
    sizes = {"a": 100, "b": 50, "c": 1}
    assert shares(sizes, 30) == {"a": 19, "b": 10, "c": 1}
    assert sum(shares(sizes, 7).values()) == 7
    assert shares(sizes, 2) == {"a": 1, "b": 1, "c": 0}
    assert shares(sizes, 151) == sizes
    for limit in range(1, 151):
        found = shares(sizes, limit)
        assert sum(found.values()) == limit
        assert all(found[key] <= sizes[key] for key in sizes)


def test_whole_exemplars_are_left_out_by_the_protocols_rule():
    long = question(shots=("a" * 30, "b" * 60, "c" * 40), choices=(" A", " B"))
    kept, dropped = fit(long, len, 130)
    assert (kept.prompt.shots, dropped) == (("a" * 30, "b" * 60), 1)
    kept, dropped = fit(replace(long, drop_longest=True), len, 130)
    assert (kept.prompt.shots, dropped) == (("a" * 30, "c" * 40), 1)
    assert fit(long, len, 20)[1] == 3
    assert fit(long, len, 4096) == (long, 0)
    text = replace(long, choices=(), max_tokens=1000)
    assert fit(text, len, 300)[1] == 0  # an answer takes at most half of a context
    assert fit(text, len, 200)[1] > 0


def test_portions_keep_one_beginning_together_and_fill_the_slots():
    def texts(head, count):
        return [question(n, head, choices=(), max_tokens=5) for n in range(count)]

    sizes = [len(one) for one in portions(texts("a", 70) + texts("b", 3) + texts("c", 6), 8)]
    assert sizes == [32, 32, 6, 9]
    assert [len(one) for one in portions([question(n, choices=("x",)) for n in range(600)], 8)] == [256, 256, 88]


def test_letters_and_texts_are_judged():
    asked = question(choices=(" 一", " two words"))
    assert by_letter(asked, [-1.0, -0.5]).correct == 1
    assert by_letter(asked, [-0.5, -0.5]).extracted == ("A",)
    found = by_text(asked, [-2.0, -3.0])  # a byte: -0.5 and -0.3; in sum the first is likelier
    assert found.correct == 1
    assert found.verdicts == {"by_sum": 0.0, "gold_bits": pytest.approx(3 / math.log(2)), "gold_bytes": 10}
    assert bits_per_byte([]) is None
