"""Bits per byte of raw texts, each on its own: bos, its ids, eos, in windows that overlap by one id.

So every id is predicted, from what its window holds before it. Windows of a like length go through the model together,
padded on the right, where what is before cannot see it. In memory are the windows of one reading-ahead and one text.
Cost: one forward pass over the ids, and a padding of 1.6 % of them (800 documents as WuDao's).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from eval.bits import NOTHING, Bits, Part, nats, total
from eval.packing import IGNORED
from workbench.errors import InputError

AHEAD = 32  # batches whose windows are sorted by length together

Window = tuple[Part, Sequence[int]]


def bits_of_texts(
    model: Any,
    tokenizer: Path,
    texts: Iterable[str],
    *,
    window: int = 512,
    batch_size: int = 8,
    precision: str = "fp32",
) -> Bits:
    """Score raw texts together; see ``bits_of_documents``."""
    documents = ((Part("", "", ""), text) for text in texts)
    parts = bits_of_documents(model, tokenizer, documents, window=window, batch_size=batch_size, precision=precision)
    return total(parts)


def bits_of_documents(
    model: Any,
    tokenizer: Path,
    documents: Iterable[tuple[Part, str]],
    *,
    window: int = 512,
    batch_size: int = 8,
    precision: str = "fp32",
) -> dict[Part, Bits]:
    """Score raw texts by what they belong to.

    Args:
        model: A causal language model.
        tokenizer: A folder with ``tokenizer.model``, or a byte-level ``tokenizer.json``.
        documents: What each text belongs to, and the text; taken as they are needed.
        window: Ids in a window: what the model sees at most.
        batch_size: Windows in a forward pass.
        precision: ``bf16`` or ``fp32``.

    Raises:
        InputError: If the folder has no vocabulary, or its ids go beyond the model's embedding.
    """
    encode, size = _encoder(tokenizer)
    rows = model.get_input_embeddings().num_embeddings
    if size > rows:
        found = f"has {size:,} pieces, the model's embedding {rows:,} rows"
        raise InputError(tokenizer, found, "use the model's own tokenizer")
    out: dict[Part, Bits] = {}

    def windows() -> Iterator[Window]:
        for part, text in documents:
            ids = encode(text)
            out[part] = out.get(part, NOTHING) + Bits(0.0, len(text.encode()), len(ids) - 1)
            for low in range(0, len(ids) - 1, window - 1):
                yield part, ids[low : low + window]

    waiting = windows()
    while some := list(islice(waiting, AHEAD * batch_size)):
        some.sort(key=lambda one: len(one[1]))
        for low in range(0, len(some), batch_size):
            few = some[low : low + batch_size]
            for (part, _), cost in zip(few, _costs(model, [ids for _, ids in few], precision), strict=True):
                out[part] += Bits(cost, 0, 0)
    return out


def _costs(model: Any, windows: Sequence[Sequence[int]], precision: str) -> list[float]:
    """Return the bits of each window's ids but the first."""
    import torch

    length = max(len(ids) for ids in windows)
    positions = torch.arange(length).repeat(len(windows), 1)
    ids = torch.tensor([[*one, *[0] * (length - len(one))] for one in windows])
    beyond = positions >= torch.tensor([len(one) for one in windows])[:, None]
    inputs = {"input_ids": ids, "position_ids": positions, "labels": ids.masked_fill(beyond, IGNORED)}
    found: list[float] = (nats(model, inputs, precision).double().sum(1) / math.log(2)).tolist()
    return found


def _encoder(tokenizer: Path) -> tuple[Callable[[str], list[int]], int]:
    """Return how a text becomes ids, what begins and ends it included, and how many ids there are."""
    from tokenizer.model import vocabulary_file
    from tokenizer.open import load_encoder

    path = vocabulary_file(tokenizer)
    if path.suffix == ".model":  # the reference itself, for any model it reads
        from sentencepiece import SentencePieceProcessor

        pieces = SentencePieceProcessor(model_file=str(path))
        return lambda text: [pieces.bos_id(), *pieces.encode(text), pieces.eos_id()], int(pieces.vocab_size())
    encoder = load_encoder(path)
    first = encoder.eos_id if encoder.bos_id is None else encoder.bos_id  # what a text stands behind
    return lambda text: [first, *encoder.encode(pl.Series([text])).ids.tolist(), encoder.eos_id], encoder.vocab_size
