"""The ``train`` command: run a stage with key=value settings; a first word without ``=`` is a subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from workbench.command import Parser, did_you_mean, run
from workbench.errors import ConfigError, YanmoError
from workbench.runs import cli as runs

USAGE = (
    "train stage=STAGE [config=NAME|FILE.yaml] [key=value ...] [--print|--plan] [--json] [--overwrite]\n"
    "       train pipeline=pt,sft,rm,ppo [config=FILE.yaml] [STAGE.key=value ...] [--print]\n"
    "       train data check DATA ... --stage S | stages | lineage RUN | spikes RUN [--corpus DIR]\n"
    "       train merge RUN --out DIR | curves RUN ... --out FILE | supervise -- COMMAND"
)

EPILOG = """settings are written key=value, without quotes unless the shell needs them:
  stage=pt                 what is done: a stage (train stages lists them)
  config=tiny-cpu          a shipped recipe by its bare name; config=my/run.yaml is a file
  steps=50 optim.lr=3e-4   single settings; dotted keys reach into sections
  model.weights=none       none means off; zero is a value
the command line wins over config=, config= over the default. --print shows every setting, its value and its origin.

examples:
  train stage=pt config=tiny-cpu data=data/tokens/wudao tokenizer=data/tokenizer/zh7k
  train stage=pt config=tiny-cpu data=数据/分片 tokenizer=数据/词表 steps=400 out=data/runs/四百步
  torchrun --nproc-per-node 8 -m train config=my.yaml data=data/tokens/wudao tokenizer=data/tokenizer/zh7k
  train config=my.yaml model.weights=data/runs/pt out=data/runs/pt-2
  train config=ziya-13b --plan    what 160 GPUs would take, computed on this machine
  train pipeline=pt,sft,dpo config=pipeline-tiny    stages in one go, each scored: does it help?
  train stages                    the stages and the shipped recipes
  train data check 数据/问答.json alpaca-zh@2 --stage sft --tokenizer data/tokenizer/zh7k    what a stage would read
  train lineage data/runs/pt      from the run back to the raw files
  train spikes data/runs/pt --corpus data/corpus/wudao    the loss spikes, and the texts of their batches

the same command goes on after an interruption, and does nothing once the run is complete.
exit codes: 0 done, 1 a bug, 2 your mistake (one line says which), 3 the loss became NaN or infinite, 130 interrupted"""


def main() -> NoReturn:
    """Entry point of the console script."""
    from eval.parallel import leave

    run(command, leave=leave)


def parser() -> Parser:
    """Return the parser of the options; the settings are read by their own types."""
    top = Parser(
        "train", usage=USAGE, description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("settings", nargs="*", metavar="key=value", help="see below; a first word without = is a command")
    top.add_argument(
        "--print", action="store_true", dest="show", help="print each setting and its origin; train nothing"
    )
    top.add_argument("--plan", action="store_true", help="print memory, FLOPs, days and steps; no GPU, no data needed")
    top.add_argument("--json", action="store_true", help="print the results (or the settings) as JSON")
    top.add_argument("--overwrite", action="store_true", help="replace a run of other settings in the same folder")
    return top


def command(words: Sequence[str]) -> int:
    """Run a stage or a subcommand; returns the exit code."""
    name = next((word for word in words if not word.startswith("-")), "=")
    if "=" not in name:
        if name not in COMMANDS:
            raise ConfigError(
                name, "no such command", f"{did_you_mean(name, COMMANDS)}; settings are written key=value"
            )
        rest = list(words)
        rest.remove(name)  # its first place: the words of a supervised command stay
        return COMMANDS[name](rest)
    top = parser()
    arguments = top.parse_intermixed_args(words)
    if not arguments.settings:
        top.error("nothing to do; say which stage, e.g. stage=pt config=tiny-cpu")
    from train.pipeline import is_pipeline

    return (_pipeline if is_pipeline(arguments.settings) else _stage)(arguments)


def _stage(given: argparse.Namespace) -> int:
    from train.settings import resolve
    from workbench.console import emit_json
    from workbench.runs.summary import print_summary
    from workbench.show_settings import as_json, print_settings

    stage, loaded = resolve(given.settings, planning=given.plan)
    if given.show:
        shown = {"stage": stage.name, **as_json(loaded)}
        emit_json(shown) if given.json else print_settings(loaded, f"stage={stage.name}")
        return 0
    if given.plan:
        stage.plan(loaded.value, given.json)
        return 0
    return _ran(lambda: stage.run(loaded, given.overwrite), print_summary, as_json=given.json)


def _pipeline(given: argparse.Namespace) -> int:
    from train.pipeline import resolve_pipeline, run_pipeline
    from workbench.console import emit_json
    from workbench.show_settings import as_json, print_settings

    plan = resolve_pipeline(given.settings)
    if given.plan:
        raise ConfigError("--plan", "counts stage=pt, not a pipeline", "plan pt with the same model and recipe")
    if given.show:
        parts = {"pipeline": plan.loaded, **{step.name: step.loaded for step in plan.steps}}
        if given.json:
            emit_json({name: as_json(one) for name, one in parts.items()})
            return 0
        for name, one in parts.items():
            print_settings(one, name)
        return 0
    from eval.stage_page import print_changes

    return _ran(lambda: run_pipeline(plan, overwrite=given.overwrite), print_changes, as_json=given.json)


def _ran(run_it: Callable[[], Any], show: Callable[[Any], None], *, as_json: bool) -> int:
    """Run and tell the results; of several processes the first one speaks, of errors too."""
    from eval import parallel
    from workbench.console import emit_json

    try:
        results = run_it()
    except YanmoError as error:
        if parallel.first():
            raise
        return error.exit_code  # the first process says it
    if parallel.first():
        emit_json(results) if as_json else show(results)
    return 0


def _parser(name: str, doc: str) -> Parser:
    sub = Parser(f"train {name}", description=doc)
    sub.add_argument("--json", action="store_true", help="print as JSON")
    return sub


def _stages(words: Sequence[str]) -> int:
    arguments = _parser("stages", "The stages, and the shipped recipes.").parse_args(words)
    from dataclasses import asdict

    from train.settings import RECIPES, STAGES
    from workbench.console import emit_json, table
    from workbench.shipped import names_in

    recipes = names_in(RECIPES)
    if arguments.json:
        emit_json({"stages": {name: asdict(stage) for name, stage in STAGES.items()}, "recipes": recipes})
    else:
        columns = ("stage", "阶段", "what it does", "reads", "writes")
        table(columns, [tuple(asdict(stage).values()) for stage in STAGES.values()])
        table(("recipe (config=)",), [(name,) for name in recipes])
    return 0


def _spikes(words: Sequence[str]) -> int:
    sub = _parser("spikes", "The loss spikes of a run, what was done about them, and the texts of their batches.")
    sub.add_argument("run", type=Path, metavar="RUN", help="a run, finished or not")
    sub.add_argument("--corpus", type=Path, metavar="DIR", help="the corpus that was packed: prints the texts")
    arguments = sub.parse_args(words)
    from corpus.inspect import texts_of
    from workbench.console import emit_json
    from workbench.runs.spikes import print_spikes, spikes_of

    spikes = spikes_of(arguments.run)
    names = {name for spike in spikes for name in spike["documents"]}
    texts = None if arguments.corpus is None else texts_of(arguments.corpus, names)
    if arguments.json:
        emit_json({"spikes": spikes, "texts": texts})
    else:
        print_spikes(arguments.run, spikes, texts)
    return 0


def _data(words: Sequence[str]) -> int:
    if not words or words[0] != "check":
        raise ConfigError(f"data {' '.join(words[:1])}".strip(), "no such command", "did you mean train data check?")
    from tokenizer.chat.check import main as check

    return check(words[1:])


def _merge(words: Sequence[str]) -> int:
    from eval.merge import main as merge

    return merge(words)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = MappingProxyType(
    {"data": _data, "stages": _stages, "spikes": _spikes, "merge": _merge}
    | {"lineage": runs.lineage, "curves": runs.curves, "supervise": runs.supervise}
)
