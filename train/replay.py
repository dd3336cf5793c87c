"""Replay: a share of general text mixed into continued training, against forgetting; evenly, exactly, without state.

Of the first k samples of the run, floor(k x share) come from the replayed shards. Which one the k-th is follows from k
alone, so the cursor stays the whole state. Cost: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.data import Order
from workbench.config import between, setting


@dataclass(frozen=True)
class ReplaySettings:
    """What is replayed."""

    data: Path | None = setting(None, "token shards of general text, packed alike; none: no replay")
    share: float = setting(0.1, "share of all sequences that come from it", check=between(0, 0.9))


class MixedOrder(Order):
    """Samples of the main shards by their numbers, of the replayed ones by numbers past those."""

    def __init__(self, main: int, replayed: int, share: float, seed: int) -> None:
        """Fix both orders.

        Args:
            main: Sequences of the main shards.
            replayed: Sequences of the replayed ones.
            share: Of the samples that are replayed, below 1.
            seed: The run's.
        """
        super().__init__(main, seed)
        self.share = share
        self.replayed = Order(replayed, seed + 1)

    def __getitem__(self, k: int) -> int:
        """Return the k-th sample of the run."""
        before = int(k * self.share)
        if int((k + 1) * self.share) > before:
            return self.sequences + self.replayed[before]
        return super().__getitem__(k - before)
