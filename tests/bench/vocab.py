"""Is a larger vocabulary worth it? Base 32,000, zh7k's 39,410 and zh7k-plus's 49,920 under the same small model.

    make bench-vocab                                                     # about 25 minutes on one core
    make bench-vocab ARGS='--hidden 512 --layers 8 --text-mb 200 --batch 64'    # for a machine that has the time

Each vocabulary's model reads the same text once (*equal text*), and as many tokens as cost the FLOPs of the base's pass
over that text (*equal FLOPs*; 6 (body + head) + attention a token, so that a larger head is paid for). Bits per byte of
held-out Chinese, English and code, mean and standard deviation over the seeds, which change initial weights and order.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from tokenizer.base import find_base
from tokenizer.extend import extend
from tokenizer.vocabularies import find_list
from workbench.console import note, table

from .small import (
    SHARES,
    Body,
    Packed,
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

VOCABULARIES = {"base": (), "zh7k": ("zh7k",), "zh7k-plus": ("zh7k-plus",)}
KINDS = (*SHARES, "all")


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    out = argparse.ArgumentParser(prog="tests.bench.vocab", description=__doc__.splitlines()[0])
    out.add_argument("--base", default="llama", help="llama or mistral")
    out.add_argument("--text-mb", type=float, default=0.5, help="what each model reads once")
    out.add_argument("--json", type=Path, help="also write every run's figures")
    body_arguments(out)
    return out


def make_vocabularies(base: str, folder: Path) -> dict[str, Path]:
    """Write a tokenizer folder for each vocabulary; the base's is its own model alone."""
    found, out = find_base(base), {}
    for name, lists in VOCABULARIES.items():
        out[name] = folder / name
        if lists:
            extend(found, [find_list(word) for word in lists], out[name], pad_to=128)
        else:
            out[name].mkdir()
            (out[name] / "tokenizer.model").write_bytes(found.path.read_bytes())
    return out


def run(data: Packed, body: Body, seed: int, stops: dict[str, int]) -> dict[str, dict[str, float]]:
    """Train once and score at each stop, a number of steps; returns the bits by stop and kind."""
    model = body.model(data.train.vocab_size, seed)
    out = {}
    for done, _ in enumerate(steps(model, data.train, body, seed), start=1):
        if reached := [name for name, at in stops.items() if at == done]:
            found = bits(model, data.held_out)
            out |= dict.fromkeys(reached, found)
        if len(out) == len(stops):
            break
    return out


def main(words: list[str] | None = None) -> None:
    """Run the experiment and print its tables."""
    import torch

    arguments = parser().parse_args(words or [])
    torch.set_num_threads(arguments.threads)
    body, clock = body_of(arguments), Stopwatch()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder / "corpus", texts_of(folder), arguments.text_mb * 1e6, SHARES)
        tokenizers = make_vocabularies(arguments.base, folder)
        data = {key: packed(corpus, path, folder / f"{key}-tokens", body.seq_len) for key, path in tokenizers.items()}
        rows = {key: -(-one.train.vocab_size // 128) * 128 for key, one in data.items()}
        text = {key: len(one.train) // body.batch for key, one in data.items()}  # steps of one pass
        budget = text["base"] * body.flops(rows["base"])
        stops = {
            key: {"text": text[key], "FLOPs": max(1, round(budget / body.flops(rows[key])))} for key in VOCABULARIES
        }
        for seed in range(arguments.seeds):
            for key, one in data.items():
                found = run(one, body, seed, stops[key])
                note(f"{clock}: seed {seed}, {key}: {json.dumps(found)}")
                results += [{"seed": seed, "vocabulary": key, "at": at, **cells} for at, cells in found.items()]
        report(results, data, rows, stops, body, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps({"settings": vars(arguments), "runs": results}, default=str, indent=1))
    note(f"{clock} in all")


def report(
    results: list[dict[str, Any]],
    data: dict[str, Packed],
    rows: dict[str, int],
    stops: dict[str, dict[str, int]],
    body: Body,
    arguments: argparse.Namespace,
) -> None:
    """Print what was run, and a table for equal text and one for equal FLOPs."""
    tokens = body.batch * body.seq_len
    cells = [
        (
            key,
            one.train.vocab_size,
            body.parameters,
            rows[key] * body.hidden,
            body.flops(rows[key]) / 1e6,
            one.train.text_bytes / one.train.tokens,
            stops[key]["text"] * tokens,
            stops[key]["FLOPs"] * tokens,
            stops[key]["FLOPs"] / stops[key]["text"],
        )
        for key, one in data.items()
    ]
    named = ("vocabulary", "pieces", "body", "embedding", "MFLOPs a token", "bytes a token")
    title = (
        f"{arguments.text_mb} MB of text, {', '.join(f'{share:.0%} {kind}' for kind, share in SHARES.items())};"
        f" {body.layers} layers of {body.hidden}, {tokens:,} tokens a step, lr {body.lr}, {arguments.seeds} seeds"
    )
    table((*named, "tokens, equal text", "tokens, equal FLOPs", "passes, equal FLOPs"), cells, title)
    for at in ("text", "FLOPs"):
        grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in results:
            if one["at"] == at:
                grouped[one["vocabulary"]].append(one)
        lines = [
            (key, *(mean_and_deviation([one[kind] for one in found]) for kind in KINDS))
            for key, found in grouped.items()
        ]
        table((f"bits per byte, equal {at}", *KINDS), lines)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
