"""Classes of characters: one table of the whole Unicode range, built once from the standard library.

Traditional-only characters are those that Big5 can write and GB2312 cannot.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

SPACE, HAN, TRADITIONAL, LATIN, DIGIT, PUNCTUATION, STOP, BROKEN, OTHER = range(9)
CLASSES = 9
STOPS = '。！？!?…；;」”."'  # what may end a sentence


@cache
def class_table() -> NDArray[np.uint8]:
    """Return the class of every code point, shape (0x110000,)."""
    table = np.full(0x110000, OTHER, np.uint8)
    kinds = {"Z": SPACE, "P": PUNCTUATION, "S": PUNCTUATION}
    for code in range(0x20000):
        char = chr(code)
        category = unicodedata.category(char)
        if char.isspace() or category == "Cf":
            table[code] = SPACE
        elif category[0] in kinds:
            table[code] = kinds[category[0]]
        elif category == "Nd":
            table[code] = DIGIT
        elif category in ("Co", "Cn", "Cc", "Cs") or code == 0xFFFD:
            table[code] = BROKEN
        elif category[0] == "L" and unicodedata.name(char, "").startswith(("LATIN", "FULLWIDTH LATIN")):
            table[code] = LATIN
    for low, high in ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0)):
        table[low:high] = HAN
    table[0x3007] = HAN
    for code in range(0x4E00, 0xA000):
        if _writes("big5", chr(code)) and not _writes("gb2312", chr(code)):
            table[code] = TRADITIONAL
    for char in STOPS:
        table[ord(char)] = STOP
    table[0xFFFD] = BROKEN
    return table


def _writes(codec: str, char: str) -> bool:
    try:
        char.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return part / whole for each document, 0 where there is nothing."""
    shares: NDArray[np.float32] = (part / np.maximum(whole, 1)).astype(np.float32)
    return shares
