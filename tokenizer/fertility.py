"""How much text a token carries: the figures by which vocabularies are compared on one text.

characters and bytes per token   of the text's lines, the space that sentencepiece puts first not counted
fallback share                   of the tokens that are no whole character, because the vocabulary lacks it
tokens per hanzi                 of the text's runs of hanzi, each encoded alone
restored                         share of the lines whose tokens' bytes are the line's bytes again
125B tokens                      in characters: what the budget of Ziya-LLaMA's pre-training would read of such text
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.peers import Vocabulary
from tokenizer.vocabularies import HANZI_BLOCKS
from workbench.console import table

HANZI_RUN = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in HANZI_BLOCKS) + "]+")
BUDGET_TOKENS = 125_000_000_000


@dataclass(frozen=True)
class Fertility:
    """A vocabulary on a text."""

    text: str
    name: str
    pieces: int
    tokens: int
    characters_per_token: float
    bytes_per_token: float
    fallback_share: float
    tokens_per_hanzi: float | None  # None if the text has no hanzi
    restored: float
    budget_characters: float  # what 125B tokens are


def fertility(text_name: str, name: str, vocabulary: Vocabulary, text: str) -> Fertility:
    """Measure a vocabulary on a text, its lines encoded one by one.

    Args:
        text_name: What to call the text.
        name: What to call the vocabulary.
        vocabulary: The vocabulary.
        text: The text; not empty.
    """
    lines = [line for line in text.split("\n") if line]
    encoded, surface = vocabulary.encode(lines), vocabulary.token_bytes
    prefixed = b"".join(surface[n] for n in vocabulary.encode(["x"])[0]) == b" x"
    ids = np.concatenate([np.empty(0, np.int64), *encoded])
    tokens = max(1, len(ids) - prefixed * _lone_prefixes(surface, encoded))
    runs = [run for line in lines for run in HANZI_RUN.findall(line)]
    of_runs = vocabulary.encode(runs)
    hanzi = sum(map(len, runs))
    hanzi_tokens = sum(map(len, of_runs)) - prefixed * _lone_prefixes(surface, of_runs)
    whole = np.array([is_whole(content) for content in surface])
    prefix = b" " if prefixed else b""
    restored = sum(
        b"".join(surface[n] for n in row) == prefix + line.encode() for line, row in zip(lines, encoded, strict=True)
    )
    per_token = sum(map(len, lines)) / tokens
    return Fertility(
        text=text_name,
        name=name,
        pieces=len(surface),
        tokens=tokens,
        characters_per_token=per_token,
        bytes_per_token=sum(len(line.encode()) for line in lines) / tokens,
        fallback_share=float((~whole[ids]).sum()) / tokens,
        tokens_per_hanzi=hanzi_tokens / hanzi if hanzi else None,
        restored=restored / max(1, len(lines)),
        budget_characters=BUDGET_TOKENS * per_token,
    )


def is_whole(content: bytes) -> bool:
    """Tell whether bytes are whole characters."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lone_prefixes(surface: Sequence[bytes], encoded: Sequence[NDArray[np.int64]]) -> int:
    """Return how many texts begin with a token that is nothing but the space that is not in the text."""
    return sum(len(ids) > 0 and surface[ids[0]] == b" " for ids in encoded)


def print_comparison(rows: Sequence[Fertility]) -> None:
    """Print a table a text on stdout, a row a vocabulary."""
    heads = ("tokenizer", "pieces", "tokens", "chars/token", "bytes/token", "fallback", "tokens/hanzi", "restored")
    for text in dict.fromkeys(row.text for row in rows):
        cells = [
            (*tuple(asdict(row).values())[1:-1], f"{row.budget_characters / 1e9:,.0f}B")
            for row in rows
            if row.text == text
        ]
        table((*heads, "125B tokens in characters"), cells, text)
