"""What a run came to, for a person: the table at its end and the model card, from the manifest's results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.console import table
from workbench.version import __version__

# What is scored on held-out data, by its key in metrics.jsonl: its name, and which way is better.
SCORES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bits_per_byte": ("bits per byte", "held out, lower is better"),
        "held_out_loss": ("loss of answers", "nats a token, held out, lower is better"),
        "accuracy": ("accuracy", "share of held-out pairs whose chosen answer is preferred"),
        "margin": ("margin", "of chosen over rejected, mean over held-out pairs"),
    }
)
LAST_STEPS = 10  # the last loss is their mean: one step's is noise
BASE = "It is a base model: it continues text. It was not aligned, and not tested for safety."
CHAT = "It answers in the chat template named above. It was not tested for safety."
# What a stage makes: its task for the hub, what it is, and what is to be known.
KINDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "pt": ("text-generation", "causal language model", BASE),
        "rm": ("text-classification", "reward model", "It gives one number to a whole dialogue: higher is better."),
    }
)
CARD = """---
library_name: transformers
pipeline_tag: {task}
tags: [yanmo, {family}]
---

# {name}

A {family} {what} of {parameters:,} parameters (each counted once), made by yanmo {version}, stage `{stage}`.

| | | |
|---|---|---|
| started from | {started_from} | |
{rows}
| vocabulary | {vocabulary:,} pieces | embedding of {rows_count:,} rows |
| loss | {loss_first:.4f} at the first step | {loss_last:.4f} over the last ones |
| speed | {tokens_per_second:,.0f} tokens/s | {tflops:.4g} model TFLOP/s a device, {precision}, {device} |

The settings of the run, its inputs and their hashes are in the run's `manifest.json`; `train lineage RUN` prints what
it was made from, down to the raw files. Texts packed into one sequence did not see each other.

{closing}
"""


def speed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of a whole run from its metrics: the speed is all tokens over all seconds."""
    steps = [row for row in rows if "lr" in row]
    last = steps[-1]
    tail = [row["loss"] for row in steps[-LAST_STEPS:]]
    rate = last["tokens"] / last["seconds"]
    return {
        "loss_first": steps[0]["loss"],
        "loss_last": sum(tail) / len(tail),
        "loss_last_steps": len(tail),
        "tokens": last["tokens"],
        "seconds": last["seconds"],
        "tokens_per_second": rate,
        "tflops": last["tflops"] * rate / last["tokens_per_second"],
        "mfu": last["mfu"] and last["mfu"] * rate / last["tokens_per_second"],
        "data_wait": sum(row["data_wait"] for row in steps) / len(steps),
    }


def drawn(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the same of a run on its own answers, and what became of these: from the first step to the last ones."""
    start, last, tail = rows[0], rows[-1], rows[-min(LAST_STEPS, -(-len(rows) // 3)) :]  # of a short run, a third
    keys = ("reward", "kl", "entropy", "length", "explained_variance", "finished")
    ending = {key: sum(row[key] for row in tail) / len(tail) for key in keys}
    spread = start["reward_deviation"]
    gain = f", {(ending['reward'] - start['reward']) / spread:+.2f} deviations of the first step's" if spread else ""

    def arrow(name: str, key: str, note: str) -> list[str]:
        return [name, f"{start[key]:.3f} → {ending[key]:.3f}", note]

    return {
        **speed(rows),
        "reward": [start["reward"], ending["reward"]],
        "kl": [start["kl"], ending["kl"]],
        "scores": {},  # nothing is held out: the reward is of answers drawn in training
        "reward_deviation": spread,
        "told": [
            arrow("reward", "reward", f"mean score, last {len(tail)} steps{gain}"),
            arrow("KL", "kl", f"nats an answer; its price ends at {last['kl_coefficient']:.4g}"),
            arrow("entropy", "entropy", "nats a token"),
            arrow("length", "length", f"tokens an answer; {ending['finished']:.0%} end by themselves"),
            arrow("explained variance", "explained_variance", "of the returns, by the values"),
        ],
    }


def scored(results: Mapping[str, Any]) -> Iterator[tuple[str, float | None, float, str]]:
    """Yield name, value before, value after and meaning of each held-out score of a run."""
    for key, (before, after) in results["scores"].items():
        name, meaning = SCORES.get(key, (key.replace("_", " "), "held out"))
        yield name, before, after, meaning


def _number(value: float | None) -> str:
    return "no data" if value is None else f"{value:.4f}"


def print_summary(results: Mapping[str, Any]) -> None:
    """Print the table of a finished run."""
    mfu = results.get("mfu")
    peak = f", {mfu:.1%} of the device's peak" if mfu else ""
    rows = [
        ("loss, first step", f"{results['loss_first']:.4f}", "as trained on"),
        ("loss, last steps", f"{results['loss_last']:.4f}", f"mean of the last {results['loss_last_steps']}"),
        *((name, f"{_number(before)} → {after:.4f}", meaning) for name, before, after, meaning in scored(results)),
        ("tokens", f"{results['tokens']:,}", f"{results['steps']:,} steps"),
        *map(tuple, results["told"]),
        ("tokens a second", f"{results['tokens_per_second']:,.0f}", f"{results['precision']}, {results['device']}"),
        ("model TFLOP/s", f"{results['tflops']:.4g}", f"a device, with attention{peak}"),
        ("waiting for data", f"{results['data_wait']:.2%}", "of the time"),
        ("training took", f"{results['seconds']:,.0f} s", "without evaluation and saving"),
        ("parameters", f"{results['parameters']:,}", f"{results['trained_parameters']:,} of them trained"),
        ("model", str(results["model"]), "safetensors, with its tokenizer"),
        ("curves", str(results["curves"]), ""),
    ]
    table(("what", "value", "note"), rows, title=f"Training run, stage {results['stage']}")


def write_card(folder: Path, results: Mapping[str, Any]) -> None:
    """Write the model card of a run beside its model."""
    task, what, closing = KINDS.get(results["stage"], ("text-generation", "causal language model", CHAT))
    told = [[name, f"{_number(before)} before, {after:.4f} after", m] for name, before, after, m in scored(results)]
    rows = "\n".join(f"| {name} | {value} | {about} |" for name, value, about in [*results["told"], *told])
    given = {**results, "rows_count": results["rows"], "rows": rows}
    text = CARD.format(version=__version__, task=task, what=what, closing=closing, **given)
    (folder / "README.md").write_text(text, encoding="utf-8")
