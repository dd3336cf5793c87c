"""Replay: a share of general text mixed into continued training, against forgetting; evenly, exactly, without state.

Of the first k samples of the run, floor(k x share) come from the replayed shards. Which one the k-th is follows from k
alone, so the cursor stays the whole state. Cost: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from train.data import Order
from workbench.config import between, setting
from workbench.errors import InputError

if TYPE_CHECKING:
    from tokenizer.shards import TokenShards


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


class Mixed:
    """Two splits of token shards as one, the replayed sequences numbered after the main ones."""

    def __init__(self, main: TokenShards, replayed: TokenShards) -> None:
        """Join them.

        Raises:
            InputError: If they were packed with another tokenizer or length, or nothing is there to replay.
        """
        if not len(replayed):
            raise InputError(replayed.folder, "has no training sequence", "name shards that have some")
        ours, theirs = (main.tokenizer_sha256, main.seq_len), (replayed.tokenizer_sha256, replayed.seq_len)
        if ours != theirs:
            what = "another tokenizer" if ours[0] != theirs[0] else f"sequences of {theirs[1]:,}, not {ours[1]:,}"
            raise InputError(replayed.folder, f"was packed with {what}", f"pack it as {main.folder} was")
        self.main, self.replayed, self.seq_len = main, replayed, main.seq_len

    def __len__(self) -> int:
        return len(self.main) + len(self.replayed)

    def _of(self, i: int) -> tuple[TokenShards, int]:
        return (self.main, i) if i < len(self.main) else (self.replayed, i - len(self.main))

    def ids(self, i: int) -> NDArray[np.int64]:
        """Return sample i, shape (seq_len,)."""
        shards, at = self._of(i)
        return shards.ids(at)

    def starts(self, i: int) -> NDArray[np.int64]:
        """Return where in sample i a document piece begins."""
        shards, at = self._of(i)
        return shards.starts(at)

    def valid(self, i: int) -> int:
        """Return how many ids of sample i are not padding."""
        shards, at = self._of(i)
        return shards.valid(at)

    def position_ids(self, i: int) -> NDArray[np.int64]:
        """Return positions that restart at each document piece."""
        shards, at = self._of(i)
        return shards.position_ids(at)

    def documents(self, i: int) -> list[str]:
        """Return the document ids in sample i."""
        shards, at = self._of(i)
        return shards.documents(at)
