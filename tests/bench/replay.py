"""How much general text must be replayed when a trained model goes on over another domain?

    make bench-replay                               # 45 minutes of one core; again: it goes on where it was
    make bench-replay ARGS='--lr 1e-4 --shares 0'
    make bench-replay ARGS='--steps 2000 --batch-tokens 16384 --general 128 --medical 128 --out data/bench/replay-32m'

The pre-trained SmolLM2-135M-Instruct goes on over medical Chinese with 0, 10, 25 and 50 % of its sequences replayed from
English novels and web pages, by our own commands: ``corpus build``, ``tokenizer pack``, ``train stage=pt``. The budget
is the same for all, so a larger share leaves fewer medical tokens. Bits per byte of held-out documents of both; the
rise of the general ones with the standard error over its sequences, each compared with itself. Everything is kept in
``--out``, so that the same command goes on where it was; the archives are those of ../shared/data, or of ``--data``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bits import bits_by_sequence
from eval.models import load_model
from tokenizer.shards import TokenShards
from train.data import ReplaySettings
from workbench.console import note, table

from .small import Stopwatch

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
MEDICAL = ("medical__huatuo-bentsao", "medical__toyhom-dialogue-gb18030")
GENERAL = ("books=en_books__litbank-gutenberg-12", "html=en_web__newspaper-html-pages")
MOST_RISE = 0.01  # of the general bits per byte
HELD_OUT = {"medical": "0.05", "general": "0.2"}  # of the documents


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    out = argparse.ArgumentParser(prog="tests.bench.replay", description=__doc__.splitlines()[0])
    out.add_argument("--model", type=Path, help="a model folder (default: SmolLM2, through pip)")
    out.add_argument("--data", type=Path, default=SHARED, help="the folder of the archives")
    out.add_argument("--out", type=Path, default=Path("data/bench/replay"))
    out.add_argument("--shares", default="0,0.1,0.25,0.5")
    out.add_argument("--steps", type=int, default=64)
    out.add_argument("--batch-tokens", type=int, default=512)
    out.add_argument("--seq-len", type=int, default=256)
    out.add_argument("--lr", default="5e-4")
    out.add_argument("--medical", type=int, default=24, help="held-out sequences to score")
    out.add_argument("--general", type=int, default=48, help="held-out sequences to score")
    out.add_argument("--threads", type=int, default=1)
    return out


def run(*words: str | Path) -> None:
    """Run one of our commands as a user does, its progress to stderr."""
    note(f"$ {' '.join(map(str, words))}")
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True, stdout=subprocess.DEVNULL, cwd=Path.cwd())


def corpora(data: Path, out: Path) -> None:
    """Build both corpora."""
    if not data.is_dir():
        raise SystemExit(f"{data} is not there: name the folder of the archives with --data")
    raw = out / "raw"
    if not raw.is_dir():
        for name in MEDICAL:
            with tarfile.open(data / f"{name}.tar.xz") as archive:
                archive.extractall(raw, filter="data")
    common = ("--no-proxy", "--workers", "1")
    run("corpus", "build", "--src", f"medical={raw}", "--out", out / "medical", *common)
    sources = [word.split("=") for word in GENERAL]
    words = [word for name, file in sources for word in ("--src", f"{name}={data / file}.tar.xz")]
    chapters = ("--set", "books.document=chapter", "--recipe", "en-web")
    run("corpus", "build", *words, *chapters, "--out", out / "general", *common)


def general_bits(model: Path, shards: TokenShards, wanted: int) -> NDArray[np.float64]:
    """Return bits and bytes of each scored sequence, shape (2, sequences)."""
    found: dict[int, NDArray[np.float64]] = {}
    for sequence, _, one in bits_by_sequence(load_model(model, "cpu"), shards, sequences=wanted):
        found[sequence] = found.get(sequence, np.zeros(2)) + np.array([one.bits, one.bytes])
    return np.stack([found[sequence] for sequence in sorted(found)], axis=1)


def per_byte(found: NDArray[np.float64]) -> float:
    """Return the bits per byte of all sequences together."""
    return float(found[0].sum() / found[1].sum())


def rise(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Return the relative rise of the bits, and its standard error over the sequences (linearised ratio)."""
    ratio = after[0].sum() / before[0].sum()
    left = after[0] - ratio * before[0]
    return float(ratio - 1), float(left.std(ddof=1) * math.sqrt(len(left)) / before[0].sum())


def trained(share: float, model: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train with a share of replay; returns the run's results. Its checkpoints are removed: they are three models."""
    out = arguments.out
    folder = out / f"run-{arguments.lr}-{share:g}"
    words = {
        "data": out / "medical-tokens",
        "tokenizer": model,
        "out": folder,
        "model.weights": model,
        "steps": arguments.steps,
        "batch_tokens": arguments.batch_tokens,
        "micro_batch": max(1, min(2, arguments.batch_tokens // arguments.seq_len)),
        "precision": "fp32",
        "optim.lr": arguments.lr,
        "optim.schedule": "wsd",
        "optim.warmup": max(1, arguments.steps // 10),
        "eval.sequences": arguments.medical,
        **({"replay.data": out / "general-tokens", "replay.share": share} if share else {}),
    }
    run("train", "stage=pt", *(f"{key}={value}" for key, value in words.items()))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return dict(json.loads((folder / "manifest.json").read_text())["results"])


def main(words: list[str] | None = None) -> None:
    """Run the experiment and print its table."""
    import torch

    arguments = parser().parse_args(words or [])
    out, clock = arguments.out, Stopwatch()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    out.mkdir(parents=True, exist_ok=True)
    model = arguments.model or out / "smollm2"
    if arguments.model is None:
        subprocess.run([sys.executable, ROOT / "docs/examples/get_smollm2.py", model], check=True, stdout=sys.stderr)
    corpora(arguments.data, out)
    for name, share in HELD_OUT.items():
        to = ("--tokenizer", model, "--seq-len", str(arguments.seq_len), "--out", out / f"{name}-tokens")
        run("tokenizer", "pack", out / name, *to, "--validation-share", share, "--workers", "1")
    held_out = TokenShards.open(out / "general-tokens", "validation")
    before = general_bits(model, held_out, arguments.general)
    note(f"{clock}: before, general {per_byte(before):.4f}")
    rows: list[tuple[Any, ...]] = []
    for share in map(float, arguments.shares.split(",")):
        results = trained(share, model, arguments)
        after = general_bits(Path(results["model"]), held_out, arguments.general)
        change, error = rise(before, after)
        told = f"{results['tokens'] * (1 - share):,.0f}"
        medical, first = results["bits_after"], results["bits_before"]
        if not rows:
            rows.append(("before", "–", first, "–", per_byte(before), "–", "–"))
        fall, general = f"{medical / first - 1:+.1%}", per_byte(after)
        rows.append((f"{share:.0%}", told, medical, fall, general, f"{change:+.2%} ± {error:.2%}", change <= MOST_RISE))
        note(f"{clock}: {rows[-1]}")
    report(rows, before, arguments)
    note(f"{clock} in all")


def report(rows: list[tuple[Any, ...]], before: NDArray[np.float64], arguments: argparse.Namespace) -> None:
    """Print the table, and which share it speaks for."""
    heads = ("replay", "medical tokens read", "medical, bits a byte", "change", "general, bits a byte", "rise")
    cells = [(*row[:2], f"{row[2]:.4f}", row[3], f"{row[4]:.4f}", row[5]) for row in rows]
    tokens = arguments.steps * arguments.batch_tokens
    title = (
        f"{tokens:,} tokens a run: {arguments.steps} steps of {arguments.batch_tokens}, sequences of"
        f" {arguments.seq_len}, wsd to {arguments.lr}; {before.shape[1]} general sequences, {before[1].sum():,.0f} bytes"
    )
    table(heads, cells, title)
    enough = [row[0] for row in rows[1:] if row[-1]]
    speaks = f"the smallest share with a rise of at most {MOST_RISE:.0%}: {enough[0] if enough else 'none of these'}"
    note(f"{speaks}; by default nothing is replayed, and {ReplaySettings().share:.0%} of what replay.data= names")


if __name__ == "__main__":
    main(sys.argv[1:])
