"""``train pipeline=pt,sft,rm,ppo``: stages one after another in one command, each going on from the run before it.

    <out>/01-pt, 02-sft, …     each a run, as if started alone; an adapter is merged beside it: 02-sft-merged
    <out>/scores/02-sft.json   what the stage changed, measured when it was done (``eval.stage_record``)
    <out>/pipeline.html        does each stage help? and the table at the end
    <out>/manifest.json        last

``sft.data=…`` is a setting of a stage; in ``config=FILE.yaml`` a stage is a section; ``STAGE.config=NAME`` lays a
recipe below it. A policy goes on from the last policy, a reward model too; ppo, grpo and rloo are scored by the reward
model before them. The same command finds finished runs by their manifests and goes on at the stage and step where it
was; with other settings of one stage it is that stage, and those after it, that ask for --overwrite. Cost: the stages'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval import parallel
from train.settings import OTHER_NAMES, STAGES, Stage, recipe
from workbench import manifest
from workbench.command import did_you_mean
from workbench.config import Layer, Loaded, as_dict, at_least, load, parse_assignments, setting, walk
from workbench.console import note
from workbench.errors import ConfigError
from workbench.files import read_json

if TYPE_CHECKING:
    from eval.stage_record import StageRecord

KIND, SCORES, PAGE = "pipeline", "scores", "pipeline.html"
REINFORCED = ("ppo", "grpo", "rloo")


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """What a pipeline can be told beside the settings of its stages."""

    pipeline: tuple[str, ...] = setting(doc="the stages in order: pt,sft,rm,ppo or pt,sft,dpo")
    out: Path = setting(Path("data/runs/pipeline"), "the folder of the runs and of their comparison")
    prompts: int = setting(64, "held-out questions that each stage's model answers", check=at_least(2))
    max_new: int = setting(64, "tokens of such an answer at most", check=at_least(1))
    items: int = setting(200, "held-out sequences, dialogues, pairs, choices to score, of each", check=at_least(2))
    mc: Path | None = setting(None, "a folder of benchmarks (mmlu, ceval, cmmlu): also score gold answers")
    seed: int = setting(0, "of drawing answers", check=at_least(0))


@dataclass(frozen=True)
class Step:
    """A stage in its place."""

    name: str  # 02-sft
    stage: Stage
    loaded: Loaded[Any]

    @property
    def run(self) -> Path:
        """The folder of its run."""
        out: Path = self.loaded.value.out
        return out

    @property
    def makes_policy(self) -> bool:
        """Whether a later stage goes on from it."""
        return self.stage.name != "rm"

    @property
    def weights(self) -> Path:
        """What the next stage goes on from: the run, or its adapter merged into its base."""
        tune = self.loaded.value.tune
        merged = tune == "qlora" or (tune == "lora" and self.makes_policy)
        return self.run.with_name(f"{self.name}-merged") if merged else self.run


@dataclass(frozen=True)
class Pipeline:
    """All that a command says."""

    loaded: Loaded[PipelineSettings]
    steps: tuple[Step, ...]

    @property
    def judge(self) -> Step | None:
        """The stage whose reward model judges answers."""
        return next((step for step in self.steps if not step.makes_policy), None)


def is_pipeline(words: Sequence[str]) -> bool:
    """Tell whether the words, or the file they name, ask for a pipeline."""
    keys = dict(word.partition("=")[::2] for word in words)
    return "pipeline" in keys or ("config" in keys and "pipeline" in recipe(keys["config"])[0].values)


def resolve_pipeline(words: Sequence[str]) -> Pipeline:
    """Return a pipeline with the frozen settings of all its stages.

    Raises:
        ConfigError: For an unknown stage or key, an order that cannot be, a wrong type, a missing value.
        InputError: If a config file cannot be read.
    """
    given: dict[str, Any] = dict(parse_assignments(words))
    if "stage" in given:
        raise ConfigError("stage", "stands beside pipeline", "give one of the two")
    layers = [Layer("command line", given)]
    if (config := given.pop("config", None)) is not None:
        layers.insert(0, recipe(config)[0])
    parts = [_split(layer) for layer in layers]
    loaded = load(PipelineSettings, [own for own, _ in parts])
    names = tuple(OTHER_NAMES.get(name, name) for name in loaded.value.pipeline)
    _check_order(names)
    for key in given:  # a file may have sections for several pipelines
        if (name := key.partition(".")[0]) in STAGES and name not in names:
            raise ConfigError(key, f"{name} is not in pipeline={','.join(names)}", "leave it out")
    steps: list[Step] = []
    for number, name in enumerate(names, 1):
        own = [Layer(layer.origin, of.get(name, {})) for layer, of in parts]
        steps.append(_step(f"{number:02}-{name}", STAGES[name], own, steps, loaded.value.out))
    return Pipeline(loaded, tuple(steps))


def _split(layer: Layer) -> tuple[Layer, dict[str, dict[str, Any]]]:
    """Part the pipeline's own settings from each stage's: below its name in a file, ``name.key`` among words."""
    own, stages, known = dict[str, Any](), dict[str, dict[str, Any]](), {key for key, _, _ in walk(PipelineSettings)}
    for key, value in layer.values.items():
        head, _, rest = key.partition(".")
        if head in STAGES and rest:
            stages.setdefault(head, {})[rest] = value
        elif head in STAGES and isinstance(value, Mapping):
            stages[head] = {**value, **stages.get(head, {})}
        elif head in STAGES:
            raise ConfigError(
                f"{layer.origin}: {key}", f"{value!r} is no section of settings", f"write {key}.KEY=VALUE"
            )
        elif head in known:
            own[key] = value
        else:
            found = did_you_mean(head, [*STAGES, *known])
            raise ConfigError(f"{layer.origin}: {key}", "no such stage or setting", found)
    return Layer(layer.origin, own), stages


def _check_order(names: Sequence[str]) -> None:
    word = f"pipeline={','.join(names)}"
    for name in names:
        if name not in STAGES:
            raise ConfigError(word, f"no such stage: {name}", did_you_mean(name, STAGES))
        if names.count(name) > 1:
            raise ConfigError(word, f"{name} stands in it twice", "keep one of them")
    if not names:
        raise ConfigError("pipeline", "names no stage", "give them in order: pt,sft,dpo")
    if "pt" in names[1:]:
        raise ConfigError(word, "pt is not the first", "begin with it")
    if set(names) <= {"rm"}:
        raise ConfigError(word, "has no stage that makes a language model", "use stage=rm")


def _step(name: str, stage: Stage, own: Sequence[Layer], before: Sequence[Step], out: Path) -> Step:
    """Return a stage with its settings, and with what is handed to it."""
    handed: dict[str, Any] = {"out": str(out / name)}
    policy = next((step for step in reversed(before) if step.makes_policy), None)
    judge = next((step for step in before if not step.makes_policy), None)
    if policy is not None:
        handed["model.weights"] = str(policy.weights)
    if judge is not None and stage.name in REINFORCED and not any("reward" in layer.values for layer in own):
        handed["reward"] = str(judge.weights)
    layers = []
    for layer in own:
        values = dict(layer.values)
        if (below := values.pop("config", None)) is not None:
            layers.append(recipe(str(below))[0])
        if taken := next((key for key in ("out", "model.weights") if key in values and key in handed), None):
            place = f"{layer.origin}: {stage.name}.{taken}"
            raise ConfigError(place, "is handed over by the pipeline", "leave it out")
        layers.append(Layer(f"{layer.origin}: {stage.name}", values))
    try:
        return Step(name, stage, load(stage.settings(), [*layers, Layer("the pipeline", handed)]))
    except ConfigError as error:
        if error.found != "is not set and has no default":
            raise
        raise ConfigError(f"{stage.name}.{error.place}", error.found, error.remedy) from error


def run_pipeline(plan: Pipeline, *, overwrite: bool = False) -> dict[str, Any]:
    """Run what is not done of a pipeline, and compare its stages; returns the results that are in the manifest.

    Raises:
        UserError: As the stages do.
        KeyboardInterrupt: If a signal stopped a stage; the same command goes on there.
    """
    from eval.merge import merge

    settings, record = plan.loaded.value, make_record(plan)
    for step in plan.steps:
        if parallel.first():
            note(f"{step.name} · {step.stage.chinese}")
        step.stage.run(step.loaded, overwrite)

        def after(step: Step = step) -> None:
            if step.weights != step.run:
                merge(step.run, step.weights)
            _score(record, plan.steps[0], step)

        with parallel.joined():
            parallel.by_first(after)

    def finish() -> dict[str, Any]:
        runs = [{"path": str(step.run), "fingerprint": _mark(step)} for step in plan.steps]
        told = {key: value for key, value in as_dict(settings).items() if key != "out"}
        mark = manifest.fingerprint(KIND, told, runs)
        path = settings.out / manifest.NAME
        if path.is_file() and read_json(path).get("fingerprint") == mark:
            note(f"{settings.out}: this pipeline is complete, nothing to do")
            return dict(read_json(path)["results"])
        if (judge := plan.judge) is not None and record.sheet.prompts:
            record.judge(judge.weights)
        names = {step.name: (step.stage.chinese, step.stage.doc) for step in plan.steps}
        results = {"pipeline": list(settings.pipeline), **record.close(names, settings.out / PAGE)}
        manifest.write(settings.out, manifest.Manifest(KIND, mark, as_dict(settings), runs, results=results))
        return results

    with parallel.joined():
        return parallel.by_first(finish)


def make_record(plan: Pipeline) -> StageRecord:
    """Return the record of what the stages change; nothing is read yet."""
    from eval.models import model_folder
    from eval.stage_record import StageRecord
    from eval.stage_sheet import Asked, HeldOut

    own, steps = plan.loaded.value, {step.stage.name: step.loaded.value for step in plan.steps}
    first = plan.steps[0].loaded.value
    scored = {name: steps[name] for name in ("sft", "rm", "dpo") if name in steps}
    named = [s.template for s in steps.values() if getattr(s, "template", "own") != "own"]
    asked = Asked(
        tokenizer=first.tokenizer or model_folder(first.model.weights),
        template=(named[0] if named else "own") if len(steps) > ("pt" in steps) else None,
        tokens=first.data if "pt" in steps else None,
        sets={name: HeldOut(s.data, s.window, s.held_out, s.min_jaccard) for name, s in scored.items()},
        items=own.items,
        prompts=own.prompts,
        max_new=own.max_new,
        seed=own.seed,
        mc=own.mc,
    )
    return StageRecord(own.out / SCORES, asked)


def _mark(step: Step) -> str:
    return str(read_json(step.run / manifest.NAME)["fingerprint"])


def _score(record: StageRecord, first: Step, step: Step) -> None:
    """Score what a stage made, and before it the weights that the first stage began from."""
    from eval.device import default_device
    from eval.models import load_model
    from eval.stage_record import START
    from tokenizer.shards import TokenShards
    from train.model import make_model
    from train.rm import REPORT

    settings = first.loaded.value

    def at_start() -> Any:
        if settings.model.weights is not None:
            return load_model(settings.model.weights).float()
        shards = TokenShards.open(settings.data, "train")
        return make_model(settings.model, shards, settings.seed).to(default_device()).eval()

    if not record.scored:
        record.score(START, str([as_dict(settings)["model"], settings.seed]), at_start)
    if step.makes_policy:
        record.score(step.name, _mark(step), lambda: load_model(step.weights).float())
    else:
        record.accuracy(step.name, step.run / REPORT)
