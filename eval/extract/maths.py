"""MATH's final answer and whether it equals the gold one: by the official rule, and by computing.

``is_equiv`` compares two LaTeX strings after the normalisation of Hendrycks et al. 2021 (arXiv 2103.03874, the code
published with it): spacing and units off, single characters of a fraction or root braced, ``1/2`` as a fraction, 0.5 as
one half, and no more. Scores in papers are by it. It wrongly tells √8 from 2√2 and 1,000 from 1000; ``math_verify``
does not. Both are reported. Whatever the official code cannot normalise (it raises, for instance at ``x/y``) is
compared as it stands.
"""

from __future__ import annotations

import re
import threading

_FINAL = re.compile(r"[Ff]inal [Aa]nswer is:?\s*(.*?)(?:\.?\s*I hope it is correct|\.?\s*$)", re.MULTILINE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)|\\boxed ")
# in the official order; each is a plain replacement
_FIRST = (
    ("\n", ""),
    ("\\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
)
_SIGNS = (("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""))
_DECIMALS = (("\\%", ""), (" .", " 0."), ("{.", "{0."))
_UNIT = "\\text{ "


class _CannotNormalise(Exception):
    """The official code raises here, and then compares the strings as they are."""


def boxed(text: str) -> str | None:
    r"""Return the content of the last ``\boxed{…}`` (or ``\fbox{…}``, or ``\boxed x``).

    Where there is none, what follows ``the final answer is``, as Minerva's four exemplars end (Lewkowycz et al. 2022).
    None where there is neither, or the brace never closes.
    """
    boxes = list(_BOX.finditer(text))
    if boxes:
        at = boxes[-1].end()
        return text[at:].partition("$")[0].strip() if text[at : at + 1] != "{" else _braced(text, at)
    final = _FINAL.search(text)
    answer = final[1].strip() if final else ""
    if answer.startswith("$") and answer.endswith("$") and len(answer) > 1:
        answer = answer.strip("$")
    return answer or None


def _braced(text: str, start: int) -> str | None:
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 1 : at]
    return None


def is_equiv(a: str | None, b: str | None) -> bool:
    """Whether two answers are the same by the official normalisation; no answer equals none."""
    if a is None or b is None:
        return False
    try:
        return _normal(a) == _normal(b)
    except _CannotNormalise:
        return a == b


def _normal(text: str) -> str:
    text = _replaced(_replaced(text, _FIRST), _SIGNS)
    if text.count(_UNIT) > 1:
        raise _CannotNormalise
    text = _replaced(text.partition(_UNIT)[0], _DECIMALS)
    if text.startswith("."):
        text = f"0{text}"
    left, equals, right = text.partition("=")
    if equals and "=" not in right and len(left) <= 2:
        text = right
    if re.search(r"\\sqrt(?:\\sqrt|$)", text):
        raise _CannotNormalise
    text = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", text).replace(" ", "")
    text = _fractions(text)
    return _slash(r"\frac{1}{2}" if text == "0.5" else text) if text else text


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def _fractions(text: str) -> str:
    r"""Brace the two single characters after ``\frac``; text with a lone one stays as it is, whole."""
    head, *tails = text.split("\\frac")
    out = [head]
    for tail in tails:
        if not tail:
            raise _CannotNormalise
        if tail[0] == "{":
            out.append(tail)
        elif len(tail) == 1:
            return text
        else:
            below = tail[1:] if tail[1] == "{" else f"{{{tail[1]}}}{tail[2:]}"
            out.append(f"{{{tail[0]}}}{below}")
    return "\\frac".join(out)


def _slash(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2:
        return text
    try:
        above, below = (int(part) for part in parts)
    except ValueError as error:
        raise _CannotNormalise from error
    return f"\\frac{{{above}}}{{{below}}}" if text == f"{above}/{below}" else text


def math_verify(a: str | None, b: str) -> bool:
    """Whether an answer equals the gold one when both are parsed and computed with (package math-verify).

    Its time limits are alarms, which only a process's main thread can set; elsewhere it runs without.

    Args:
        a: The answer found, None for none.
        b: The gold answer.

    Raises:
        MissingPackage: If math-verify is not installed.
    """
    try:
        from math_verify import parse, verify
    except ImportError as error:
        from workbench.errors import MissingPackage

        raise MissingPackage("math_verify", "eval") from error
    if a is None:
        return False
    seconds = 5 if threading.current_thread() is threading.main_thread() else None
    found, gold = (parse(f"${text}$", parsing_timeout=seconds) for text in (a, b))
    return bool(verify(gold, found, timeout_seconds=seconds))
