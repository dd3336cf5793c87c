"""GSM8K's final number, strictly where the exemplars put it, or flexibly the last number of the text.

Strict: after ``####`` (Cobbe et al. 2021, arXiv 2110.14168) or ``The answer is`` (the eight chain-of-thought exemplars
of Wei et al. 2022, arXiv 2201.11903). Both agree with lm-eval's two filters, but for one fault of its strict one, which
loses the last digit of an answer that ends the text without a full stop (``The answer is 12`` is read as 1).
"""

from __future__ import annotations

import re

_STRICT = re.compile(r"#### *(-?[0-9][0-9.,]*)|The answer is \$?(-?[0-9.,]*[0-9])")
_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def strict(text: str) -> str | None:
    """Return the number at the first place where the exemplars put one."""
    found = _STRICT.search(text)
    return None if found is None else _plain(found[1] or found[2])


def flexible(text: str) -> str | None:
    """Return the last number of the text."""
    found = _NUMBER.findall(text)
    return _plain(found[-1]) if found else None


def equal(found: str | None, gold: str) -> bool:
    """Whether an answer is the gold one, letter by letter without commas, dollar signs and a final full stop.

    As in the official code and lm-eval 18.00 is not 18: numbers are not computed with, so that scores compare.

    Args:
        found: What ``strict`` or ``flexible`` returned.
        gold: The number, or the whole solution with ``####`` before it.
    """
    return found is not None and _plain(found) == _plain(gold.rpartition("####")[2])


def _plain(number: str) -> str:
    return number.strip().replace(",", "").replace("$", "").removesuffix(".")
