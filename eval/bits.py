"""Bits per byte: how many bits a model needs for a byte of held-out text. Lower is better.

    bits per byte = sum over predicted ids of -log2 p(id | what stands before it in its document piece)
                    / UTF-8 bytes of the text that those ids stand for

It compares models over different tokenizers, which loss per token and perplexity do not. A document's first id (bos,
or the first id of a piece that the packing cut) has nothing before it, so neither its likelihood nor its bytes count;
eos is predicted and stands for no byte, so its cost is part of the text's. Documents packed together do not see each
other.
Cost: one forward pass; logits are made ``CHUNK`` rows at a time, so memory stays at CHUNK x vocabulary floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.packing import IGNORED, Masked, batch, masked_batch
from tokenizer.shards import TokenShards
from workbench.console import progress
from workbench.errors import InputError

if TYPE_CHECKING:
    import torch

CHUNK = 256  # rows of logits in memory at once: 256 x 39,424 floats are 40 MB


class Part(NamedTuple):
    """What a document piece belongs to."""

    source: str
    domain: str
    bucket: str


@dataclass(frozen=True)
class Bits:
    """What a model needed for a text."""

    bits: float
    bytes: int
    tokens: int  # predicted ids

    @property
    def per_byte(self) -> float:
        """Bits per UTF-8 byte; nan for an empty text."""
        return self.bits / self.bytes if self.bytes else math.nan

    def __add__(self, other: Bits) -> Bits:
        return Bits(self.bits + other.bits, self.bytes + other.bytes, self.tokens + other.tokens)

    def as_dict(self) -> dict[str, float | int]:
        """Return the figures for JSON."""
        return {"bits_per_byte": self.per_byte, "bits": self.bits, "bytes": self.bytes, "tokens": self.tokens}


NOTHING = Bits(0.0, 0, 0)


def nats(model: Any, inputs: dict[str, torch.Tensor], precision: str = "fp32") -> torch.Tensor:
    """Return -ln p of each predicted id, shape (batch, seq_len - 1); 0 where nothing is predicted.

    Args:
        model: A causal language model of ``eval.models.FAMILIES``.
        inputs: ``input_ids``, ``position_ids``, ``labels``, each (batch, seq_len): what ``eval.packing.batch`` makes.
        precision: ``bf16`` runs the matrix products in bfloat16 (autocast); the log-softmax is always fp32.
    """
    import torch
    from torch.nn import functional

    device = next(model.parameters()).device
    moved = {name: tensor.to(device) for name, tensor in inputs.items()}
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        hidden = model.base_model(
            input_ids=moved["input_ids"], position_ids=moved["position_ids"], use_cache=False
        ).last_hidden_state[:, :-1]
        wanted = moved["labels"][:, 1:].reshape(-1)
        rows = hidden.reshape(-1, hidden.shape[-1])
        out = [
            functional.cross_entropy(
                model.lm_head(rows[low : low + CHUNK]).float(),
                wanted[low : low + CHUNK],
                ignore_index=IGNORED,
                reduction="none",
            )
            for low in range(0, len(rows), CHUNK)
        ]
    return torch.cat(out).reshape(hidden.shape[:2])


def nats_of_answers(
    model: Any, packs: Masked, *, sequences: int | None = None, batch_size: int = 8, precision: str = "fp32"
) -> float | None:
    """Return the mean of -ln p over the ids of packed dialogues that carry loss; None if there is none.

    Args:
        model: A causal language model in evaluation mode.
        packs: The dialogues.
        sequences: How many of the sequences, spread evenly; None for all.
        batch_size: Sequences in a forward pass.
        precision: ``bf16`` or ``fp32``.
    """
    rows, found, count = model.get_input_embeddings().num_embeddings, 0.0, 0
    chosen = choose(len(packs), sequences).tolist()
    for low in range(0, len(chosen), batch_size):
        inputs = masked_batch(packs, chosen[low : low + batch_size], rows)
        found += float(nats(model, inputs, precision).double().sum())
        count += int((inputs["labels"] != IGNORED).sum())
    return found / count if count else None


def choose(total: int, wanted: int | None) -> NDArray[np.int64]:
    """Return which sequences to score: all, or ``wanted`` of them spread evenly over the split."""
    if wanted is None or wanted >= total:
        return np.arange(total)
    return np.linspace(0, total - 1, wanted).round().astype(np.int64)


def bits_of_shards(
    model: Any,
    shards: TokenShards,
    *,
    sequences: int | None = None,
    batch_size: int = 8,
    precision: str = "fp32",
) -> dict[Part, Bits]:
    """Score a split of token shards.

    Args:
        model: A causal language model; it is put in evaluation mode and back.
        shards: The split, packed with the model's tokenizer.
        sequences: How many of its sequences, spread evenly; None for all.
        batch_size: Sequences in a forward pass.
        precision: ``bf16`` or ``fp32``.

    Returns:
        The bits of each source, domain and bucket; ``total`` and ``by`` add them up.

    Raises:
        InputError: If the split is empty, or holds ids beyond the model's embedding.
    """
    out: dict[Part, Bits] = {}
    for _, label, found in bits_by_sequence(
        model, shards, sequences=sequences, batch_size=batch_size, precision=precision
    ):
        out[label] = out.get(label, NOTHING) + found
    return out


def bits_by_sequence(
    model: Any,
    shards: TokenShards,
    *,
    sequences: int | None = None,
    batch_size: int = 8,
    precision: str = "fp32",
) -> Iterator[tuple[int, Part, Bits]]:
    """Yield the sequence, the part and the bits of each document piece; see ``bits_of_shards``."""
    if not len(shards):
        raise InputError(shards.folder, f"its {shards.split} split is empty", "pack it with a larger validation share")
    chosen = choose(len(shards), sequences)
    pieces = _Pieces(shards)
    rows = model.get_input_embeddings().num_embeddings
    was_training = model.training
    model.eval()
    try:
        with progress("bits per byte", len(chosen), "sequences") as bar:
            for low in range(0, len(chosen), batch_size):
                part = chosen[low : low + batch_size].tolist()
                losses = nats(model, batch(shards, part, rows), precision).double().cpu().numpy() / math.log(2)
                for row, i in enumerate(part):
                    for label, found in pieces.score(i, losses[row]):
                        yield i, label, found
                bar.advance(len(part))
    finally:
        model.train(was_training)


def total(parts: dict[Part, Bits]) -> Bits:
    """Return the bits of all parts together."""
    return sum(parts.values(), NOTHING)


def by(parts: dict[Part, Bits], what: Literal["source", "domain", "bucket"]) -> dict[str, Bits]:
    """Return the bits of each source, of each domain or of each bucket."""
    out: dict[str, Bits] = {}
    for part, found in parts.items():
        name = getattr(part, what)
        out[name] = out.get(name, NOTHING) + found
    return out


class _Pieces:
    """The pieces of the sequence at hand with their labels; one shard's table is kept at a time."""

    def __init__(self, shards: TokenShards) -> None:
        self.shards = shards
        self.shard = -1
        self.sizes: list[int] = []

    def score(self, i: int, bits: NDArray[np.float64]) -> Iterator[tuple[Part, Bits]]:
        """Yield label and bits of each piece of sequence i; ``bits[p]`` is the cost of the id at p + 1."""
        low, table = self._find(i)
        starts = self.shards.starts(i)
        ends = np.append(starts[1:], self.shards.valid(i))
        for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            label = Part(*(str(table[name][low + n]) for name in Part._fields))
            size = int(table["bytes"][low + n] - table["lead_bytes"][low + n])
            yield label, Bits(float(bits[start : end - 1].sum()), size, end - start - 1)

    def _find(self, i: int) -> tuple[int, dict[str, Any]]:
        shard, row = self.shards.place(i)
        if shard != self.shard:
            columns = ("start", *Part._fields, "bytes", "lead_bytes")
            table = self.shards.pieces_table(shard).select(columns)
            self.table = {name: table.column(name).to_numpy(zero_copy_only=False) for name in columns}
            self.shard = shard
        return int(np.searchsorted(self.table["start"], row * self.shards.seq_len)), self.table
