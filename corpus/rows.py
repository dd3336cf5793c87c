"""The row: what every document is from the moment it is read to the moment it is written.

A batch is a polars DataFrame of these columns and of the signals that stages have added so far. ``VERDICT`` columns are
null while a document is still in; the first gate that rejects it fills them, and no later step sees the document again.
"""

from __future__ import annotations

import polars as pl

# What a source gives. `doc` numbers a document in a build (shard * 2**32 + row): the order in which they were read.
SOURCE: dict[str, pl.DataType] = {
    "doc": pl.UInt64(),
    "id": pl.String(),  # <source>/<the source's own key>, stable
    "text": pl.String(),
    "title": pl.String(),
    "source": pl.String(),
    "domain": pl.String(),  # the source's own label, verbatim
    "weight": pl.Float32(),  # of its --src in the mix: how often tokenizer pack lays it out
}

VERDICT: dict[str, pl.DataType] = {
    "stage": pl.String(),
    "reason": pl.String(),
    "detail": pl.String(),
    "duplicate_of": pl.String(),  # the id of the document it was compared with and found similar to
}

DOCS_PER_SHARD = 1 << 32
LANGUAGES = ("zh", "zh-Hant", "en", "code", "other")
MADE_BY = "corpus build --src NAME"  # what makes a corpus that is missing
BUCKETS = ("head", "middle", "tail")


def empty(schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return a batch of no rows with the given columns."""
    return pl.DataFrame(schema=schema)
