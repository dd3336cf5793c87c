"""GSM8K's number, beside the filters of lm-eval that papers' numbers were made with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.extract import gsm8k

TEXTS = [
    "He has 3 + 4 = 7 eggs. The answer is 7.\n\nQ: next",
    "It costs $1,234. The answer is 1,234.",
    "The answer is -3.\nQ: What? The answer is 9.",
    "x\n#### 72",
    "x\n#### 1,000.5",
    "no number here",
    "",
    "about 12 apples or 13",
    "$18.00 in all",
    "it is 5-3",
    "3.",
]


def test_where_the_exemplars_put_it():
    assert [gsm8k.strict(text) for text in TEXTS[:6]] == ["7", "1234", "-3", "72", "1000.5", None]
    assert gsm8k.strict("The answer is 12") == "12"
    assert gsm8k.strict("The answer is $12.") == "12"
    assert gsm8k.strict("The answer is about 12.") is None
    assert gsm8k.flexible("The answer is about 12.") == "12"
    assert gsm8k.flexible("none") is None


def test_equality_is_of_letters_without_signs():
    assert gsm8k.equal("1,000", "so 1000\n#### 1000")
    assert gsm8k.equal("$5.", "5")
    assert not gsm8k.equal("18.00", "18")
    assert not gsm8k.equal(None, "5")


def ignoring(text):
    """lm-eval's exact_match with the task's regexes_to_ignore."""
    import re

    for pattern in (",", r"\$", "(?s).*#### ", r"\.$"):
        text = re.sub(pattern, "", text)
    return text


def filters():
    extraction = pytest.importorskip("lm_eval.filters.extraction")
    strict = extraction.RegexFilter(r"#### (\-?[0-9\.\,]+)")
    cot = extraction.RegexFilter(r"The answer is (\-?[0-9\.\,]+).")
    flexible = extraction.RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)
    return [lambda text, f=f: f.apply([[text]], [{}])[0][0] for f in (strict, cot, flexible)]


def test_the_same_as_lm_evals_filters():
    strict, cot, flexible = filters()
    for text in TEXTS:
        theirs = flexible(text)
        assert gsm8k.flexible(text) == (None if theirs == "[invalid]" else ignoring(theirs)), text
        named = [found for found in (strict(text), cot(text)) if found != "[invalid]"]
        assert gsm8k.strict(text) == (ignoring(named[0]) if named else None), text


@given(
    st.lists(st.sampled_from(["1", "23", "4,567", "$8", ".5", "-", " ", "a", "\n", "x 9."]), max_size=8).map("".join)
)
def test_flexible_is_lm_evals_everywhere(text):
    theirs = filters()[2](text)
    assert gsm8k.flexible(text) == (None if theirs == "[invalid]" else ignoring(theirs))
