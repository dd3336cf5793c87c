"""How ``zh7k.txt`` was made: two national standards of hanzi, and the full-width digits and letters. 0.3 s.

    python -m tokenizer.vocabularies.zh7k Unihan_OtherMappings.txt > tokenizer/vocabularies/zh7k.txt

The file of Unihan (Unicode 15.0.0) comes with Debian's package unicode-data or from unicode.org. The list has 8,019
characters; LLaMA has 611 of them, so that 7,408 are added to its 32,000. The published Ziya-LLaMA-13B has a vocabulary
of the same size, 39,410 with its two chat specials; which characters it holds is not public, and this list does not
claim to be that one.
"""

from __future__ import annotations

import bz2
import sys
from collections.abc import Iterable
from pathlib import Path

from tokenizer.vocabularies import FULL_WIDTH

HEADER = """\
# zh7k: 8,019 characters, by code point.
# 通用规范汉字表 (2013), the 7,832 of its 8,105 hanzi in U+4E00-9FFF, by Unihan's property kTGH (Unicode 15.0.0)
# with GB2312's (1980) 6,763 hanzi, and the full-width digits and letters ０-９ Ａ-Ｚ ａ-ｚ.
# Made by: python -m tokenizer.vocabularies.zh7k Unihan_OtherMappings.txt
"""


def zh7k(unihan: Iterable[str]) -> list[str]:
    """Return the list's characters by code point.

    Args:
        unihan: The lines of Unihan_OtherMappings.txt.
    """
    fields = (line.split("\t") for line in unihan if not line.startswith("#"))
    general = {int(row[0][2:], 16) for row in fields if len(row) > 2 and row[1] == "kTGH"}
    general_bmp = {chr(code) for code in general if 0x4E00 <= code <= 0x9FFF}
    return sorted(general_bmp | gb2312_hanzi() | FULL_WIDTH)


def gb2312_hanzi() -> set[str]:
    """Return the hanzi of GB2312: rows 16 to 87 of its plane, less the five cells of row 55 that are empty."""
    cells = (bytes([high, low]) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    return {char for cell in cells if (char := cell.decode("gb2312", errors="ignore"))}


def main(path: Path) -> None:
    """Print the list with its header."""
    opener = bz2.open if path.suffix == ".bz2" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        sys.stdout.write(HEADER + "".join(f"{char}\n" for char in zh7k(lines)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
