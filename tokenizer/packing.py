"""Lay documents end to end, cut them into sequences, and say which part of which document lies where.

One compiled pass copies the ids of a shard's documents into place and writes its pieces. 700 MB of ids a CPU-second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.compiled import compiled

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Documents:
    """Documents in the order in which they are laid; all arrays but ``ids`` have shape (documents,)."""

    ids: NDArray[Any]  # of all documents, in any order; of the type that the shard has
    sources: Int  # where in ``ids`` each document begins
    lengths: Int  # how many ids it has, bos and eos among them
    sizes: Int  # UTF-8 bytes of its text
    positions: Int  # where its first id lies in the split


@dataclass(frozen=True)
class Laid:
    """A shard: its ids, and its pieces as arrays of shape (pieces,)."""

    ids: NDArray[Any]
    starts: Int  # in the shard
    lengths: Int
    documents: Int  # which of the documents it is a part of
    sizes: Int  # bytes of text
    lead_sizes: Int  # those of its first id


def lay(
    documents: Documents,
    window: tuple[int, int],
    seq_len: int,
    surface_bytes: Int,
    prefix_at: int,
    fill: int,
) -> Laid:
    """Lay documents into a window of the split.

    Args:
        documents: All that reach into the window, by position.
        window: First and last position of the shard, the last excluded; both multiples of seq_len.
        seq_len: Ids in a sequence.
        surface_bytes: Bytes of text that each id stands for, shape (vocabulary,).
        prefix_at: Which id of a document begins with a space that is not in its text; -1 if none does.
        fill: The id of padding.
    """
    begin, end = window
    out = np.full(end - begin, fill, documents.ids.dtype)
    most = len(documents.lengths) + (end - begin) // seq_len + 1
    columns = [np.zeros(most, np.int64) for _ in range(5)]
    count = _lay(
        documents.ids,
        documents.sources,
        documents.lengths,
        documents.sizes,
        documents.positions,
        begin,
        end,
        seq_len,
        surface_bytes,
        prefix_at,
        out,
        *columns,
    )
    return Laid(out, *(column[:count] for column in columns))


@compiled
def _lay(
    ids: NDArray[Any],
    sources: Int,
    lengths: Int,
    sizes: Int,
    positions: Int,
    begin: int,
    end: int,
    seq_len: int,
    surface_bytes: Int,
    prefix_at: int,
    out: NDArray[Any],
    piece_starts: Int,
    piece_lengths: Int,
    piece_documents: Int,
    piece_sizes: Int,
    piece_lead_sizes: Int,
) -> int:
    n = -1
    for d in range(len(lengths)):
        left = sizes[d]  # bytes that no id has accounted for
        last_piece = -1
        for k in range(lengths[d]):
            at = positions[d] + k
            token = ids[sources[d] + k]
            size = surface_bytes[token]
            if k == prefix_at and size > 0:
                size -= 1
            left -= size
            if at < begin or at >= end:
                continue
            out[at - begin] = token
            if last_piece < 0 or at % seq_len == 0:
                n += 1
                last_piece = n
                piece_starts[n] = at - begin
                piece_documents[n] = d
                piece_lead_sizes[n] = size
            piece_lengths[n] += 1
            piece_sizes[n] += size
        # A literal U+2581 of the text is taken for a space: of its three bytes one is accounted for. The other two go
        # to the document's last piece, so that the sum is its size.
        if last_piece >= 0 and positions[d] + lengths[d] <= end:
            piece_sizes[last_piece] += left
    return n + 1
