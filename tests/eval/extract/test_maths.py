"""MATH's answers: the official rule against lm-eval's copy of it, its known faults, and math-verify's second opinion."""

import contextlib
import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.extract.maths import boxed, is_equiv, math_verify

ANSWERS = [
    "3", "-3", "0.5", ".5", "\\frac12", "\\frac{1}{2}", "\\dfrac{1}{2}", "1/2", "\\tfrac1{72}", "\\frac{3}4", "\\sqrt2", "\\sqrt{2}",
    "2\\sqrt3", "x=3", "x = 3", "xyz=3", "a=b=c", "10\\%", "10", "\\$10", "10\\text{ cm}", "10 \\text{ m} \\text{ x}", "90^\\circ", "90^{\\circ}",
    "\\left(1,2\\right)", "(1,2)", "( 1, 2 )", "1,000", "1000", "1,\\!000", "x/y", "3/4", "-3/4", "3/-4", "03/4", "\\frac", "\\frac1", "\\sqrt",
    "\\sqrt\\sqrt2", "\\frac\\frac12", "", " ", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\text{Evelyn}", "Evelyn", "1 .5", "{.5}", "\\frac{1", "5\n", "1/2/3",
]  # fmt: skip
PIECES = [
    "1",
    "2",
    "0.5",
    ".5",
    "x",
    "=",
    "/",
    "\\frac",
    "\\dfrac",
    "\\sqrt",
    "{",
    "}",
    " ",
    "\\text{ cm}",
    "\\left",
    "^\\circ",
    "\\%",
    "\\$",
    "\\\\",
    "\\!",
    ",",
]


def theirs(a, b):
    utils = pytest.importorskip("lm_eval.tasks.hendrycks_math.utils")
    with contextlib.redirect_stdout(io.StringIO()):
        return utils.is_equiv(a, b)


def test_the_official_rule_on_every_pair():
    for a in ANSWERS:
        for b in ANSWERS:
            assert is_equiv(a, b) == theirs(a, b), (a, b)


pieces = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@given(pieces, pieces)
def test_the_official_rule_on_any_pieces(a, b):
    assert is_equiv(a, b) == theirs(a, b)


@given(pieces)
def test_the_official_rule_on_what_it_makes_of_one(text):
    utils = pytest.importorskip("lm_eval.tasks.hendrycks_math.utils")
    try:
        normal = utils.strip_string(text)
    except (IndexError, ValueError, AssertionError):  # what it cannot normalise
        return
    assert is_equiv(text, normal) == theirs(text, normal)


def test_its_faults_and_the_second_opinion():
    for a, b in (("\\sqrt{8}", "2\\sqrt{2}"), ("1,000", "1000"), ("\\text{Evelyn}", "Evelyn")):
        assert not is_equiv(a, b)
        pytest.importorskip("math_verify")
        assert math_verify(a, b)
    assert not math_verify("3", "4")
    assert not math_verify("(3,4)", "(4,3)")
    assert not math_verify(None, "4")
    assert not is_equiv(None, "4")
    assert not is_equiv(None, None)


def test_the_second_opinion_in_a_thread():
    pytest.importorskip("math_verify")
    found = []
    thread = threading.Thread(target=lambda: found.append(math_verify("\\frac{2}{4}", "0.5")))
    thread.start()
    thread.join()
    assert found == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("first \\boxed{1}, then \\boxed{2}", "2"),
        ("$\\fbox{3}$", "3"),
        ("$\\boxed 7$ it is", "7"),
        ("\\boxed{never {closed}", None),
        ("Final Answer: The final answer is $[2,5)$. I hope it is correct.", "[2,5)"),
        ("the final answer is 12.\nProblem: next", "12"),
        ("The final answer is $3$ or $4$. I hope it is correct.", "3$ or $4"),
        ("\\boxed{24}.\nFinal Answer: The final answer is $25$. I hope it is correct.", "24"),
        ("nothing", None),
    ],
)
def test_the_last_box_or_the_final_answer(text, expected):
    assert boxed(text) == expected


def test_the_box_is_lm_evals():
    utils = pytest.importorskip("lm_eval.tasks.hendrycks_math.utils")
    for text in ("a \\boxed{1} b \\boxed{\\sqrt{2}} c", "$\\boxed 7$ x", "\\boxed{\\text{a {b} c}}"):
        assert boxed(text) == utils.remove_boxed(utils.last_boxed_only_string(text))


def test_every_gold_answer_of_math500_is_its_own_equal(shared, tmp_path):
    import json
    import subprocess

    subprocess.run(["tar", "-xJf", shared / "benchmarks/math500.tar.xz", "-C", tmp_path], check=True)
    (file,) = tmp_path.rglob("math500.jsonl")
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 500
    assert all(is_equiv(boxed(r["solution"]), r["answer"]) for r in records)
