"""The letter that a chain of thought settles on, in Chinese or English.

Statements are looked for in an order of how plainly they state the answer (``答案是A``, ``the answer is (B)``, ``选C``,
``D是正确的``); of the plainest kind that is there the last one counts, since a chain of thought may correct itself. A
text that is a letter (``B``, ``(B) …``, ``B. …``), or has one letter in it alone, answers with it. Two letters without
a statement are no answer. The phrases are those of C-Eval's published evaluator and of MMLU's prompts.
"""

from __future__ import annotations

import functools
import re

_FULL_WIDTH = str.maketrans(
    "ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ（）［］．：", "ABCDEFGHIJKLMNOPQRSTUVWXYZ()[].:"
)
# LETTER stands for one of the letters, however it is dressed
_STATEMENTS = (
    r"(?:答案|正确的?选项)\s*(?:应该|应当|应|就)?\s*(?:是|为|选择|选)?\s*[:\s]*(?:选项)?\s*LETTER(?!\s*(?:、|和|与|或))",
    r"(?i:answer|(?:correct|right|best) (?:option|choice))(?:\s+(?i:is|should be|would be|must be))?\s*[:\s]*"
    r"(?i:option|choice)?\s*LETTER(?!\s+(?i:and|or)\b)",
    r"(?<!不)(?<!不应)(?<!不能)选择?\s*[:\s]*(?:选项)?\s*LETTER(?!\s*(?:、|和|与|或))",
    r"LETTER\s*(?:项|选项)?\s*(?:是|为)?\s*(?:正确|对的)",
    r"LETTER\s+(?i:is (?:the )?(?:correct|right|best))",
)
_DRESS_BEFORE, _DRESS_AFTER = r"(?:\*\*|\$|\\boxed\{|\\text\{|[(\[“\"'`])*", r"(?![A-Za-z0-9])"


@functools.cache
def _patterns(letters: str) -> tuple[re.Pattern[str], ...]:
    letter = rf"{_DRESS_BEFORE}([{re.escape(letters)}]){_DRESS_AFTER}"
    return tuple(re.compile(statement.replace("LETTER", letter)) for statement in _STATEMENTS)


@functools.cache
def _bare(letters: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    group = rf"([{re.escape(letters)}])"
    start = re.compile(rf"\s*{_DRESS_BEFORE}{group}(?:\s*[)\].:,、。*}}]|\s*$|\n)")
    return start, re.compile(rf"(?<![A-Za-z0-9]){group}{_DRESS_AFTER}")


def letter(text: str, letters: str = "ABCD") -> str | None:
    """Return the letter answered, None if none or if it is not clear which.

    Args:
        text: What the model wrote.
        letters: The letters of the item's choices, upper case.
    """
    text = text.translate(_FULL_WIDTH)
    for pattern in _patterns(letters):
        found = pattern.findall(text)
        if found:
            return str(found[-1])
    start, anywhere = _bare(letters)
    opening = start.match(text)
    if opening is not None:
        return opening[1]
    alone = set(anywhere.findall(text))
    return alone.pop() if len(alone) == 1 else None
