"""Packed sequences as a model takes them: positions that restart at each document, targets that never cross one.

Two things keep documents of one sequence apart, and both are needed. Attention: transformers (5.23) sees the restarts
in ``position_ids`` and builds a block-diagonal causal mask, but only if there is *no* attention mask and *no* cache; a
mask of ones beside the same positions lets them see each other (logits differ by 10). Loss: the first id of a document
is not predicted, since what stands before it belongs to another one. Cost: 20 µs a sequence of 512.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import InputError

if TYPE_CHECKING:
    import torch

IGNORED = -100  # a label that is not predicted, the convention of torch's cross-entropy


class Packed(Protocol):
    """What packing asks of a split of token shards (``tokenizer.shards.TokenShards`` is one)."""

    @property
    def seq_len(self) -> int:
        """Ids in a sequence."""

    def __len__(self) -> int:
        """Return the number of sequences."""

    def ids(self, i: int) -> NDArray[np.int64]:
        """Return sequence i, shape (seq_len,)."""

    def starts(self, i: int) -> NDArray[np.int64]:
        """Return where in sequence i a document piece begins; the first is 0."""

    def valid(self, i: int) -> int:
        """Return how many ids of sequence i are not padding."""

    def position_ids(self, i: int) -> NDArray[np.int64]:
        """Return positions that restart at each document piece, shape (seq_len,)."""


class Masked(Packed, Protocol):
    """Packed dialogues, of which answers alone carry loss (``tokenizer.dialogues.Packs``)."""

    def mask(self, i: int) -> NDArray[np.bool_]:
        """Return which ids of sequence i carry loss, shape (seq_len,)."""


def labels(ids: NDArray[np.int64], starts: NDArray[np.int64], valid: int) -> NDArray[np.int64]:
    """Return what is to be predicted at each place (not shifted: the model shifts), shape (seq_len,).

    Args:
        ids: The sequence.
        starts: Where a document piece begins; that id has nothing before it and is not predicted.
        valid: Ids that are not padding.
    """
    out = ids.copy()
    out[starts] = IGNORED
    out[valid:] = IGNORED
    return out


def batch(shards: Packed, sequences: Sequence[int], rows: int) -> dict[str, torch.Tensor]:
    """Return sequences as a batch for a model: ``input_ids``, ``position_ids``, ``labels``, each (batch, seq_len).

    Args:
        shards: A split of token shards.
        sequences: Numbers of the sequences.
        rows: Rows of the model's embedding.

    Raises:
        InputError: If an id is beyond the embedding (on a GPU it would be an assertion deep in a kernel).
    """
    import torch

    ids = np.stack([shards.ids(i) for i in sequences])
    if (worst := int(ids.max())) >= rows:
        raise InputError(
            "token shards", f"hold id {worst:,}, the embedding has {rows:,} rows", "extend the model's vocabulary first"
        )
    wanted = [labels(ids[n], shards.starts(i), shards.valid(i)) for n, i in enumerate(sequences)]
    positions = [shards.position_ids(i) for i in sequences]
    return {
        "input_ids": torch.from_numpy(ids),
        "position_ids": torch.from_numpy(np.stack(positions)),
        "labels": torch.from_numpy(np.stack(wanted)),
    }


def masked_batch(packs: Masked, sequences: Sequence[int], rows: int) -> dict[str, torch.Tensor]:
    """Return packed dialogues as ``batch`` does, with labels only where the mask carries loss."""
    import torch

    out = batch(packs, sequences, rows)
    out["labels"][~torch.from_numpy(np.stack([packs.mask(i) for i in sequences]))] = IGNORED
    return out
