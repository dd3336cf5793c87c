"""What a run came to, for a person: the table at its end and the model card, from the manifest's results alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.console import table
from workbench.version import __version__

CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [yanmo, {family}]
---

# {name}

A {family} causal language model of {parameters:,} parameters (each counted once), made by yanmo {version}, stage `pt`.

| | |
|---|---|
| started from | {started_from} |
| trained on | {tokens:,} tokens in {steps:,} steps of {batch_tokens:,}, sequences of {seq_len:,} |
| data | `{data}` ({passes:.2f} passes over {data_tokens:,} tokens) |
| vocabulary | {vocabulary:,} pieces, embedding of {rows:,} rows |
| loss, nats a token | {loss_first:.4f} at the first step, {loss_last:.4f} over the last ones |
| bits per byte, held out | {bits_before:.4f} before, {bits_after:.4f} after |
| speed | {tokens_per_second:,.0f} tokens/s, {tflops:.4g} model TFLOP/s a device, {precision}, {device} |

Bits per byte are measured on {bits_bytes:,} bytes of the validation split; `evaluate bits --model DIR --tokens DIR`
measures them again. The settings of the run, its inputs and their hashes are in the run's `manifest.json`; what the
corpus holds, and what was rejected from it, is in the corpus's own report.

It is a base model: it continues text. It was not aligned, and not tested for safety. Documents were packed into
sequences so that none sees another.
"""


def print_summary(results: Mapping[str, Any]) -> None:
    """Print the table of a finished run."""
    if "told" in results:
        table(("what", "value", "note"), results["told"], title=f"Training run, stage {results['stage']}")
        return
    bits = (f"{results['bits_before']:.4f} → {results['bits_after']:.4f}", "held out, lower is better")
    mfu = results.get("mfu")
    peak = f", {mfu:.1%} of the device's peak" if mfu else ""
    rows = [
        ("loss, first step", f"{results['loss_first']:.4f}", "nats a token"),
        ("loss, last steps", f"{results['loss_last']:.4f}", f"mean of the last {results['loss_last_steps']}"),
        ("bits per byte", *bits),
        (
            "tokens",
            f"{results['tokens']:,}",
            f"{results['steps']:,} steps, {results['passes']:.2f} passes over the data",
        ),
        ("tokens a second", f"{results['tokens_per_second']:,.0f}", f"{results['precision']}, {results['device']}"),
        ("model TFLOP/s", f"{results['tflops']:.4g}", f"a device, with attention{peak}"),
        ("waiting for data", f"{results['data_wait']:.2%}", "of the time"),
        ("training took", f"{results['seconds']:,.0f} s", "without evaluation and saving"),
        ("parameters", f"{results['parameters']:,}", f"vocabulary {results['vocabulary']:,}, rows {results['rows']:,}"),
        ("model", str(results["model"]), "safetensors, with its tokenizer"),
        ("curves", str(results["curves"]), ""),
    ]
    table(("what", "value", "note"), rows, title="Training run")


def write_card(folder: Path, results: Mapping[str, Any]) -> None:
    """Write the model card of a run beside its model."""
    if "told" in results:
        rows = "".join(f"| {name} | {value} | {about} |\n" for name, value, about in results["told"])
        head = f"# {results['name']}\n\nMade by yanmo {__version__}, stage `{results['stage']}`."
        text = f"{head}\n\n| | | |\n|---|---|---|\n{rows}"
    else:
        text = CARD.format(version=__version__, **results)
    (folder / "README.md").write_text(text, encoding="utf-8")
