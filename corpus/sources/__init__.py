"""Where text comes from: a small file a source, all in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.sources.base import Chunk, Skipped, Source, Span, Unreadable, plan
from corpus.sources.books import Books
from corpus.sources.jsonl import Jsonl
from corpus.sources.medical import Medical
from corpus.sources.openwebtext import OpenWebText
from corpus.sources.parquet import Parquet
from corpus.sources.source_code import SourceCode
from corpus.sources.text import Text
from corpus.sources.webpage import WebPage
from corpus.sources.wikipedia import Wikipedia
from corpus.sources.wudao import WuDao
from workbench.command import did_you_mean
from workbench.config import Layer, load
from workbench.errors import ConfigError

SOURCES: dict[str, Source] = {
    "wudao": WuDao(),
    "openwebtext": OpenWebText(),
    "wikipedia": Wikipedia(),
    "books": Books(),
    "code": SourceCode(),
    "medical": Medical(),
    "jsonl": Jsonl(),
    "parquet": Parquet(),
    "text": Text(),
    "html": WebPage(),
}


def configure(name: str, options: Mapping[str, Any]) -> Source:
    """Return a source with its options set.

    Args:
        name: A name of the table.
        options: Settings of that source (its class declares them), as text or values.

    Raises:
        ConfigError: If there is no such source, option or choice.
    """
    if name not in SOURCES:
        raise ConfigError(f"--src {name}", "no such source", did_you_mean(name, SOURCES))
    return load(type(SOURCES[name]), [Layer(f"--src {name}", options)]).value


__all__ = ["SOURCES", "Chunk", "Skipped", "Source", "Span", "Unreadable", "configure", "plan"]
