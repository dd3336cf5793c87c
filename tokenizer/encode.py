"""Texts to ids in flat numpy arrays, equal to sentencepiece's for every text.

The compiled kernel of ``tokenizer.bpe`` does the work; a model whose merges it cannot hold is encoded by sentencepiece
itself. From Arrow's UTF-8 buffers to the ids there is no Python string.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import FlatText
from tokenizer.bpe import encode, tables
from tokenizer.model import BYTE, CONTROL, SPACE, UNKNOWN, read_model

BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Encoded:
    """Ids end to end: text i has ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: NDArray[np.uint32]  # shape (all ids,)
    offsets: NDArray[np.int64]  # shape (texts + 1,)


class Encoder:
    """A SentencePiece model that encodes batches."""

    def __init__(self, path: Path) -> None:
        """Load a model.

        Args:
            path: A ``tokenizer.model``.

        Raises:
            InputError: If it is not one, or one that ``tokenizer.model.check_model`` refuses.
        """
        from sentencepiece import SentencePieceProcessor

        model = read_model(path)
        self.vocab_size = len(model.pieces)
        self.bos_id: int | None = model.trainer_spec.bos_id if model.trainer_spec.bos_id >= 0 else None
        self.eos_id = int(model.trainer_spec.eos_id)
        self.dummy_prefix = bool(model.normalizer_spec.add_dummy_prefix)
        self.surface_bytes = surface_bytes(model)
        self.byte_ids = [number for number, piece in enumerate(model.pieces) if piece.type == BYTE]
        self.space_id = next((number for number, piece in enumerate(model.pieces) if piece.piece == SPACE), -1)
        self._tables = tables(model)
        self._reference = SentencePieceProcessor(model_proto=model.SerializeToString())

    @property
    def uses_kernel(self) -> bool:
        """Tell whether the compiled kernel holds this model; sentencepiece encodes otherwise."""
        return self._tables is not None

    def encode(self, texts: pl.Series) -> Encoded:
        """Encode texts, without bos and eos.

        Args:
            texts: Strings, shape (texts,); null counts as empty.
        """
        if self._tables is not None:
            return self._by_kernel(texts)
        return self.by_sentencepiece(texts)

    def _by_kernel(self, texts: pl.Series) -> Encoded:
        assert self._tables is not None
        sizes = texts.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy()
        batch = np.cumsum(sizes) // BATCH_BYTES  # of each text: the buffers need a few times a batch, whatever is asked
        cuts = [0, *(np.flatnonzero(np.diff(batch)) + 1).tolist(), len(texts)]
        ids, offsets = [np.empty(0, np.uint32)], [np.zeros(1, np.int64)]
        for begin, end in pairwise(cuts):
            some, ends = encode(FlatText.of(texts[begin:end]), self._tables)
            ids.append(some)
            offsets.append(ends[1:] + offsets[-1][-1])
        return Encoded(np.concatenate(ids), np.concatenate(offsets))

    def by_sentencepiece(self, texts: pl.Series) -> Encoded:
        """Encode by the reference; what ``encode`` gives is equal to it."""
        rows = self._reference.encode_as_numpy(texts.fill_null("").to_list())
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return Encoded(np.concatenate([*rows, np.empty(0, np.int32)]).astype(np.uint32), offsets)


def surface_bytes(model: Any) -> NDArray[np.int64]:
    """Return how many UTF-8 bytes of text each id stands for, shape (vocabulary,); 0 for control pieces."""
    sizes = []
    for piece in model.pieces:
        if piece.type in (CONTROL, UNKNOWN):
            sizes.append(0)
        else:
            sizes.append(1 if piece.type == BYTE else len(piece.piece.replace(SPACE, " ").encode()))
    return np.array(sizes, np.int64)
