"""A recipe: which steps, in which order, with which numbers. It is data, and is checked whole before a row is read.

    name: zh-web
    about: one line
    steps:
      - normalise
      - gate: {stage: rules, reject: {short: chars < 20}}

Any step may have ``when: condition``; documents for which it does not hold pass by it untouched. A step that must see
all documents first (it has ``prepare``) begins a new pass over the shards.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from corpus.rows import SOURCE, VERDICT
from corpus.stages import STAGES
from corpus.stages.base import Preparing, Stage
from corpus.stages.gate import columns_of
from workbench.command import did_you_mean
from workbench.config import Layer, as_dict, load, read_yaml
from workbench.errors import ConfigError
from workbench.shipped import find, names_in

SHIPPED = Path(__file__).parent / "recipes"
USUAL = {"openwebtext": "en-web", "code": "code"}  # the recipe of a source; zh-web where none is named
WRITTEN_AT_LAST = ("bucket", "lang")  # columns that every corpus has; a recipe must write them


@dataclass(frozen=True)
class Step:
    """A stage at its place in a recipe."""

    number: int
    stage: Stage
    pass_number: int
    when: str | None = None  # condition (SQL over columns) of the documents that the step is for; None: all

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns that the step and its condition read."""
        return (*self.stage.reads, *(columns_of(self.when) if self.when else ()))

    @property
    def label(self) -> str:
        """Return a name that is unique in the recipe: ``07-near``, ``04-gate-rules``."""
        suffix = f"-{self.stage.stage}" if self.stage.name == "gate" else ""  # type: ignore[attr-defined]
        return f"{self.number:02d}-{self.stage.name}{suffix}"


@dataclass(frozen=True)
class Recipe:
    """A checked recipe."""

    name: str
    about: str
    steps: tuple[Step, ...]

    @property
    def passes(self) -> int:
        """Return how many times the shards are passed over."""
        return self.steps[-1].pass_number + 1

    def of_pass(self, number: int) -> tuple[Step, ...]:
        """Return the steps of one pass."""
        return tuple(step for step in self.steps if step.pass_number == number)

    def resources(self) -> list[Path]:
        """Return the files and folders that settings name: models, word lists, benchmarks."""
        values = (getattr(step.stage, field.name) for step in self.steps for field in fields(step.stage))  # type: ignore[arg-type]
        return sorted({value for value in values if isinstance(value, Path)})

    def resolved(self) -> dict[str, Any]:
        """Return every setting with its value, for the manifest and the fingerprint."""
        steps = [
            {step.stage.name: {**({"when": step.when} if step.when else {}), **as_dict(step.stage)}}
            for step in self.steps
        ]
        return {"name": self.name, "steps": steps}


def shipped() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return names_in(SHIPPED)


def recipe_for(sources: Collection[str]) -> str:
    """Return the shipped recipe for a set of sources: their common one, ``mixed`` where they have several."""
    wanted = {USUAL.get(source, "zh-web") for source in sources}
    return wanted.pop() if len(wanted) == 1 else "mixed"


def load_recipe(
    name: str, overrides: Mapping[str, Mapping[str, Any]] | None = None, carried: Collection[str] = ()
) -> Recipe:
    """Read a recipe by name or path and check it.

    Args:
        name: A shipped recipe's name, or the path of a YAML file.
        carried: Columns that the inputs bring of their own, which gates may name.
        overrides: Settings by stage that the command line gives, such as ``{"sensitive": {"lists": DIR}}``.

    Raises:
        ConfigError: If the recipe, a step or a setting is not known, or a step reads what no step before it writes.
        InputError: If the file cannot be read.
    """
    path = find(SHIPPED, name, f"--recipe {name}", "recipe")
    raw = read_yaml(path)
    unknown = set(raw) - {"name", "about", "steps"}
    if unknown:
        raise ConfigError(
            f"{path}: {min(unknown)}", "no such key", did_you_mean(min(unknown), ("name", "about", "steps"))
        )
    if not isinstance(raw.get("steps"), list) or not raw["steps"]:
        raise ConfigError(path, "has no steps", "write steps: and a list")
    given, used = dict(overrides or {}), set()
    steps: list[Step] = []
    for number, entry in enumerate(raw["steps"]):
        stage_name, values = _split(entry, f"{path}: step {number + 1}")
        place = f"{path.name}: step {number + 1} {stage_name}"
        if stage_name not in STAGES:
            raise ConfigError(place, "no such step", did_you_mean(stage_name, STAGES))
        values = dict(values)
        when = values.pop("when", None)
        layers = [Layer(place, values)]
        if stage_name in given:
            layers.append(Layer("command line", given[stage_name]))
            used.add(stage_name)
        stage = load(STAGES[stage_name], layers).value
        steps.append(Step(number + 1, stage, _pass_of(stage, steps), None if when is None else str(when)))
    for stage_name in given.keys() - used:
        raise ConfigError(f"--{stage_name}", f"recipe {path.stem} has no step of that name", "take another recipe")
    _check_columns(steps, path, carried)
    return Recipe(str(raw.get("name", path.stem)), str(raw.get("about", "")), tuple(steps))


def _split(entry: Any, place: str) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        name, values = next(iter(entry.items()))
        if values is None or isinstance(values, dict):
            return str(name), values or {}
    raise ConfigError(place, f"{entry!r} is not a step", "write - name, or - name: {setting: value}")


def _pass_of(stage: Stage, before: list[Step]) -> int:
    """Return the pass of the next step: a new one if its ``prepare`` must see what the present pass finds."""
    now = before[-1].pass_number if before else 0
    if not isinstance(stage, Preparing) or not stage.needs:
        return now  # what needs no document can be prepared before the first is read
    present = [step.stage for step in before if step.pass_number == now]
    found = {name for other in present for name in other.writes}
    gated = any(other.name == "gate" for other in present)
    return now + int(now == 0 or gated or bool(found & set(stage.needs)))


def _check_columns(steps: list[Step], path: Path, carried: Collection[str]) -> None:
    """See that each step finds what it reads, and that the verdict's columns are written by gates alone."""
    known = set(SOURCE) | set(carried)
    for step in steps:
        needed = {*step.reads, *getattr(step.stage, "needs", ())}
        missing = sorted(needed - known)
        if missing:
            place = f"{path.name}: step {step.number} {step.stage.name}"
            writer = next((name for name, stage in STAGES.items() if missing[0] in _writes(stage)), None)
            remedy = f"put - {writer} before it" if writer else did_you_mean(missing[0], known)
            raise ConfigError(f"{place}: {missing[0]}", "no step before it writes that column", remedy)
        known |= set(step.stage.writes)
    for name in WRITTEN_AT_LAST:
        if name not in known:
            raise ConfigError(f"{path.name}", f"no step writes {name}", "every corpus has it: add the step")


def _writes(stage: type[Any]) -> tuple[str, ...]:
    value = inspect.getattr_static(stage, "writes", ())
    return value if isinstance(value, tuple) else tuple(VERDICT)
