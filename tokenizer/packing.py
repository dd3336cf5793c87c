"""Lay documents into sequences, end to end, and say which part of which document lies where.

``end_to_end`` says which parts documents are cut into and where each goes; ``tokenizer.best_fit`` says it otherwise.
``lay`` puts the ids there and counts the bytes of text that each part stands for: one compiled pass, 450 MB of ids a
CPU-second.
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
    positions: Int  # where its first id lies in the split, all documents end to end


@dataclass(frozen=True)
class Parts:
    """What a shard is made of, by place; the arrays have shape (parts,)."""

    documents: Int  # which of the documents it is a part of
    firsts: Int  # which of the document's ids is its first
    lengths: Int
    places: Int  # where in the shard its first id goes
    room: int  # ids of the shard, padding included: whole sequences


@dataclass(frozen=True)
class Laid:
    """A shard: its ids, and its pieces as arrays of shape (pieces,)."""

    ids: NDArray[Any]
    starts: Int  # in the shard
    lengths: Int
    documents: Int  # which of the documents it is a part of
    sizes: Int  # bytes of text
    lead_sizes: Int  # those of its first id


def end_to_end(documents: Documents, window: tuple[int, int], seq_len: int) -> Parts:
    """Return the parts of documents that lie in a window of the split, cut where a sequence ends.

    Args:
        documents: All that reach into the window, by position.
        window: First and last position of the shard, the last excluded; both multiples of seq_len.
        seq_len: Ids in a sequence.
    """
    begin, end = window
    low = np.maximum(documents.positions, begin)
    high = np.minimum(documents.positions + documents.lengths, end)
    counts = np.maximum((high - 1) // seq_len - low // seq_len + 1, 0)  # every document has an id, its eos
    which = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.where(nth == 0, low[which], (low[which] // seq_len + nth) * seq_len)
    ends = np.minimum((starts // seq_len + 1) * seq_len, high[which])
    return Parts(which, starts - documents.positions[which], ends - starts, starts - begin, end - begin)


def cut_end_to_end(documents: Documents, seq_len: int) -> NDArray[np.bool_]:
    """Return which documents a border of sequences cuts if they lie end to end, shape (documents,)."""
    last = documents.positions + documents.lengths - 1
    cut: NDArray[np.bool_] = last // seq_len != documents.positions // seq_len
    return cut


def lay(documents: Documents, parts: Parts, surface_bytes: Int, prefix_at: int, fill: int) -> Laid:
    """Lay parts of documents into a shard.

    Args:
        documents: Those that the parts are of.
        parts: Which goes where.
        surface_bytes: Bytes of text that each id stands for, shape (vocabulary,).
        prefix_at: Which id of a document begins with a space that is not in its text; -1 if none does.
        fill: The id of padding.
    """
    out = np.full(parts.room, fill, documents.ids.dtype)
    sizes, lead_sizes = (np.zeros(len(parts.documents), np.int64) for _ in range(2))
    _lay(
        documents.ids,
        documents.sources,
        documents.lengths,
        documents.sizes,
        parts.documents,
        parts.firsts,
        parts.lengths,
        parts.places,
        surface_bytes,
        prefix_at,
        out,
        sizes,
        lead_sizes,
    )
    return Laid(out, parts.places, parts.lengths, parts.documents, sizes, lead_sizes)


@compiled
def _lay(
    ids: NDArray[Any],
    sources: Int,
    lengths: Int,
    sizes: Int,
    documents: Int,
    firsts: Int,
    part_lengths: Int,
    places: Int,
    surface_bytes: Int,
    prefix_at: int,
    out: NDArray[Any],
    part_sizes: Int,
    part_lead_sizes: Int,
) -> None:
    for n in range(len(documents)):
        d, first = documents[n], firsts[n]
        for k in range(part_lengths[n]):
            token = ids[sources[d] + first + k]
            size = surface_bytes[token]
            if first + k == prefix_at and size > 0:
                size -= 1
            out[places[n] + k] = token
            part_sizes[n] += size
            if k == 0:
                part_lead_sizes[n] = size
        # A literal U+2581 of the text is taken for a space: of its three bytes one is accounted for. The other two go
        # to the document's last piece, so that the sum is its size.
        if first + part_lengths[n] == lengths[d]:
            left = sizes[d]
            for k in range(lengths[d]):
                size = surface_bytes[ids[sources[d] + k]]
                left -= size - 1 if k == prefix_at and size > 0 else size
            part_sizes[n] += left
