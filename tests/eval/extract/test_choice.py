"""The letter of a chain of thought: statements in both languages, corrections, bare letters, and what is no answer."""

import pytest

from eval.extract.choice import letter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("让我们一步一步思考。……所以答案是A。", "A"),
        ("答案：B", "B"),
        ("答案为 C", "C"),
        ("答案是：（D）", "D"),
        ("正确答案应该是选项B。", "B"),
        ("综上所述，应选C。", "C"),
        ("因此选择D", "D"),
        ("故选：**B**。", "B"),
        ("所以B项正确。", "B"),
        ("选项A错误，选项B错误，选项D是正确的。", "D"),
        ("Ｂ是正确的，答案是Ｂ", "B"),
        ("答案是A。再检查一遍，不对，答案是C。", "C"),
        ("选A看似合理，但答案是D", "D"),
        ("The answer is (B).", "B"),
        ("So the correct answer is: C", "C"),
        ("Answer: D", "D"),
        ("the best answer is **A**", "A"),
        ("The correct option is C because a is small.", "C"),
        ("Therefore the answer is $\\boxed{\\text{B}}$.", "B"),
        ("Option C is the correct one, as B is false.", "C"),
        ("B", "B"),
        (" (B) 肾上腺素", "B"),
        ("C. because", "C"),
        ("\nA\n", "A"),
        ("It must be B, I think", "B"),  # the one letter in it
    ],
)
def test_what_is_answered(text, expected):
    assert letter(text, "ABCD") == expected


@pytest.mark.parametrize(
    "text",
    ["", "我不知道", "A或B都可能", "答案是A和B", "答案是AB", "The answer is A and C", "正确答案不是A，也不是B", "不选A，B也错", "Because APPLES", "A dog and a B dog"],
)  # fmt: skip
def test_what_is_no_answer(text):
    assert letter(text, "ABCD") is None


def test_only_the_items_letters_count():
    assert letter("答案是E", "ABCDE") == "E"
    assert letter("答案是E", "ABCD") is None
    assert letter("The answer is (J).", "ABCDEFGHIJ") == "J"
