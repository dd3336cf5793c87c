"""The ``evaluate`` command: benchmarks, bits per byte, published figures, scorecards, cards, comparisons, chat."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eval import cli_more
from eval.cli_run import add_run, run_command
from workbench.command import Parser, run
from workbench.errors import ConfigError, InputError

if TYPE_CHECKING:
    from eval.bits import Bits, Part

EPILOG = """examples:
  evaluate run --model data/runs/pt --tasks mmlu,ceval --data official-files
  evaluate bits --model data/runs/pt --tokens data/tokens/wudao
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
    bits = verbs.add_parser("bits", help="bits per byte of a model on held-out text, by domain")
    bits.add_argument("--model", type=Path, required=True, metavar="DIR", help="a model folder or a run of train")
    bits.add_argument("--tokens", type=Path, metavar="DIR", help="token shards packed with the model's tokenizer")
    bits.add_argument("--split", choices=("train", "validation"), default="validation", help="default: validation")
    bits.add_argument("--sequences", type=int, metavar="N", help="score N sequences spread evenly (default: all)")
    bits.add_argument(
        "--text", type=Path, action="append", metavar="FILE", help="a UTF-8 file: one text; may be repeated"
    )
    bits.add_argument(
        "--window", type=int, default=512, metavar="N", help="ids the model sees of a text (default: 512)"
    )
    bits.add_argument("--batch", type=int, default=8, metavar="N", help="sequences in a forward pass (default: 8)")
    bits.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the products (default: fp32)")
    bits.add_argument("--json", action="store_true", help="print the figures as JSON")
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


def _bits(arguments: argparse.Namespace) -> int:
    from eval.bits import by, total
    from workbench.console import emit_json, table

    if (arguments.tokens is None) == (arguments.text is None):
        raise ConfigError("evaluate bits", "needs --tokens or --text, one of the two", "name what to score")
    for name, low in (("sequences", 1), ("window", 2), ("batch", 1)):
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise ConfigError(f"--{name}", f"{value} is below {low}", f"give at least {low}")
    parts = _score_texts(arguments) if arguments.tokens is None else _score_shards(arguments)
    whole = total(parts)
    if arguments.json:
        groups = {
            f"{what}s": {name: found.as_dict() for name, found in sorted(by(parts, what).items())}
            for what in ("source", "domain", "bucket")
        }
        emit_json({"model": str(arguments.model), **whole.as_dict(), **groups})
    else:
        rows = [(*part, b.per_byte, b.bytes, b.tokens) for part, b in sorted(parts.items())]
        rows.append(("all", "", "", whole.per_byte, whole.bytes, whole.tokens))
        heads = ("source", "domain", "bucket", "bits per byte", "bytes", "tokens")
        table(heads, rows, title=f"Bits per byte of {arguments.model}")
    return 0


def _score_shards(arguments: argparse.Namespace) -> dict[Part, Bits]:
    from eval.bits import bits_of_shards
    from eval.models import load_model, model_folder
    from tokenizer.open import check_carried
    from tokenizer.shards import TokenShards

    shards = TokenShards.open(arguments.tokens, arguments.split)
    check_carried(shards, model_folder(arguments.model), "pack it with that one")
    model = load_model(arguments.model)
    return bits_of_shards(
        model, shards, sequences=arguments.sequences, batch_size=arguments.batch, precision=arguments.precision
    )


def _score_texts(arguments: argparse.Namespace) -> dict[Part, Bits]:
    from eval.bits import Part, bits_of_texts
    from eval.models import load_model, model_folder

    texts = {path: _read(path) for path in arguments.text}
    model, folder = load_model(arguments.model), model_folder(arguments.model)
    return {
        Part("text", str(path), ""): bits_of_texts(
            model, folder, [text], window=arguments.window, precision=arguments.precision
        )
        for path, text in texts.items()
    }


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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a text file that exists") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error


_VERBS = {"run": run_command, "bits": _bits, "table": _table, "scorecard": _scorecard, **cli_more.HANDLERS}
