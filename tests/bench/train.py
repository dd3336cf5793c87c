"""Training: tokens per CPU-second and peak memory of a bare loop, ours, the plain HF Trainer, TRL's SFTTrainer.

    make bench, or python -m tests.bench train                23M and 110M parameters, some 15 minutes on a quiet core
    YANMO_BENCH_STEPS=20 YANMO_BENCH_SIZES=23M python -m tests.bench train

Each is a process of its own with one thread: bf16 where the CPU computes in it, else fp32; the same fresh Llama with
39,424 rows (tied), the same packed sequences (2 x 512 a step). The bare loop has the same optimisations as ours
(chunked loss, fused AdamW). The first two steps, which warm up, are not counted. Memory is the process's high-water
mark, with the libraries that each needs (the row "imports only" shows a process that trains nothing). ``data`` is the
share of our steps' time that waits for data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenizer.shards import PIECES, TokenShards, write_shard
from workbench import manifest
from workbench.console import note, table

STEPS = int(os.environ.get("YANMO_BENCH_STEPS", "10"))
SIZES = {  # of ModelSettings
    "23M": {"hidden_size": 320, "layers": 8, "heads": 5, "mlp_size": 960},
    "110M": {"hidden_size": 768, "layers": 12, "heads": 12, "mlp_size": 1856},
}
SEQ, MICRO, VOCABULARY, WARM = 512, 2, 39_410, 2


def bf16() -> bool:
    import torch

    from eval.device import computes_in_bf16

    return computes_in_bf16(torch.device("cpu"))


class Clock:
    """CPU and wall time after each step of a model of some size."""

    def __init__(self, size: str) -> None:
        self.size = size
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


def model_of(size: str, shards: TokenShards, *, chunked: bool) -> Any:
    from train.loss import use_chunked_loss
    from train.model import ModelSettings, make_model

    model = make_model(ModelSettings(**SIZES[size]), shards, 0)
    if chunked:
        use_chunked_loss(model)
    return model


def bare(shards: TokenShards, clock: Clock, folder: Path) -> None:
    import torch

    from eval.packing import batch

    model = model_of(clock.size, shards, chunked=True)
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
    from eval.device import Machine
    from eval.packing import batch
    from train.checkpoint import CheckpointSettings
    from train.data import Order
    from train.job import Job
    from train.meter import shape_of
    from train.pt import PtSettings
    from train.schedule import OptimSettings
    from train.trainer import Discipline
    from workbench.console import Unseen
    from workbench.runs.metrics import Metrics

    optim, saved = OptimSettings(lr=1e-4), CheckpointSettings(every=None)
    precision: Any = "bf16" if bf16() else "fp32"
    settings = PtSettings(data=folder, tokenizer=folder, out=folder, precision=precision, optim=optim, checkpoint=saved)
    model = model_of(clock.size, shards, chunked=True)
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
    trainer = ticking(Discipline, clock)(settings, job, Machine.of(settings.precision), Metrics(folder), Unseen())
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
        model=model_of(clock.size, shards, chunked=False),
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
        model=model_of(clock.size, shards, chunked=False),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=pieces,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def nothing(shards: TokenShards, clock: Clock, folder: Path) -> None:
    import transformers  # noqa: F401

    import train.trainer  # noqa: F401


KINDS: dict[str, tuple[str, Callable[[TokenShards, Clock, Path], None], float | None]] = {
    "bare": ("bare loop, same optimisations", bare, 0.97),  # and how many times its speed is asked of ours
    "ours": ("yanmo", ours, None),
    "plain": ("plain HF Trainer", plain, 1.3),
    "sft": ("TRL SFTTrainer", sft, 3.2),
    "nothing": ("imports only", nothing, None),
}


def peak_mb() -> float:
    """Return the most memory that this process has held (VmHWM: getrusage would count the parent's before exec)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def one(kind: str, size: str, tokens: str) -> None:
    """Run one contender in this process and print its figures as JSON."""
    import torch

    torch.set_num_threads(1)
    clock = Clock(size)
    with tempfile.TemporaryDirectory() as folder:
        KINDS[kind][1](TokenShards.open(Path(tokens), "train"), clock, Path(folder))
        rows = Path(folder) / "metrics.jsonl"
        steps = [json.loads(line) for line in rows.read_text().splitlines()] if rows.is_file() else []
    waits = [row["data_wait"] for row in steps if "data_wait" in row]
    found = {"memory": peak_mb(), "wait": sum(waits) / len(waits) if waits else None}
    if clock.ticks:
        found["cpu"], found["wall"] = clock.speed()
    print(json.dumps(found))


def measured(kind: str, size: str, tokens: Path) -> dict[str, Any]:
    """Run one contender in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-m", "tests.bench.train", kind, size, str(tokens)]
    ended = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        make_shards(tokens := Path(root) / "tokens")
        for size in os.environ.get("YANMO_BENCH_SIZES", ",".join(SIZES)).split(","):
            found = {kind: measured(kind, size, tokens) for kind in KINDS}
            report(size, found)


def report(size: str, found: dict[str, dict[str, Any]]) -> None:
    """Print a size's table, and what is asked."""
    own, rows = found["ours"], []
    for kind, (name, _, asked) in KINDS.items():
        here = found[kind]
        times = own["cpu"] / here["cpu"] if "cpu" in here else None
        verdict = "" if asked is None or times is None else f"{asked} asked: {'met' if times >= asked else 'NOT met'}"
        speeds = [f"{here[key]:,.0f}" if key in here else "" for key in ("cpu", "wall")]
        rows.append((name, *speeds, "" if times is None else f"{times:.2f}", verdict, f"{here['memory']:,.0f}"))
    heads = ("training", "tokens per CPU-second", "tokens a second", "yanmo is x", "", "peak MB")
    what = "bf16" if bf16() else "fp32"
    table(heads, rows, f"{size}, {what}, 2 x 512 tokens a step, {STEPS - WARM} steps, one thread")
    least = min(found[kind]["memory"] for kind in ("bare", "plain", "sft"))
    higher = f"{own['memory'] / least - 1:+.1%} against the least of the others"
    note(f"{size}: waiting for data {own['wait']:.2%} of the time (under 1 % asked); peak memory {higher}")


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else one(*sys.argv[1:])
