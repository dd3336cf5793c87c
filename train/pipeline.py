"""``train pipeline=pt,sft,rm,ppo``: stages one after another in one command, each going on from the run before it.

    <out>/01-pt, 02-sft, …     each a run, as if started alone; an adapter is merged beside it: 02-sft-merged
    <out>/scores/02-sft.json   what the stage changed, measured when it was done (``train.pipeline_scores``)
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
from typing import Any

from train import parallel
from train.settings import OTHER_NAMES, STAGES, Stage, find_recipe
from workbench import manifest
from workbench.command import did_you_mean
from workbench.config import Layer, Loaded, as_dict, at_least, load, parse_assignments, read_yaml, setting, walk
from workbench.console import note
from workbench.errors import ConfigError
from workbench.files import read_json

KIND = "pipeline"
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


def is_pipeline(words: Sequence[str]) -> bool:
    """Tell whether the words, or the file they name, ask for a pipeline."""
    keys = dict(word.partition("=")[::2] for word in words)
    return "pipeline" in keys or ("config" in keys and "pipeline" in read_yaml(find_recipe(keys["config"])))


def resolve_pipeline(words: Sequence[str]) -> Pipeline:
    """Return a pipeline with the frozen settings of all its stages.

    Args:
        words: ``key=value`` words.

    Raises:
        ConfigError: For an unknown stage or key, an order that cannot be, a wrong type, a missing value.
        InputError: If a config file cannot be read.
    """
    given: dict[str, Any] = dict(parse_assignments(words))
    if "stage" in given:
        raise ConfigError("stage", "stands beside pipeline", "give one of the two")
    config = given.pop("config", None)
    path = None if config is None else find_recipe(config)
    values = {} if path is None else read_yaml(path)
    layers = [*([] if path is None else [(path.name, values)]), ("command line", given)]
    for origin, one in layers:
        for key in one:
            if (head := key.partition(".")[0]) not in STAGES and head not in {k for k, _, _ in walk(PipelineSettings)}:
                known = [*STAGES, *(key for key, _, _ in walk(PipelineSettings))]
                raise ConfigError(f"{origin}: {key}", "no such stage or setting", did_you_mean(head, known))
    loaded = load(
        PipelineSettings, [Layer(origin, {k: v for k, v in one.items() if not _stage_of(k)}) for origin, one in layers]
    )
    names = tuple(OTHER_NAMES.get(name, name) for name in loaded.value.pipeline)
    _check_order(names)
    for key in given:  # a file may have sections for several pipelines
        if (stage := _stage_of(key)) and stage not in names:
            raise ConfigError(key, f"{stage} is not in pipeline={','.join(names)}", "leave it out")
    steps: list[Step] = []
    for number, name in enumerate(names, 1):
        own = [(origin, _section(one, name, origin)) for origin, one in layers]
        steps.append(_step(f"{number:02}-{name}", STAGES[name], own, steps, loaded.value.out))
    return Pipeline(loaded, tuple(steps))


def _stage_of(key: str) -> str | None:
    head = key.partition(".")[0]
    return head if head in STAGES else None


def _section(values: Mapping[str, Any], name: str, origin: str) -> dict[str, Any]:
    """The settings of a stage: below its name in a file, ``name.key`` among words."""
    out = {key[len(name) + 1 :]: value for key, value in values.items() if key.startswith(f"{name}.")}
    inside = values.get(name, {})
    if not isinstance(inside, Mapping):
        raise ConfigError(f"{origin}: {name}", f"{inside!r} is no section of settings", f"write {name}.KEY=VALUE")
    return {**inside, **out}


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


def _step(
    name: str, stage: Stage, own: Sequence[tuple[str, dict[str, Any]]], before: Sequence[Step], out: Path
) -> Step:
    """Return a stage with its settings, and with what is handed to it."""
    handed: dict[str, Any] = {"out": str(out / name)}
    policy = next((step for step in reversed(before) if step.makes_policy), None)
    judge = next((step for step in before if not step.makes_policy), None)
    if policy is not None:
        handed["model.weights"] = str(policy.weights)
    if judge is not None and stage.name in REINFORCED and not any("reward" in values for _, values in own):
        handed["reward"] = str(judge.weights)
    layers = []
    for origin, values in own:
        if (recipe := values.pop("config", None)) is not None:
            path = find_recipe(str(recipe))
            below = {key: value for key, value in read_yaml(path).items() if key != "stage"}
            layers.append(Layer(path.name, below))
        for key in values:
            if key in ("out", "model.weights") and key in handed:
                raise ConfigError(f"{origin}: {stage.name}.{key}", "is handed over by the pipeline", "leave it out")
        layers.append(Layer(f"{origin}: {stage.name}", values))
    try:
        return Step(name, stage, load(stage.settings(), [*layers, Layer("the pipeline", handed)]))
    except ConfigError as error:
        if error.found != "is not set and has no default":
            raise
        raise ConfigError(f"{stage.name}.{error.place}", error.found, error.remedy) from error


def run_pipeline(plan: Pipeline, *, overwrite: bool = False) -> dict[str, Any]:
    """Run what is not done of a pipeline, and compare its stages.

    Args:
        plan: All that the command says.
        overwrite: Replace runs of other settings in the same folders.

    Returns:
        The results that are in the manifest.

    Raises:
        UserError: As the stages do.
        KeyboardInterrupt: If a signal stopped a stage; the same command goes on there.
    """
    from train.lora import merge
    from train.pipeline_scores import Scoring, close

    settings, scoring = plan.loaded.value, Scoring(plan)
    for step in plan.steps:
        if parallel.first():
            note(f"{step.name} · {step.stage.chinese}")
        step.stage.run(step.loaded, overwrite)

        def after(step: Step = step) -> None:
            if step.weights != step.run:
                merge(step.run, step.weights)
            scoring.after(step)

        with parallel.joined():
            parallel.by_first(after)

    def finish() -> dict[str, Any]:
        runs = [
            {"path": str(s.run), "fingerprint": read_json(s.run / manifest.NAME)["fingerprint"]} for s in plan.steps
        ]
        told = {key: value for key, value in as_dict(settings).items() if key != "out"}
        mark = manifest.fingerprint(KIND, told, runs)
        path = settings.out / manifest.NAME
        if path.is_file() and read_json(path).get("fingerprint") == mark:
            note(f"{settings.out}: this pipeline is complete, nothing to do")
            return dict(read_json(path)["results"])
        results = close(plan, scoring)
        manifest.write(settings.out, manifest.Manifest(KIND, mark, as_dict(settings), runs, results=results))
        return results

    with parallel.joined():
        return parallel.by_first(finish)
