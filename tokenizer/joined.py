"""Two splits of token shards as one: what packing asks of a split (``eval.packing.Packed``), the second's behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenizer.shards import TokenShards
from workbench.errors import InputError


class Joined:
    """The replayed sequences are numbered after the main ones."""

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
