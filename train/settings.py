"""From the words of the command line to frozen settings: ``stage=pt config=tiny-cpu steps=50 model.layers=4``.

Every word is ``key=value``; dotted keys reach into sections. Precedence: the class's default < ``config=`` < the
command line. ``config=`` is a shipped recipe's bare name, or a YAML file. Nothing else gives values: no environment,
no merging of several files. No torch is imported here: ``--print`` answers in 0.2 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.command import did_you_mean
from workbench.config import Layer, Loaded, load, parse_assignments, read_yaml, walk
from workbench.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Stage:
    """A stage: what it is for, its settings, and the function that runs it."""

    name: str
    doc: str
    settings: Callable[[], type[Any]]
    run: Callable[[Loaded[Any], bool], dict[str, Any]]  # settings, overwrite -> results
    plan: Callable[[Any, bool], None]  # settings, as JSON: prints what the run will take


def _pt_settings() -> type[Any]:
    from train.pt import PtSettings

    return PtSettings


def _run_pt(loaded: Loaded[Any], overwrite: bool) -> dict[str, Any]:
    from train.pt import train_pt

    return train_pt(loaded.value, overwrite=overwrite)


def _plan_pt(settings: Any, as_json: bool) -> None:
    from train import plan
    from workbench.console import emit_json

    found = plan.make_plan(settings)
    emit_json(plan.as_json(found)) if as_json else plan.print_plan(found, settings)


def _reinforcing(name: str, doc: str) -> Stage:
    """Return a stage on PPO's loop: module ``train.<name>``, with ``<Name>Settings`` and ``train_<name>``."""

    def settings() -> type[Any]:
        found: type[Any] = getattr(import_module(f"train.{name}"), f"{name.capitalize()}Settings")
        return found

    def run(loaded: Loaded[Any], overwrite: bool) -> dict[str, Any]:
        results: dict[str, Any] = getattr(import_module(f"train.{name}"), f"train_{name}")(
            loaded.value, overwrite=overwrite
        )
        return results

    def plan(settings: Any, as_json: bool) -> None:
        raise ConfigError("--plan", f"counts stage=pt, not {name}", "plan pt with the same model")

    return Stage(name, doc, settings, run, plan)


PPO = _reinforcing("ppo", "reinforcement from a reward model or function: PPO, with a value head")
STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "pt": Stage("pt", "pre-training, fresh or continued, on token shards", _pt_settings, _run_pt, _plan_pt),
        "ppo": PPO,
        "rl": PPO,  # its other name
        "grpo": _reinforcing("grpo", "reinforcement from groups of answers: GRPO"),
        "rloo": _reinforcing("rloo", "reinforcement from groups of answers: REINFORCE, leave one out"),
    }
)


def recipe_names() -> list[str]:
    """Return the bare names of the shipped recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def find_recipe(word: str) -> Path:
    """Return the file that ``config=`` names: a bare name is a shipped recipe, anything else a path.

    Raises:
        ConfigError: If a bare name is no shipped recipe.
    """
    if "/" in word or word.endswith((".yaml", ".yml")):
        return Path(word)
    if word not in recipe_names():
        raise ConfigError(
            f"config={word}", "no such recipe", f"{did_you_mean(word, recipe_names())} or name a file.yaml"
        )
    return RECIPES / f"{word}.yaml"


def resolve(words: Sequence[str], *, planning: bool = False) -> tuple[Stage, Loaded[Any]]:
    """Return the stage and its frozen settings.

    Args:
        words: ``key=value`` words.
        planning: ``data`` and ``tokenizer`` need not be given.

    Raises:
        ConfigError: For an unknown stage, recipe or key, a wrong type, a missing value.
        InputError: If the config file cannot be read.
    """
    given: dict[str, Any] = dict(parse_assignments(words))
    layers = [Layer("not needed by --plan", {"data": "data/tokens", "tokenizer": "data/tokenizer"})] if planning else []
    config, name = given.pop("config", None), given.pop("stage", None)
    if config is not None:
        path = find_recipe(config)
        values = read_yaml(path)
        in_file = values.pop("stage", None)
        if name is not None and in_file not in (None, name) and STAGES.get(name) is not STAGES.get(in_file):
            raise ConfigError(
                f"stage={name}", f"{path} is for stage={in_file}", "take another config, or leave stage= out"
            )
        name = name or in_file
        layers.append(Layer(path.name, values))
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
