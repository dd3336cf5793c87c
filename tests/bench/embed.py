"""How should the rows of new pieces begin? Bits per byte at step 0 and after N steps, by ``tokenizer embed --init``.

    make bench-embed                                       # about 15 minutes on one core
    make bench-embed ARGS='--hidden 512 --layers 8 --base-mb 200 --text-mb 50 --stops 0,500,5000'

A small model reads text in the base vocabulary (``--base-mb``, a pass), gets the rows of an extended one by each init,
and goes on over other text (``--text-mb``, for the last of ``--stops``). Each seed has a base model, an order and random
rows of its own; the table has means and standard deviations over the seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from eval.models import load_model
from tokenizer.embed import embed
from tokenizer.rows import INITS, Init
from tokenizer.shards import TokenShards
from workbench.console import note, table

from .small import (
    SHARES,
    Body,
    Stopwatch,
    bits,
    body_arguments,
    body_of,
    mean_and_deviation,
    packed,
    steps,
    write_corpus,
)
from .texts import texts_of
from .vocab import KINDS, make_vocabularies


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    out = argparse.ArgumentParser(prog="tests.bench.embed", description=__doc__.splitlines()[0])
    out.add_argument("--base", default="llama", help="llama or mistral")
    out.add_argument("--to", default="zh7k", choices=("zh7k", "zh7k-plus"), help="the extended vocabulary")
    out.add_argument("--base-mb", type=float, default=1.0, help="text that the base model reads")
    out.add_argument("--text-mb", type=float, default=0.5, help="text that the extended model goes on over")
    out.add_argument("--stops", default="0,25,100", help="steps after which to score, with commas")
    out.add_argument("--inits", default=",".join(INITS))
    out.add_argument("--json", type=Path, help="also write every run's figures")
    body_arguments(out)
    return out


def save(model: Any, folder: Path, tokenizer: Path) -> Path:
    """Write a model as its users get it: safetensors, with the tokenizer it was trained with."""
    model.save_pretrained(folder)
    shutil.copyfile(tokenizer / "tokenizer.model", folder / "tokenizer.model")
    return folder


def extended(base: Path, tokenizer: Path, out: Path, init: Init, seed: int) -> Any:
    """Return the base model with the rows of the extended vocabulary."""
    from train.loss import use_chunked_loss

    embed(base, tokenizer, out, init=init, pad_to=None, seed=seed)
    model = load_model(out, "cpu")
    shutil.rmtree(out)
    use_chunked_loss(model)
    return model


def main(words: list[str] | None = None) -> None:
    """Run the experiment and print its tables."""
    import torch

    arguments = parser().parse_args(words or [])
    torch.set_num_threads(arguments.threads)
    body, clock = body_of(arguments), Stopwatch()
    stops = sorted({int(word) for word in arguments.stops.split(",")})
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = texts_of(folder)
        tokenizers = make_vocabularies(arguments.base, folder)
        first = write_corpus(folder / "base", texts, arguments.base_mb * 1e6, SHARES)
        other = write_corpus(folder / "other", texts, arguments.text_mb * 1e6, SHARES, begin=arguments.base_mb * 1e6)
        base_data = packed(first, tokenizers["base"], folder / "base-tokens", body.seq_len)
        data = packed(other, tokenizers[arguments.to], folder / "other-tokens", body.seq_len)
        reference = packed(other, tokenizers["base"], folder / "reference-tokens", body.seq_len)
        for seed in range(arguments.seeds):
            base = trained_base(body, base_data.train, seed)
            found = bits(base, reference.held_out)
            note(f"{clock}: seed {seed}, the base in its own vocabulary: {json.dumps(found)}")
            results.append({"seed": seed, "init": "the base, its own vocabulary", "step": 0, **found})
            saved = save(base, folder / f"model-{seed}", tokenizers["base"])
            for init in arguments.inits.split(","):
                model = extended(saved, tokenizers[arguments.to], folder / f"{init}-{seed}", init, seed)
                for step, found in scored(model, data.train, data.held_out, body, seed, stops):
                    note(f"{clock}: seed {seed}, {init}, step {step}: {json.dumps(found)}")
                    results.append({"seed": seed, "init": init, "step": step, **found})
    report(results, base_data.train, stops, body, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps({"settings": vars(arguments), "runs": results}, default=str, indent=1))
    note(f"{clock} in all")


def trained_base(body: Body, data: TokenShards, seed: int) -> Any:
    """Return a model that has read the data once."""
    model = body.model(data.vocab_size, seed)
    for _ in zip(range(len(data) // body.batch), steps(model, data, body, seed), strict=False):
        pass
    return model


def scored(
    model: Any, data: TokenShards, held_out: TokenShards, body: Body, seed: int, stops: list[int]
) -> list[tuple[int, dict[str, float]]]:
    """Train to the last stop; returns the bits at each."""
    out = [(0, bits(model, held_out))] if stops[0] == 0 else []
    for step, _ in zip(range(1, stops[-1] + 1), steps(model, data, body, seed), strict=False):
        if step in stops:
            out.append((step, bits(model, held_out)))
    return out


def report(
    results: list[dict[str, Any]], base: TokenShards, stops: list[int], body: Body, arguments: argparse.Namespace
) -> None:
    """Print a table a stop."""
    tokens = body.batch * body.seq_len
    title = (
        f"base model: {body.layers} layers of {body.hidden}, {base.tokens:,} tokens of {arguments.base_mb} MB;"
        f" {arguments.to} with {tokens:,} tokens a step, lr {body.lr}, {arguments.seeds} seeds"
    )
    for stop in stops:
        grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in results:
            if one["step"] == stop:
                grouped[one["init"]].append(one)
        lines = [
            (init, *(mean_and_deviation([one[kind] for one in found]) for kind in KINDS))
            for init, found in grouped.items()
        ]
        table((f"bits per byte, step {stop}", *KINDS), lines, title if stop == stops[0] else None)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
