"""Texts in English and Chinese, and what is taken out of a text before it is shown to anyone.

A team's file may give a text once (it is then shown once) or as ``{en: …, zh: …}``.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

REPLACED = "\N{REPLACEMENT CHARACTER}"
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@dataclass(frozen=True)
class Text:
    """One text in two languages; equal where only one was given."""

    en: str
    zh: str

    @classmethod
    def once(cls, text: str) -> Text:
        """Return a text that is the same in both languages."""
        return cls(text, text)

    @property
    def single(self) -> bool:
        """Whether there is one text, not two."""
        return self.en == self.zh

    def as_dict(self) -> dict[str, str]:
        """Return the text for JSON."""
        return {"en": self.en, "zh": self.zh}

    def __str__(self) -> str:
        return self.en


def plain(text: str) -> str:
    """Return a text on one line without control characters.

    Terminal escapes and marks that turn the reading direction become U+FFFD: shown, not obeyed.
    """
    one_line = " ".join(text.split())
    return "".join(REPLACED if c in _BIDI or unicodedata.category(c) == "Cc" else c for c in one_line)
