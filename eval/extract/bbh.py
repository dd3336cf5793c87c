"""BIG-Bench Hard's answer: what follows ``the answer is`` on its line (Suzgun et al. 2022, arXiv 2210.09261).

Compared as text with the target: ``(B)``, ``True``, ``] } ]``, ``costume counterpart oven``. lm-eval's filter takes
the line's last character off whatever it is: an answer without its full stop loses a letter there (``No`` is ``N``).
"""

from __future__ import annotations

import re

_ANSWER = re.compile(r"the answer is:?[ \t]*(.*)", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"^Q:", re.MULTILINE)


def answer(text: str) -> str | None:
    """Return the first answer of a chain of thought; what a model writes after it (the next question) is not read."""
    found = _ANSWER.search(_NEXT_QUESTION.split(text, maxsplit=1)[0])
    return found[1].strip().removesuffix(".").rstrip() or None if found else None
