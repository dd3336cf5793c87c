"""The ``evaluate`` command: benchmarks, bits per byte, published figures, scorecards, cards, comparisons, chat."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from eval import cli_more
from eval.cli_bits import add_bits, bits_command
from eval.cli_run import add_run, run_command
from workbench.command import Parser, run

EPILOG = """examples:
  evaluate run --model data/runs/pt --tasks mmlu,ceval --data official-files
  evaluate bits --model data/runs/pt --tokens data/tokens/wudao
  evaluate bits --model data/runs/pt --corpus data/corpus/news --documents 2000
  evaluate bits --model data/runs/pt --text 红楼梦.txt --text 新闻.txt --json
  evaluate table --scores data/runs/mine data/runs/other --kind base --out data/table
  evaluate scorecard medical-2023 --out data/scorecard
  evaluate scorecard ours.yaml --check
  evaluate explain ceval
  evaluate import opencompass outputs/default/20241011_125436 --out data/runs/theirs
  evaluate compare data/runs/mine data/runs/theirs
  evaluate chat --model data/runs/sft

exit codes: 0 done, 1 a bug, 2 your mistake (one line says which), 3 a quality gate that failed"""


def main() -> NoReturn:
    """Entry point of the console script."""
    run(command)


def parser() -> Parser:
    """Return the parser of all subcommands."""
    top = Parser("evaluate", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=Parser)
    add_bits(verbs)
    add_run(verbs)
    _add_table(verbs)
    _add_scorecard(verbs)
    cli_more.add(verbs)
    return top


def _add_table(verbs: Any) -> None:
    table = verbs.add_parser("table", help="benchmark figures of your runs beside published ones")
    _add_scores(table)
    table.add_argument(
        "--format", choices=("markdown", "csv", "html", "json"), default="markdown", help="to print (default: markdown)"
    )
    table.add_argument("--out", type=Path, metavar="DIR", help="write table.md, .csv, .html, .json and figures.csv")
    table.add_argument("--json", action="store_true", help="the same as --format json")


def _add_scorecard(verbs: Any) -> None:
    card = verbs.add_parser("scorecard", help="choose a base model: criteria, scores with reasons, eliminations")
    card.add_argument("file", metavar="FILE", help="a scorecard in YAML, or the shipped one: medical-2023")
    _add_scores(card)
    card.add_argument("--check", action="store_true", help="only warn of what is doubtful in it; changes nothing")
    card.add_argument("--out", type=Path, metavar="DIR", help="write scorecard.html and scorecard.json")
    card.add_argument("--json", action="store_true", help="print the judgement as JSON")


def _add_scores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scores", type=Path, nargs="+", action="extend", default=[], metavar="RUN", help="folders with scores.json"
    )
    parser.add_argument("--kind", choices=("base", "chat"), help="of runs whose scores.json does not say")


def command(words: Sequence[str]) -> int:
    """Run one subcommand; returns the exit code."""
    arguments = parser().parse_args(words)
    return _VERBS[arguments.verb](arguments)


def _table(arguments: argparse.Namespace) -> int:
    from eval.table import as_dict, table
    from eval.table_page import table_page
    from eval.table_text import long_csv, markdown, wide_csv
    from workbench.console import emit_json, note
    from workbench.files import make_folder, write_json, write_text

    published, own = _rows(arguments)
    found = table(published, own)
    if arguments.out is not None:
        out = make_folder(arguments.out)
        write_text(out / "table.md", markdown(found))
        write_text(out / "table.csv", wide_csv(found))
        write_text(out / "figures.csv", long_csv(found))
        write_json(out / "table.json", as_dict(found))
        write_text(out / "table.html", table_page(found))
        note(f"wrote {out}/table.md, table.csv, figures.csv, table.json, table.html")
    if arguments.json or arguments.format == "json":
        emit_json(as_dict(found))
    else:
        form = {"markdown": markdown, "csv": wide_csv, "html": table_page}[arguments.format]
        print(form(found), end="", flush=True)
    return 0


def _scorecard(arguments: argparse.Namespace) -> int:
    from eval.scorecard.figures import figures
    from eval.scorecard.judge import judge
    from eval.scorecard.page import scorecard_page
    from eval.scorecard.read import read_scorecard
    from eval.scorecard.report import as_dict, show
    from workbench.console import emit_json, note
    from workbench.files import make_folder, write_json, write_text

    published, own = _rows(arguments)
    card = read_scorecard(arguments.file, [benchmark.id for benchmark in published.benchmarks])
    found = judge(card)
    beside = figures(found, [*published.rows, *own], arguments.file)
    if arguments.out is not None:
        out = make_folder(arguments.out)
        write_json(out / "scorecard.json", as_dict(found, beside))
        write_text(out / "scorecard.html", scorecard_page(found, beside, published.benchmarks))
        note(f"wrote {out}/scorecard.html, scorecard.json")
    if arguments.check:
        said = [f"warning: {arguments.file}: {warning}" for warning in found.warnings]
        said.append(f"{arguments.file}: {len(found.warnings)} warnings; nothing was changed")
        for line in said:
            note(line) if arguments.json else print(line, flush=True)
    if arguments.json:
        emit_json(as_dict(found, beside))
    elif not arguments.check:
        show(found, beside)
    return 0


def _rows(arguments: argparse.Namespace) -> tuple[Any, list[Any]]:
    """Return the published rows and the runs' own, saying what was left out of these."""
    from eval.own_rows import own_row
    from eval.published import published
    from workbench.console import note

    found = published()
    own = [own_row(path, found.benchmarks, arguments.kind) for path in arguments.scores]
    for remark in (remark for one in own for remark in one.remarks):
        note(remark)
    return found, [one.row for one in own]


_VERBS = {"run": run_command, "bits": bits_command, "table": _table, "scorecard": _scorecard, **cli_more.HANDLERS}
