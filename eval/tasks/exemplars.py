"""Exemplars that no benchmark file carries: GSM8K's eight and MATH's four, read from the installed lm-eval's tasks.

They are read as text (YAML, and a literal of the source), so that nothing of lm-eval is imported or run for it.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import InputError, MissingPackage


@cache
def gsm8k() -> tuple[tuple[str, str], ...]:
    """Return Wei et al.'s eight (arXiv 2201.11903, table 20) as question and worked answer."""
    path = _task("gsm8k/gsm8k-cot.yaml")
    try:
        samples = yaml.safe_load(path.read_text(encoding="utf-8"))["fewshot_config"]["samples"]
        return tuple((one["question"], one["target"]) for one in samples)
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(path, f"holds no exemplars ({error})", "install lm_eval 0.4.13 again") from error


@cache
def maths() -> tuple[tuple[str, str], ...]:
    """Return Minerva's four (arXiv 2206.14858, appendix D.2) as problem and solution."""
    path = _task("minerva_math/utils.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "list_fewshot_samples":
            last = node.body[-1]
            if isinstance(last, ast.Return) and last.value is not None:
                found: list[dict[str, Any]] = ast.literal_eval(last.value)
                return tuple((one["problem"], one["solution"]) for one in found)
    raise InputError(path, "holds no exemplars", "install lm_eval 0.4.13 again")


def _task(name: str) -> Path:
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackage("lm_eval", "eval")
    path = Path(spec.submodule_search_locations[0]) / "tasks" / name
    if not path.is_file():
        raise InputError(path, "is not there, and the exemplars are read from it", "install lm_eval 0.4.13")
    return path
