"""How ``zh-hant.txt`` was made: Big5's level 1, the 5,401 hanzi of everyday traditional text. 0.1 s.

    python -m tokenizer.vocabularies.zh_hant > tokenizer/vocabularies/zh-hant.txt

Level 1 (常用字) is rows A4 to C6 of Big5 (1984), read with Python's own codec; level 2, 7,652 rare ones, is left out.
On LLaMA's vocabulary ``--add zh-hant`` adds 4,862 characters; after zh7k, which has those that both scripts share,
1,937.
"""

from __future__ import annotations

import sys

HEADER = """\
# zh-hant: 5,401 characters, in the order of Big5 (by strokes).
# Big5's level 1 (常用字, A440 to C67E), by Python's codec big5.
# Made by: python -m tokenizer.vocabularies.zh_hant
"""
LEVEL_1 = (b"\xa4\x40", b"\xc6\x7e")  # first and last cell


def big5_level_1() -> list[str]:
    """Return the hanzi of Big5's level 1, in its order."""
    seconds = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    cells = (bytes([high, low]) for high in range(0xA4, 0xC7) for low in seconds)
    return [cell.decode("big5") for cell in cells if LEVEL_1[0] <= cell <= LEVEL_1[1]]


if __name__ == "__main__":
    sys.stdout.write(HEADER + "".join(f"{char}\n" for char in big5_level_1()))
