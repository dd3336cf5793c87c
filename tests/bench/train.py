"""Tokens per CPU-second of training: a bare loop, ours, the plain HF Trainer, TRL's SFTTrainer.

One thread, bf16 where the CPU computes in it, else fp32, the same fresh 20M Llama with 39,424 rows, the same packed sequences (2 x 512 a step), one run. The
bare loop has the same optimisations as ours (chunked loss, fused AdamW). The first steps, which warm up, are not
counted. ``YANMO_BENCH_STEPS`` gives the steps (default 8: about two minutes).
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenizer.shards import PIECES, TokenShards, write_shard
from workbench import manifest
from workbench.console import table

STEPS = int(os.environ.get("YANMO_BENCH_STEPS", "8"))
SEQ, MICRO, VOCABULARY, WARM = 512, 2, 39_410, 2


def bf16() -> bool:
    import torch

    from eval.models import computes_in_bf16

    return computes_in_bf16(torch.device("cpu"))


class Clock:
    """CPU and wall time after each step."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []

    def tick(self) -> None:
        self.ticks.append((time.process_time(), time.perf_counter()))

    def speed(self) -> tuple[float, float]:
        """Return tokens per CPU-second and per second, without the first steps."""
        (cpu, wall), (cpu_end, wall_end) = self.ticks[WARM - 1], self.ticks[STEPS - 1]
        tokens = SEQ * MICRO * (STEPS - WARM)
        return tokens / (cpu_end - cpu), tokens / (wall_end - wall)


def make_shards(folder: Path) -> TokenShards:
    """Write random ids as documents of 50 to 400 ids, packed."""
    rng = np.random.default_rng(0)
    ids = rng.integers(300, VOCABULARY, SEQ * MICRO * STEPS)
    rows, at = [], 0
    while at < len(ids):
        length = int(min(rng.integers(50, 400), SEQ - at % SEQ))
        rows.append((at, length, f"d/{at}", "bench", "", "head", 3 * length, 3))
        at += length
    pieces = pa.table([pa.array([r[n] for r in rows], f.type) for n, f in enumerate(PIECES)], schema=PIECES)
    (folder / "train").mkdir(parents=True)
    files = write_shard(folder, "train", 0, ids, pieces, seq_len=SEQ, vocab_size=VOCABULARY)
    about = {"tokens": len(ids), "documents": len(rows), "bytes": 3 * len(ids), "ledger": []}
    results = {"seq_len": SEQ, "vocab_size": VOCABULARY, "eos_id": 2, "bos_id": 1, "dtype": "<u2"}
    results |= {"tokenizer_sha256": "", "splits": {"train": about}}
    manifest.write(folder, manifest.Manifest("tokens", "bench", {}, [], files=files, results=results))
    return TokenShards.open(folder, "train")


def model_of(shards: TokenShards, *, chunked: bool) -> Any:
    from train.loss import use_chunked_loss
    from train.model import ModelSettings, make_model

    model = make_model(ModelSettings(), shards, 0)
    if chunked:
        use_chunked_loss(model)
    return model


def bare(shards: TokenShards, clock: Clock, folder: Path) -> None:
    import torch

    from eval.packing import batch

    model = model_of(shards, chunked=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True, weight_decay=0.1)
    for step in range(STEPS):
        inputs = batch(shards, [2 * step, 2 * step + 1], 39_424)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
            loss = model(**inputs)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        clock.tick()


def ticking(trainer: type[Any], clock: Clock) -> type[Any]:
    """A trainer that ticks after each step and saves nothing."""

    class Ticking(trainer):  # type: ignore[misc]
        def _maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
            super()._maybe_log_save_evaluate(*arguments, **named)
            clock.tick()

        def _save_checkpoint(self, *arguments: Any) -> None:
            pass

    return Ticking


def ours(shards: TokenShards, clock: Clock, folder: Path) -> None:
    from eval.packing import batch
    from train.checkpoint import CheckpointSettings
    from train.data import Order
    from train.job import Job, Machine
    from train.meter import shape_of
    from train.pt import PtSettings
    from train.schedule import OptimSettings
    from train.trainer import Discipline
    from workbench.console import Unseen
    from workbench.runs.metrics import Metrics

    optim, saved = OptimSettings(lr=1e-4), CheckpointSettings(every=None)
    precision: Any = "bf16" if bf16() else "fp32"
    settings = PtSettings(data=folder, tokenizer=folder, out=folder, precision=precision, optim=optim, checkpoint=saved)
    model = model_of(shards, chunked=True)
    job = Job(
        model=model,
        shape=shape_of(model),
        adapter=None,
        tokenizer=folder,
        vocabulary=VOCABULARY,
        samples=len(shards),
        order=Order(len(shards), 0),
        collate=lambda sequences: batch(shards, sequences, 39_424),
        steps=STEPS,
        micro_batch=MICRO,
        accumulation=1,
        seq_len=SEQ,
        score=dict,
        results=dict,
        documents=shards.documents,
    )
    trainer = ticking(Discipline, clock)(settings, job, Machine.of(settings), Metrics(folder), Unseen())
    trainer.go(None)


COMMON = {
    "max_steps": STEPS,
    "per_device_train_batch_size": MICRO,
    "use_cpu": True,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
    "learning_rate": 1e-4,
}


def plain(shards: TokenShards, clock: Clock, folder: Path) -> None:
    from transformers import PrinterCallback, Trainer, TrainingArguments

    from eval.packing import batch

    trainer = ticking(Trainer, clock)(
        model=model_of(shards, chunked=False),
        args=TrainingArguments(str(folder), bf16=bf16(), **COMMON),
        train_dataset=list(range(len(shards))),
        data_collator=lambda numbers: batch(shards, numbers, 39_424),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def sft(shards: TokenShards, clock: Clock, folder: Path) -> None:
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    pieces = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    rows = [{"input_ids": shards.ids(i).tolist()} for i in range(len(shards))]
    settings = SFTConfig(
        str(folder),
        max_length=SEQ,
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=bf16(),
        **COMMON,
    )
    trainer = ticking(SFTTrainer, clock)(
        model=model_of(shards, chunked=False),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=pieces,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()


KINDS: tuple[tuple[str, Callable[[TokenShards, Clock, Path], None]], ...] = (
    ("bare loop, same optimisations", bare),
    ("yanmo", ours),
    ("plain HF Trainer", plain),
    ("TRL SFTTrainer", sft),
)


def main() -> None:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        shards = make_shards(Path(root) / "tokens")
        speeds = {}
        for name, work in KINDS:
            clock, folder = Clock(), Path(tempfile.mkdtemp(dir=root))
            work(shards, clock, folder)
            shutil.rmtree(folder)
            gc.collect()
            speeds[name] = clock.speed()
    own = speeds["yanmo"][0]
    rows = [(name, cpu, wall, own / cpu) for name, (cpu, wall) in speeds.items()]
    table(
        (f"training, 20M, {'bf16' if bf16() else 'fp32'}", "tokens per CPU-second", "tokens a second", "yanmo is x"),
        rows,
        "2 x 512 tokens a step",
    )


if __name__ == "__main__":
    main()
