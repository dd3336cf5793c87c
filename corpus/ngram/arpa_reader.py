"""Reading a character model from ARPA text into a query table: what ``corpus lm train`` and lmplz write.

6.6 million n-grams (217 MB) take 3 CPU-s; KenLM's own loading takes as long, and is paid a second time by each query.
What is no character model, or has what the table cannot hold, is left to KenLM.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
import polars as pl

from corpus.flat import CodePoints, FlatText, Offsets
from corpus.ngram.counts import BOS, EOS, MAX_ORDER, SPECIALS, UNK, Ids
from corpus.ngram.query import Ngrams, QueryTable, ids_by_code
from corpus.ngram.trie import Tokens
from workbench.compiled import compiled

_HEADER = re.compile(rb"\s*\\data\\\s*\n((?:ngram \d=\d+[ \r]*\n)+)\s*(?=\\1-grams:)")
_SPELLED = {UNK: "<unk>", BOS: "<s>", EOS: "</s>"}
_COLUMNS = {"probability": pl.Float32, "tokens": pl.String, "backoff": pl.Float32}


def read_arpa(path: Path) -> QueryTable:
    """Read a model over single characters.

    Raises:
        ValueError: If the file is no such model, or the table cannot hold it; the message says what was found.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = _HEADER.match(data[: 1 << 12])
        if head is None:
            raise ValueError("no ARPA text")
        order = head[1].count(b"\n")
        if not 2 <= order <= MAX_ORDER:
            raise ValueError(f"order {order}")
        ends = [data.find(b"\n\\%d-grams:\n" % k) for k in range(1, order + 1)] + [data.find(b"\n\\end\\")]
        if -1 in ends or ends != sorted(ends):
            raise ValueError("a section is missing")
        sections = [_section(data[data.find(b"\n", ends[k] + 1) + 1 : ends[k + 1]], k) for k in range(order)]
    names = sections[0]["tokens"]
    special = {name: id_ for id_, name in _SPELLED.items()}
    if set(special) - set(names):
        raise ValueError("<unk>, <s> or </s> is missing")
    single = sections[0].filter(~names.is_in(list(special)).fill_null(value=False))
    if (single["tokens"].str.len_chars() != 1).any():
        raise ValueError("a token is no single character")
    first = pl.concat([*(sections[0].filter(names == name) for name in _SPELLED.values()), single])
    vocabulary = np.concatenate([np.zeros(SPECIALS, np.uint32), FlatText.of(single["tokens"]).chars])
    ids = ids_by_code(vocabulary, -1)
    blocks = [[_ngrams(first, np.arange(len(first), dtype=np.uint32)[:, None])]]
    for k, section in enumerate(sections[1:], start=2):
        tokens = np.empty((len(section), k), np.uint32)
        flat = FlatText.of(section["tokens"])
        if not split(flat.chars, flat.offsets, ids, tokens):
            raise ValueError(f"an n-gram of order {k} holds what is no token")
        blocks.append([_ngrams(section, tokens)])
    return QueryTable.of(vocabulary, blocks)


def _section(lines: bytes, k: int) -> pl.DataFrame:
    try:
        found = pl.read_csv(
            lines, has_header=False, separator="\t", quote_char=None, schema=_COLUMNS, missing_columns="insert"
        )
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"the lines of order {k + 1} are not as expected ({error})") from error
    if found["probability"].null_count():
        raise ValueError(f"a line of order {k + 1} has no number")
    return found.with_columns(pl.col("backoff").fill_null(0))


def _ngrams(section: pl.DataFrame, tokens: Tokens) -> Ngrams:
    return Ngrams(tokens, section["probability"].to_numpy(), section["backoff"].to_numpy())


@compiled
def split(chars: CodePoints, offsets: Offsets, ids: Ids, tokens: Tokens) -> bool:
    """Read n-grams as ids: single characters between spaces, or ``<s>``, ``</s>``, ``<unk>``; tell whether all were."""
    space, order = np.uint32(32), tokens.shape[1]
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        for d in range(order):
            begin = at
            while at < end and chars[at] != space:
                at += 1
            size = at - begin
            if size == 1 and ids[chars[begin]] >= 0:
                tokens[row, d] = ids[chars[begin]]
            elif size == 3:  # <s>
                tokens[row, d] = BOS
            elif size == 4:  # </s>
                tokens[row, d] = EOS
            elif size == 5:
                tokens[row, d] = UNK
            else:
                return False
            if d < order - 1 and at == end:
                return False
            at += 1
        if at <= end:
            return False
    return True
