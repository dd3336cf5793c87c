"""The verbs explain, import, compare and chat of ``evaluate``: cards of benchmarks, other harnesses' results, two runs.

``add`` adds their parsers, ``HANDLERS`` runs them; ``eval/cli.py`` puts both beside its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError

_IMPORTED = ("opencompass", "lm-eval", "evalscope")


def add(verbs: Any) -> None:
    """Add the verbs to the parser's subcommands."""
    explain = verbs.add_parser("explain", help="what a benchmark measures, its paper, code, verdict and known faults")
    explain.add_argument("task", nargs="?", metavar="TASK", help="mmlu, ceval, …; without it the list of all")
    explain.add_argument("--json", action="store_true", help="print the card as JSON")

    read = verbs.add_parser("import", help="take in the results of OpenCompass, lm-eval or EvalScope as a run")
    read.add_argument("harness", choices=_IMPORTED, metavar="HARNESS", help=", ".join(_IMPORTED))
    read.add_argument("path", type=Path, metavar="PATH", help="its output folder, or its file of results")
    read.add_argument("--out", type=Path, required=True, metavar="DIR", help="write scores.json and samples here")
    read.add_argument("--model", metavar="NAME", help="the model, where the results hold several")
    read.add_argument("--kind", choices=("base", "chat"), help="of the model: no harness states it")
    read.add_argument("--json", action="store_true", help="print what was taken in as JSON")

    compare = verbs.add_parser("compare", help="is the difference of two runs real? paired, task by task")
    compare.add_argument("first", type=Path, metavar="RUN1", help="a folder with samples-*.jsonl")
    compare.add_argument("second", type=Path, metavar="RUN2", help="another; the difference is RUN2 - RUN1")
    compare.add_argument("--draws", type=int, default=10_000, metavar="N", help="resamples (default: 10000)")
    compare.add_argument("--seed", type=int, default=0, metavar="N", help="of the resampling (default: 0)")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")

    chat = verbs.add_parser("chat", help="talk with a model in the terminal; reads lines from a pipe too")
    chat.add_argument("--model", type=Path, required=True, metavar="DIR", help="a chat model or a run of train")
    chat.add_argument("--template", default="own", metavar="NAME", help="chat template (default: the tokenizer's own)")
    chat.add_argument("--system", metavar="TEXT", help="what stands before the dialogue")
    chat.add_argument("--max-new", type=int, default=256, metavar="N", help="tokens of an answer (default: 256)")
    chat.add_argument("--temperature", type=float, default=0.7, metavar="T", help="0: the likeliest (default: 0.7)")
    chat.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing (default: 0)")


def _explain(arguments: argparse.Namespace) -> int:
    from eval.cards import as_text, cards
    from workbench.command import did_you_mean
    from workbench.console import emit_json, table

    known = cards()
    if arguments.task is None:
        if arguments.json:
            emit_json([card.as_dict() for card in known.values()])
            return 0
        rows = [(c.id, c.name.en, c.shots, sum(s.items for s in c.sizes), c.measures.zh) for c in known.values()]
        table(("task", "name", "shots", "items", "measures · 衡量"), rows)
        return 0
    card = known.get(arguments.task)
    if card is None:
        raise ConfigError("evaluate explain", f"{arguments.task} has no card", did_you_mean(arguments.task, known))
    if arguments.json:
        emit_json(card.as_dict())
    else:
        print(as_text(card), end="", flush=True)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from eval.imports import IMPORTERS, write
    from workbench.console import emit_json, note, table

    found = IMPORTERS[arguments.harness](arguments.path, arguments.model)
    files = write(found, arguments.out, arguments.kind)
    for remark in found.remarks:
        note(remark)
    note(f"wrote {', '.join(str(file) for file in files)}")
    if arguments.json:
        emit_json({"model": found.model, "tasks": found.tasks, "remarks": found.remarks})
        return 0
    rows = [
        (
            task,
            figure["value"],
            figure.get("n"),
            figure.get("shots"),
            figure["metric"],
            len(found.samples.get(task, ())),
        )
        for task, figure in sorted(found.tasks.items())
    ]
    columns = ("task", "value", "items", "shots", "metric", "samples")
    table(columns, rows, title=f"{found.model}, from {found.importer}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from eval.compare import compare
    from workbench.console import emit_json

    if arguments.draws < 100:
        raise ConfigError("--draws", f"{arguments.draws} is below 100", "give at least 100, better 10000")
    if arguments.seed < 0:
        raise ConfigError("--seed", f"{arguments.seed} is below 0", "give at least 0")
    found = compare(arguments.first, arguments.second, draws=arguments.draws, seed=arguments.seed)
    if arguments.json:
        emit_json(found.as_dict())
    else:
        _show(found)
    return 0


def _chat(arguments: argparse.Namespace) -> int:
    import sys

    from eval.chat import Manner, chat

    if arguments.max_new < 1:
        raise ConfigError("--max-new", f"{arguments.max_new} is below 1", "give at least 1")
    if not 0 <= arguments.temperature <= 100:
        raise ConfigError("--temperature", f"{arguments.temperature} is not from 0 to 100", "give 0.7, or 0")

    def typed() -> Iterator[str]:
        while True:
            try:
                yield input("你> ")
            except EOFError:
                print()
                return

    given = (arguments.template, arguments.system, arguments.max_new, arguments.temperature, arguments.seed)
    lines = typed() if sys.stdin.isatty() else iter(sys.stdin)
    chat(arguments.model, lines, lambda text: print(text, end="", flush=True), Manner(*given))
    return 0


def _show(found: Any) -> None:
    from workbench.console import note, table

    rows = []
    for one in (*found.tasks, *found.together):
        test = one.mcnemar
        only = None if test is None else f"{test.only_first} : {test.only_second}"
        interval = f"{one.low:+.1f} … {one.high:+.1f}"
        p = None if test is None else test.p
        rows.append((one.name, one.n, one.first, one.second, f"{one.difference:+.2f}", interval, one.p, only, p))
    columns = ("task", "items", "RUN1", "RUN2", "RUN2 - RUN1", "95 % interval", "p", "right alone", "p (McNemar)")
    table(columns, rows, title=f"RUN1 {found.first}\nRUN2 {found.second}")
    for one in found.tasks:
        parts = [
            (one.only_in_first, f"{one.only_in_first} items are in RUN1 only"),
            (one.only_in_second, f"{one.only_in_second} items are in RUN2 only"),
            (one.other_gold, f"{one.other_gold} items have another gold answer there: left out"),
            (one.settings, f"not taken alike: {'; '.join(one.settings)} (RUN1 | RUN2)"),
        ]
        for text in (text for there, text in parts if there):
            note(f"{one.name}: {text}")
    for tasks, run in ((found.only_in_first, "RUN1"), (found.only_in_second, "RUN2")):
        if tasks:
            note(f"in {run} only: {', '.join(tasks)}")


HANDLERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "explain": _explain,
    "import": _import,
    "compare": _compare,
    "chat": _chat,
}
