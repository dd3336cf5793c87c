"""The ``train`` command: run a stage with key=value settings; a first word without ``=`` is a subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from workbench.command import Parser, did_you_mean, run
from workbench.errors import ConfigError, YanmoError

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
    from train.parallel import leave

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
    from train.settings import resolve
    from workbench.config import as_dict, explain
    from workbench.console import emit_json, table

    if is_pipeline(arguments.settings):
        return _pipeline(arguments)
    stage, loaded = resolve(arguments.settings, planning=arguments.plan)
    if arguments.show:
        if arguments.json:
            emit_json({"stage": stage.name, "settings": as_dict(loaded.value), "origins": dict(loaded.origins)})
        else:
            rows = [(key, _word(value), *rest) for key, value, *rest in explain(loaded)]
            table(("setting", "value", "from", "what it is"), rows, title=f"stage={stage.name}")
        return 0
    if arguments.plan:
        stage.plan(loaded.value, arguments.json)
        return 0
    from train.summary import print_summary

    return _ran(lambda: stage.run(loaded, arguments.overwrite), print_summary, as_json=arguments.json)


def _pipeline(arguments: argparse.Namespace) -> int:
    from train.pipeline import resolve_pipeline, run_pipeline
    from workbench.config import as_dict, explain
    from workbench.console import emit_json, table

    plan = resolve_pipeline(arguments.settings)
    if arguments.plan:
        raise ConfigError("--plan", "counts stage=pt, not a pipeline", "plan pt with the same model and recipe")
    if arguments.show:
        parts = {"pipeline": plan.loaded, **{step.name: step.loaded for step in plan.steps}}
        if arguments.json:
            shown = {n: {"settings": as_dict(one.value), "origins": dict(one.origins)} for n, one in parts.items()}
            emit_json(shown)
            return 0
        for name, one in parts.items():
            rows = [(key, _word(value), *rest) for key, value, *rest in explain(one)]
            table(("setting", "value", "from", "what it is"), rows, title=name)
        return 0
    from train.pipeline_scores import print_pipeline

    return _ran(lambda: run_pipeline(plan, overwrite=arguments.overwrite), print_pipeline, as_json=arguments.json)


def _ran(run_it: Callable[[], Any], show: Callable[[Any], None], *, as_json: bool) -> int:
    """Run and tell the results; of several processes the first one speaks, of errors too."""
    from train import parallel
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


def _word(value: object) -> str:
    """A value as it is written on the command line."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parser(name: str, doc: str) -> Parser:
    sub = Parser(f"train {name}", description=doc)
    sub.add_argument("--json", action="store_true", help="print as JSON")
    return sub


def _stages(words: Sequence[str]) -> int:
    arguments = _parser("stages", "The stages, and the shipped recipes.").parse_args(words)
    from dataclasses import asdict

    from train.settings import STAGES, recipe_names
    from workbench.console import emit_json, table

    if arguments.json:
        emit_json({"stages": {name: asdict(stage) for name, stage in STAGES.items()}, "recipes": recipe_names()})
    else:
        columns = ("stage", "阶段", "what it does", "reads", "writes")
        table(columns, [tuple(asdict(stage).values()) for stage in STAGES.values()])
        table(("recipe (config=)",), [(name,) for name in recipe_names()])
    return 0


def _lineage(words: Sequence[str]) -> int:
    sub = _parser("lineage", "The chain from a run back to the raw files, from the manifests alone.")
    sub.add_argument("run", type=Path, metavar="RUN", help="a run, or any other folder with a manifest")
    arguments = sub.parse_args(words)
    from train.lineage import chain, print_chain
    from workbench.console import emit_json

    entries = chain(arguments.run)
    emit_json({"lineage": entries}) if arguments.json else print_chain(entries)
    return 0


def _spikes(words: Sequence[str]) -> int:
    sub = _parser("spikes", "The loss spikes of a run, what was done about them, and the texts of their batches.")
    sub.add_argument("run", type=Path, metavar="RUN", help="a run, finished or not")
    sub.add_argument("--corpus", type=Path, metavar="DIR", help="the corpus that was packed: prints the texts")
    arguments = sub.parse_args(words)
    from train.show_spikes import print_spikes, spikes_of, texts_of
    from workbench.console import emit_json

    spikes = spikes_of(arguments.run)
    names = {name for spike in spikes for name in spike["documents"]}
    texts = None if arguments.corpus is None else texts_of(arguments.corpus, names)
    if arguments.json:
        emit_json({"spikes": spikes, "texts": texts})
    else:
        print_spikes(arguments.run, spikes, texts)
    return 0


def _merge(words: Sequence[str]) -> int:
    sub = _parser("merge", "Add a LoRA run's adapter to its base; the logits are compared before it is written.")
    sub.add_argument("run", type=Path, metavar="RUN", help="a finished run of tune=lora or qlora")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the merged model")
    arguments = sub.parse_args(words)
    from train.lora import merge
    from workbench.console import emit_json, table

    results = merge(arguments.run, arguments.out)
    emit_json(results) if arguments.json else table(("what", "value"), list(results.items()), title="Merged")
    return 0


def _curves(words: Sequence[str]) -> int:
    sub = Parser("train curves", description="The curves of one or several runs, laid over one another, in one file.")
    sub.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="runs, finished or not")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .html to write")
    arguments = sub.parse_args(words)
    from train.curves_html import write_html

    print(write_html(arguments.runs, arguments.out))
    return 0


def _data(words: Sequence[str]) -> int:
    if not words or words[0] != "check":
        raise ConfigError(f"data {' '.join(words[:1])}".strip(), "no such command", "did you mean train data check?")
    from train.data_check import main as check

    return check(words[1:])


def _supervise(words: Sequence[str]) -> int:
    sub = Parser("train supervise", description="Start a run again when it fails; give up when that does not help.")
    sub.add_argument("--max-restarts", type=int, default=10, metavar="N", help="restarts in all (10)")
    sub.add_argument("--at-one-step", type=int, default=3, metavar="N", help="failures after one step that end it (3)")
    sub.add_argument("command", nargs="+", metavar="COMMAND", help="after --: train … or torchrun … -m train …")
    arguments = sub.parse_args(words)
    from train.supervise import supervise

    return supervise(arguments.command, max_restarts=arguments.max_restarts, at_one_step=arguments.at_one_step)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = MappingProxyType(
    {"data": _data, "stages": _stages, "lineage": _lineage, "spikes": _spikes, "merge": _merge, "curves": _curves}
    | {"supervise": _supervise}
)
