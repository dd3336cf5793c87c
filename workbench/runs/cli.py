"""The commands that look at runs, or watch one: ``train lineage``, ``train curves``, ``train supervise``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.command import Parser


def lineage(words: Sequence[str]) -> int:
    """Print the chain from a run back to the raw files."""
    sub = Parser("train lineage", description="The chain from a run back to the raw files, from the manifests alone.")
    sub.add_argument("--json", action="store_true", help="print as JSON")
    sub.add_argument("run", type=Path, metavar="RUN", help="a run, or any other folder with a manifest")
    arguments = sub.parse_args(words)
    from workbench.console import emit_json
    from workbench.lineage import chain, print_chain

    entries = chain(arguments.run)
    emit_json({"lineage": entries}) if arguments.json else print_chain(entries)
    return 0


def curves(words: Sequence[str]) -> int:
    """Write a page of runs laid over one another."""
    sub = Parser("train curves", description="The curves of one or several runs, laid over one another, in one file.")
    sub.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="runs, finished or not")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .html to write")
    arguments = sub.parse_args(words)
    from workbench.runs.curves_html import write_html

    print(write_html(arguments.runs, arguments.out))
    return 0


def supervise(words: Sequence[str]) -> int:
    """Run a command again and again; returns its exit code."""
    sub = Parser("train supervise", description="Start a run again when it fails; give up when that does not help.")
    sub.add_argument("--max-restarts", type=int, default=10, metavar="N", help="restarts in all (10)")
    sub.add_argument("--at-one-step", type=int, default=3, metavar="N", help="failures after one step that end it (3)")
    sub.add_argument("command", nargs="+", metavar="COMMAND", help="after --: train … or torchrun … -m train …")
    arguments = sub.parse_args(words)
    from workbench.runs.supervise import supervise as watch

    return watch(arguments.command, max_restarts=arguments.max_restarts, at_one_step=arguments.at_one_step)
