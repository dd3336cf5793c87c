"""A small model, trained and scored as a real one is: ``tokenizer pack``, packed batches, bits per byte.

What ``bench-vocab`` and ``bench-embed`` share. A corpus is Chinese, English and code in given shares of bytes; each
kind is a source, so that the held-out bits are told apart by source. AdamW, a warm-up, then a constant rate, so that a
model can be scored on its way and goes on.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from eval.bits import NOTHING, bits_of_shards, by
from tokenizer.pack import PackSettings, pack
from tokenizer.shards import SPLITS, TokenShards
from workbench import manifest

SHARES = {"Chinese": 0.6, "English": 0.25, "code": 0.15}  # of the bytes
HELD_OUT = 0.08  # of the documents
WARM_UP = 20  # steps
EVAL_BATCH = 16


@dataclass(frozen=True)
class Body:
    """What is the same whatever the vocabulary."""

    hidden: int
    layers: int
    seq_len: int
    batch: int  # sequences a step
    lr: float

    @property
    def parameters(self) -> int:
        """Return the parameters that are no embedding."""
        mlp = self.hidden * 3
        return self.layers * (4 * self.hidden**2 + 3 * self.hidden * mlp)

    def flops(self, rows: int) -> float:
        """Return the FLOPs of training on a token: 6 (body + head) and the attention's."""
        return 6 * (self.parameters + rows * self.hidden) + 12 * self.layers * self.hidden * self.seq_len

    def model(self, vocabulary: int, seed: int) -> Any:
        """Return a fresh model with tied embeddings."""
        import torch
        from transformers import LlamaForCausalLM

        from train.loss import use_chunked_loss
        from train.model import ModelSettings, fresh_config

        settings = ModelSettings(
            hidden_size=self.hidden, layers=self.layers, heads=max(1, self.hidden // 64), mlp_size=self.hidden * 3
        )
        torch.manual_seed(seed)
        model = LlamaForCausalLM(fresh_config(settings, vocabulary, {"bos_token_id": 1, "eos_token_id": 2}))
        use_chunked_loss(model)
        return model


def body_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``Body`` and of the text."""
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4, help="sequences a step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)


def body_of(arguments: argparse.Namespace) -> Body:
    """Return the body that the flags describe."""
    return Body(arguments.hidden, arguments.layers, arguments.seq_len, arguments.batch, arguments.lr)


def write_corpus(
    folder: Path, texts: dict[str, pl.Series], size: float, shares: dict[str, float], begin: float = 0
) -> Path:
    """Write a corpus of ``size`` bytes: of each kind the documents whose hashes come first, until its share is full.

    Args:
        folder: Where.
        texts: The documents of each kind.
        size: Bytes.
        shares: Of the bytes, by kind.
        begin: Other documents: those that come after so many bytes, shared out alike.
    """
    frames = []
    for kind, share in shares.items():
        documents = [text for text in texts[kind].to_list() if text.strip()]
        documents.sort(key=lambda text: xxhash.xxh3_64_intdigest(text.encode()))
        frame = pl.DataFrame({"text": documents}).with_columns(at=pl.col("text").str.len_bytes().cum_sum())
        low, high = share * begin, share * (begin + size)
        if frame["at"][-1] < high:
            raise SystemExit(
                f"{kind} has {frame['at'][-1]:,} bytes, {high:,.0f} are asked for: give a smaller --text-mb"
            )
        frame = frame.filter((pl.col("at") > low) & (pl.col("at") <= high)).with_row_index("n")
        named = {"source": pl.lit(kind), "domain": pl.lit(""), "bucket": pl.lit("head")}
        frames.append(frame.select(pl.format("{}/{}", pl.lit(kind), "n").alias("id"), "text", **named))
    path = folder / "kept/bucket=head/part-00000.parquet"
    path.parent.mkdir(parents=True)
    frame = pl.concat(frames)
    frame.write_parquet(path)
    files = [manifest.describe_file(path, folder, rows=len(frame))]
    manifest.write(folder, manifest.Manifest("corpus", f"{folder.name}-{len(frame)}", {}, [], [], files, {}))
    return folder


@dataclass(frozen=True)
class Packed:
    """A corpus in the ids of one vocabulary."""

    train: TokenShards
    held_out: TokenShards


def packed(corpus: Path, tokenizer: Path, out: Path, seq_len: int) -> Packed:
    """Pack a corpus; the held-out documents, some of each kind, are the same whatever the vocabulary."""
    made = pack(corpus, tokenizer, out, PackSettings(seq_len, HELD_OUT), workers=1)
    train, held_out = ({row["source"] for row in made["splits"].get(split, {}).get("ledger", [])} for split in SPLITS)
    if lacking := sorted(train - held_out):
        raise SystemExit(f"no document of {', '.join(lacking)} is held out: give a larger --text-mb")
    return Packed(TokenShards.open(out, "train"), TokenShards.open(out, "validation"))


def steps(model: Any, data: TokenShards, body: Body, seed: int) -> Iterator[float]:
    """Train, a step at a time and without end; yields the loss. Passes over the data are shuffled anew."""
    import torch

    from eval.device import computes_in_bf16
    from eval.packing import batch
    from train.data import Order

    rows = model.get_input_embeddings().num_embeddings
    order = Order(len(data), seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=body.lr, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    bf16 = computes_in_bf16(torch.device("cpu"))
    for step in itertools.count():
        model.train()
        inputs = batch(data, [order[step * body.batch + n] for n in range(body.batch)], rows)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(**inputs)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        optimizer.zero_grad()
        yield loss.item()


def bits(model: Any, held_out: TokenShards) -> dict[str, float]:
    """Return the bits per byte of each kind, and of all together."""
    import torch

    from eval.device import computes_in_bf16

    precision = "bf16" if computes_in_bf16(torch.device("cpu")) else "fp32"
    found = bits_of_shards(model, held_out, batch_size=EVAL_BATCH, precision=precision)
    out = {source: one.per_byte for source, one in sorted(by(found, "source").items())}
    return {**out, "all": sum(found.values(), NOTHING).per_byte}


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return ``1.234 ± 0.005``: mean and sample standard deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.begin = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self.begin:,.0f} s"
