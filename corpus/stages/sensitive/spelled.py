"""Terms spelled in pinyin: 法轮功 as fa lun gong, falungong, fa轮功. What filters of hanzi are evaded by.

A form is found like any term (broken up or not, letters standing alone) and counts as veiled. The whole term in pinyin
is looked for from three hanzi and seven letters on: shorter spellings are names and English words. One hanzi spelled,
the rest written, is telling from two hanzi on. Pronunciation is pypinyin's, which knows words (重庆, 银行).
Cost: 0.1 s a thousand terms, once a build, and as many entries again in the matcher as the terms have hanzi.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.stages.sensitive.match import is_han

LEAST_HANZI, LEAST_LETTERS = 3, 7  # of a term that is spelled as a whole
MOST_HANZI = 6  # of a term whose single hanzi are spelled: longer ones are sentences


def spelled(text: str) -> Sequence[str]:
    """Return the forms of a squeezed term; none for a term that is not all hanzi."""
    from pypinyin import lazy_pinyin

    if len(text) < 2 or not all(is_han(ord(char)) for char in text):
        return ()
    sounds = lazy_pinyin(text)
    if len(sounds) != len(text) or not all(sound.isascii() and sound.isalpha() for sound in sounds):
        return ()  # a rare hanzi that pypinyin does not know
    whole = "".join(sounds)
    forms = [whole] if len(text) >= LEAST_HANZI and len(whole) >= LEAST_LETTERS else []
    if len(text) <= MOST_HANZI:
        forms += [text[:i] + sound + text[i + 1 :] for i, sound in enumerate(sounds)]
    return forms
