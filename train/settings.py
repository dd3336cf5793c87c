"""From the words of the command line to frozen settings: ``stage=pt config=tiny-cpu steps=50 model.layers=4``.

Every word is ``key=value``; dotted keys reach into sections. Precedence: the class's default < ``config=`` < the
command line. ``config=`` is a shipped recipe's bare name, or a YAML file. Nothing else gives values: no environment,
no merging of several files. No torch is imported here: ``--print`` answers in 0.2 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.command import did_you_mean
from workbench.config import Layer, Loaded, load, parse_assignments, read_yaml, walk
from workbench.errors import ConfigError
from workbench.shipped import find

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Stage:
    """A stage: a module ``train.<name>`` with ``<Name>Settings`` and ``run``."""

    name: str
    chinese: str
    doc: str
    reads: str
    writes: str

    def settings(self) -> type[Any]:
        """Return the class of its settings."""
        found: type[Any] = getattr(import_module(f"train.{self.name}"), f"{self.name.capitalize()}Settings")
        return found

    def run(self, loaded: Loaded[Any], overwrite: bool) -> dict[str, Any]:
        """Run it; returns its results."""
        module = import_module(f"train.{self.name}")
        results: dict[str, Any] = module.run(self.name, loaded.value, overwrite=overwrite)
        return results

    def plan(self, settings: Any, as_json: bool) -> None:
        """Print what a run will take.

        Raises:
            ConfigError: For a stage other than pt.
        """
        from train import plan
        from workbench.console import emit_json

        if self.name != "pt":
            raise ConfigError("--plan", f"counts stage=pt, not {self.name}", "plan pt with the same model and recipe")
        found = plan.make_plan(settings)
        emit_json(plan.as_json(found)) if as_json else plan.print_plan(found, settings)


PAIRS, PROMPTS = "a run or a model; preference pairs", "a run or a model; prompts; a reward model or function"
DIALOGUES, RATED = "a run or a model; dialogues", "a run or a model; rated answers"
OTHER_NAMES = MappingProxyType({"rl": "ppo"})
ALL = (
    Stage("pt", "预训练 / 继续预训练", "pre-training, fresh or continued", "token shards", "a base model"),
    Stage("sft", "指令微调", "supervised fine-tuning", DIALOGUES, "a chat model"),
    Stage("rm", "奖励模型", "reward model", PAIRS, "a reward model, its report"),
    Stage("dpo", "直接偏好优化", "direct preference optimisation", PAIRS, "a chat model"),
    Stage("ppo", "强化学习 (PPO)", "reinforcement with a value head", PROMPTS, "a chat model, its value head"),
    Stage("grpo", "组内相对强化学习 (GRPO)", "reinforcement from groups of answers", PROMPTS, "a chat model"),
    Stage("rloo", "留一法强化学习 (RLOO)", "REINFORCE, leave one out", PROMPTS, "a chat model"),
    Stage("kto", "单条评价优化", "learning from rated answers", RATED, "a chat model"),
)
STAGES: Mapping[str, Stage] = MappingProxyType({stage.name: stage for stage in ALL})


def recipe(word: str) -> tuple[Layer, str | None]:
    """Return the settings of the file that ``config=`` names, and the stage that it says it is for.

    Raises:
        ConfigError: If a bare name is no shipped recipe.
        InputError: If the file cannot be read.
    """
    path = find(RECIPES, word, f"config={word}", "recipe")
    values = read_yaml(path)
    stage = values.pop("stage", None)
    return Layer(path.name, values), stage


def resolve(words: Sequence[str], *, planning: bool = False) -> tuple[Stage, Loaded[Any]]:
    """Return the stage and its frozen settings; for planning ``data`` and ``tokenizer`` need not be given.

    Raises:
        ConfigError: For an unknown stage, recipe or key, a wrong type, a missing value.
        InputError: If the config file cannot be read.
    """
    given: dict[str, Any] = dict(parse_assignments(words))
    layers = [Layer("not needed by --plan", {"data": "data/tokens", "tokenizer": "data/tokenizer"})] if planning else []
    config, name = given.pop("config", None), given.pop("stage", None)
    if config is not None:
        layer, in_file = recipe(config)
        layers.append(layer)
        if name is not None and in_file not in (None, name):
            found = f"{layer.origin} is for stage={in_file}"
            raise ConfigError(f"stage={name}", found, "take another config, or leave stage= out")
        name = name or in_file
    name = OTHER_NAMES.get(name, name)
    if name is None:
        raise ConfigError("stage", "is not set", f"say which with stage=: {', '.join(STAGES)}")
    if name not in STAGES:
        raise ConfigError(f"stage={name}", "no such stage", did_you_mean(str(name), STAGES))
    stage = STAGES[name]
    known = {key for key, _, _ in walk(stage.settings())}
    for key in given:
        if key not in known:
            raise ConfigError(key, "no such setting", did_you_mean(key, {*known, "config", "stage"}))
    return stage, load(stage.settings(), [*layers, Layer("command line", given)])
