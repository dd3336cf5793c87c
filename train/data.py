"""The order of the data, and a cursor into it that resumes exactly.

The cursor counts sequences since the run began; it is the whole state. Sequence number k of the run is place k mod n of
a permutation made from (seed, k div n), so every pass over the data has its own order, any process can compute it, and
after a stop — also on another number of devices — the next sequence is the one that would have come. Cost: a
permutation of n 32-bit numbers a pass (4 bytes a sequence); a batch of 2 x 512 takes 0.1 ms.

Replay mixes a share of general text into continued training, against forgetting: evenly, exactly, without state. Of the
first k samples of the run, floor(k x share) come from the replayed shards; which one the k-th is follows from k alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.spikes import Span, next_sample
from workbench.config import between, setting
from workbench.errors import ConfigError, InputError


@dataclass(eq=False)
class Order:
    """Which sequence comes k-th."""

    sequences: int  # of the split; at least one
    seed: int
    _pass: int = field(default=-1, init=False)
    _permutation: NDArray[np.uint32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """See that there is one."""
        assert self.sequences > 0

    def __getitem__(self, k: int) -> int:
        """Return the k-th sequence of the run, k from 0 and without end."""
        number, place = divmod(k, self.sequences)
        if number != self._pass:
            order = np.arange(self.sequences, dtype=np.uint32)
            np.random.default_rng([self.seed, number]).shuffle(order)
            self._pass, self._permutation = number, order
        return int(self._permutation[place])


@dataclass(frozen=True)
class ReplaySettings:
    """What is replayed."""

    data: Path | None = setting(None, "token shards of general text, packed alike; none: no replay")
    share: float = setting(0.1, "share of all sequences that come from it", check=between(0, 0.9))


class MixedOrder(Order):
    """Samples of the main shards by their numbers, of the replayed ones by numbers past those."""

    def __init__(self, main: int, replayed: int, share: float, seed: int) -> None:
        """Fix both orders; ``share`` of the samples, below 1, are replayed."""
        super().__init__(main, seed)
        self.share = share
        self.replayed = Order(replayed, seed + 1)

    def __getitem__(self, k: int) -> int:
        """Return the k-th sample of the run."""
        before = int(k * self.share)
        if int((k + 1) * self.share) > before:
            return self.sequences + self.replayed[before]
        return super().__getitem__(k - before)


@dataclass(eq=False)
class MicroBatches:
    """The micro-batches of one device from the cursor on: what a DataLoader takes as ``batch_sampler``.

    A global batch is the next ``world x accumulation x size`` sequences; of each micro-step's ``world x size`` the
    device takes its own ``size`` in a row.
    """

    order: Order
    size: int  # sequences in a micro-batch of one device
    total: int  # micro-batches of the whole run, what ``len`` says (the Trainer counts its steps by it)
    rank: int = 0  # this device
    world: int = 1
    cursor: int = 0  # samples consumed by all devices; set before iterating
    skipped: Sequence[Span] = ()  # whole micro-batches that the spike policy leaves out

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[list[int]]:
        k = self.cursor  # the loader may fetch ahead: what was *consumed* is counted by the trainer, not here
        while True:
            low = next_sample(k, self.skipped) + self.rank * self.size
            yield [self.order[low + n] for n in range(self.size)]
            k = self.after(k)

    def after(self, k: int) -> int:
        """Return the cursor behind the micro-step that begins at it, or behind what is left out there."""
        return next_sample(k, self.skipped) + self.world * self.size


def accumulation(key: str, batch: int, factors: Mapping[str, int]) -> int:
    """Return the micro-steps of a step, derived from the global batch.

    Args:
        key: The setting that gives the batch.
        batch: Tokens or samples of a step on all devices.
        factors: What a micro-step holds of them, with its words: ``{"samples": 4, "devices": 2}``.

    Raises:
        ConfigError: If the batch is no whole number of micro-batches; the line names the nearest that is.
    """
    unit = math.prod(factors.values())
    if batch % unit or batch < unit:
        parts = " x ".join(f"{number:,} {what}" for what, number in factors.items())
        near = max(1, round(batch / unit)) * unit
        found = f"{batch:,} is no multiple of {unit:,} = {parts}"
        raise ConfigError(key, found, f"give {near:,}, or another micro_batch")
    return batch // unit


def check_enough(sequences: int, seq_len: int, batch_tokens: int, place: object) -> None:
    """Refuse data that does not fill one batch.

    Raises:
        InputError: If it does not.
    """
    if sequences * seq_len < batch_tokens:
        found = f"{sequences:,} sequences of {seq_len:,} tokens do not fill one batch of {batch_tokens:,} tokens"
        raise InputError(place, found, "pack more text, or give a smaller batch_tokens")
