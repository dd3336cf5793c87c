from __future__ import annotations

import re

import pytest

from corpus.recipe import load_recipe, shipped
from corpus.report.thresholds import comparisons, thresholds_by_signal, thresholds_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("chars < 20", [("chars", "<", 20, True)]),
        ("20 > chars", [("chars", "<", 20, True)]),
        ("broken_share > 0.05", [("broken_share", ">", 0.05, True)]),
        ("0.5 <= han_share", [("han_share", ">=", 0.5, True)]),
        ("sensitive_score >= 1.5e0", [("sensitive_score", ">=", 1.5, True)]),
        ("quality < -0.5", [("quality", "<", -0.5, True)]),
        ("mean_word_chars < 3 or mean_word_chars > 10",
         [("mean_word_chars", "<", 3, True), ("mean_word_chars", ">", 10, True)]),
        ("repeat_share > 0.5 and chars > 200", [("repeat_share", ">", 0.5, False), ("chars", ">", 200, False)]),
        ("han_share < 0.1 or (han_share < 0.3 and chars < 300)",
         [("han_share", "<", 0.1, True), ("han_share", "<", 0.3, False), ("chars", "<", 300, False)]),
        ("chars not between 3 and 10", [("chars", "<", 3, True), ("chars", ">", 10, True)]),
        ("chars between 3 and 10", [("chars", ">=", 3, False), ("chars", "<=", 10, False)]),
        ("not (chars >= 20)", [("chars", "<", 20, True)]),
        ("not (han_share > 0.35 or chars > 300)", [("han_share", "<=", 0.35, False), ("chars", "<=", 300, False)]),
        ("not (han_share > 0.35 and chars > 300)", [("han_share", "<=", 0.35, True), ("chars", "<=", 300, True)]),
        ("domain not in ('代码', '表') and chars < 5", [("chars", "<", 5, False)]),
        ("lines = 0", [("lines", "=", 0, True)]),
        ("lines <> 1", [("lines", "<>", 1, True)]),
        ("exact_of is not null", []),
        ("lang = 'en'", []),
        ("chars * 2 < 10", []),
        ("coalesce(perplexity, 0) > 1000", []),
        ("han_share < latin_share", []),
    ],
)  # fmt: skip
def test_comparisons_with_a_number_are_found(text: str, found: list[tuple[str, str, float, bool]]) -> None:
    assert comparisons(text) == found


def test_every_form_of_the_shipped_recipes_is_found() -> None:
    """Each signal that a shipped gate compares with a number has a threshold; every other gate asks for null alone."""
    for name in shipped():
        recipe = load_recipe(name)
        found = {(one.condition, one.signal) for one in thresholds_of(recipe)}
        for step in recipe.steps:
            if step.stage.name != "gate":
                continue
            for text in step.stage.reject.values():  # type: ignore[attr-defined]
                compared = set(re.findall(r"(?<!\* )\b([a-z0-9_]+) [<>]=? [0-9]", text))  # a product is no signal
                assert {signal for condition, signal in found if condition == text} == compared, (name, text)
                assert compared or text.endswith("is not null"), (name, text)


def test_zh_web_has_its_numbers() -> None:
    by_signal = thresholds_by_signal(load_recipe("zh-web"))
    assert [(one["op"], one["value"], one["reason"]) for one in by_signal["chars"]] == [
        ("<", 20.0, "short"),
        ("<", 10.0, "short"),
        (">", 100.0, "repetitive"),
        (">", 200.0, "repetitive"),
        (">", 50.0, "phrase"),
        ("<", 1000.0, "symbols"),
    ]
    assert by_signal["near_jaccard"][0]["value"] == 0.8
    assert [(one["op"], one["value"]) for one in by_signal["sensitive_score"]] == [(">=", 1.5), (">=", 0.5)]
