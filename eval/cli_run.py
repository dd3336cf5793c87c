"""``evaluate run``: the flags, and the table that is printed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError

EPILOG = """examples:
  evaluate run --model data/runs/pt --tasks all --data official-files
  evaluate run --model data/runs/pt --tasks mmlu,ceval --data official-files --format cf
  evaluate run --model data/runs/pt --tasks humaneval --data official-files --samples 20 --temperature 0.8
  evaluate run --model data/runs/pt --tasks ceval --split test --data official-files    # the file to submit
  torchrun --nproc-per-node 8 -m eval run …                                            # a share of the items each

--data holds the official files as published, a folder or an archive a benchmark: mmlu ceval gsm8k math humaneval mbpp
bbh cmmlu. tasks: mmlu ceval gsm8k math math500 humaneval mbpp bbh cmmlu medical, or all."""


def add_run(verbs: Any) -> None:
    """Add the subcommand."""
    run = verbs.add_parser(
        "run",
        help="the eight benchmarks, offline, by declared protocols",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--model", type=Path, required=True, metavar="DIR", help="a model folder or a run of train")
    run.add_argument("--tasks", required=True, metavar="A,B", help="benchmarks, or all")
    run.add_argument("--data", type=Path, required=True, metavar="DIR", help="the official files")
    run.add_argument("--out", type=Path, metavar="DIR", help="default: data/scores/<model>")
    run.add_argument("--limit", type=int, metavar="N", help="at most N items a task, spread over its subjects")
    run.add_argument("--format", choices=("mc", "cf"), help="of multiple choice: letters (mc, default) or cloze (cf)")
    run.add_argument("--mode", choices=("direct", "cot"), help="answer at once or by steps (default: the task's own)")
    run.add_argument("--protocol", choices=("official", "lm-eval", "qwen"), help="whose prompts (default: official)")
    run.add_argument("--shots", type=int, metavar="N", help="exemplars (default: the task's own)")
    run.add_argument("--split", metavar="NAME", help="default: the one with public labels; ceval test: a submission")
    run.add_argument("--batch", type=int, default=16, metavar="N", help="texts generated at once (default: 16)")
    run.add_argument("--samples", type=int, default=1, metavar="N", help="texts an item, for pass@k (default: 1)")
    run.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0: greedy (default)")
    run.add_argument("--seed", type=int, default=0, metavar="N", help="of sampling (default: 0)")
    run.add_argument("--backend", choices=("hf", "vllm"), default="hf", help="vllm where it is installed")
    run.add_argument("--device", metavar="NAME", help="cpu, cuda:0, … (default: the accelerator if there is one)")
    run.add_argument("--kind", choices=("base", "chat"), help="written into scores.json for evaluate table")
    run.add_argument("--unsafe", action="store_true", help="run generated programs without a sandbox")
    run.add_argument("--overwrite", action="store_true", help="replace other scores in --out")
    run.add_argument("--json", action="store_true", help="print scores.json")


def run_command(arguments: argparse.Namespace) -> int:
    """Run it and print the scores."""
    from eval.run import RunSettings, evaluate
    from workbench.console import emit_json, note

    for name, low in (("limit", 1), ("shots", 0), ("batch", 1), ("samples", 1), ("temperature", 0.0)):
        value = getattr(arguments, name)
        if value is not None and not value >= low:
            raise ConfigError(f"--{name}", f"{value} is below {low}", f"give at least {low}")
    if arguments.samples > 1 and arguments.temperature == 0:
        raise ConfigError("--samples", "greedy texts are all the same", "give a --temperature above 0")
    values = {key: value for key, value in vars(arguments).items() if key not in ("verb", "json", "out")}
    out = arguments.out or Path("data/scores") / arguments.model.resolve().name
    scores = evaluate(RunSettings(out=out, **values))
    if not scores:
        return 0  # another rank than the first
    for name, file in scores.get("submissions", {}).items():
        note(f"{name}: its test labels are not public; to be submitted: {out / file}")
    if arguments.json:
        emit_json(scores)
    elif scores["tasks"]:
        _show(scores)
    note(f"wrote {out}/scores.json, report.html, samples-*.jsonl")
    return 0


def _show(scores: dict[str, Any]) -> None:
    from workbench.console import table

    head = ("task", "score", "±", "micro", "macro", "n", "split", "shots", "format", "protocol", "also")
    keys = ("value", "stderr", "micro", "macro", "n", "split", "shots", "format", "protocol")
    rows = [(name, *(entry[key] for key in keys), also(entry)) for name, entry in scores["tasks"].items()]
    table(head, rows, title=f"Scores of {scores['model']}, in percent")


def also(entry: dict[str, Any]) -> str:
    """Return what stands beside a score: other readings, pass@k, bits per byte, what was left out."""
    parts = [f"{name} {value:g}" for name, value in entry.get("readings", {}).items()]
    parts += [f"pass@{k} {value:g}" for k, value in entry.get("pass_at", {}).items()]
    if entry.get("bits_per_byte") is not None:
        parts.append(f"bits per byte {entry['bits_per_byte']:g}")
    if "limit" in entry:
        parts.append(f"of {entry['of']:,}, ± {entry['limit_stderr']:g} against all")
    if entry["dropped_shots"]["items"]:
        parts.append(f"{entry['dropped_shots']['shots']} shots dropped in {entry['dropped_shots']['items']} items")
    if entry.get("nothing_extracted"):
        parts.append(f"nothing extracted {entry['nothing_extracted']}")
    return "; ".join(parts)
