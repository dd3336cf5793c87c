"""What decides a pack, and what its workers need to know besides the piece of work in hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.encode import Encoder
from tokenizer.open import load_encoder
from tokenizer.runs import RunStore
from tokenizer.shards import id_type
from tokenizer.weights import Weight
from workbench.errors import ConfigError

SHARD_IDS = 1 << 26  # 128 MB of uint16; a worker needs about three times that
Packing = Literal["concat", "best-fit"]
PACKINGS: tuple[Packing, ...] = get_args(Packing)


@dataclass(frozen=True)
class PackSettings:
    """What decides the shards, besides the corpus and the tokenizer."""

    seq_len: int
    validation_share: float = 0.01
    seed: int = 0
    shard_ids: int = SHARD_IDS
    packing: Packing = "concat"
    weights: tuple[Weight, ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one makes no sense.
        """
        if self.seq_len < 2:
            raise ConfigError("--seq-len", f"{self.seq_len} is less than two", "a sequence predicts its second id")
        if not 0 <= self.validation_share < 1:
            raise ConfigError("--validation-share", f"{self.validation_share} is not in [0, 1)", "give 0.01, or 0")
        if self.seed < 0:
            raise ConfigError("--seed", f"{self.seed} is negative", "give a number from 0")
        if self.packing not in PACKINGS:
            raise ConfigError("--packing", f"{self.packing} is no packing", f"choose from: {', '.join(PACKINGS)}")

    @property
    def window(self) -> int:
        """Return the ids of a full shard: a whole number of sequences."""
        return max(1, self.shard_ids // self.seq_len) * self.seq_len


@dataclass(frozen=True)
class Job:
    """What a worker needs besides its unit or shard."""

    out: Path
    model: Path
    model_sha256: str  # a changed model is another job, also for a worker's cache
    settings: PackSettings
    vocab_size: int

    @property
    def runs(self) -> RunStore:
        """Return the runs."""
        return RunStore(self.out / "work", id_type(self.vocab_size))

    @property
    def encoder(self) -> Encoder | ByteLevelEncoder:
        """Return the tokenizer, loaded once in a process."""
        return load_encoder(self.model, self.model_sha256)
