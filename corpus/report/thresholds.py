"""The thresholds in a recipe's conditions: which signal is compared with which number, on which side rejection lies.

polars parses the condition (the gate runs that very expression); here its tree is walked for comparisons of a column
with a number. Under NOT a comparison turns round. One that must hold together with another (``han_share < 0.3 and
chars < 300``) cuts less than its line suggests; it is marked as not ``alone``, and drawn dashed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from corpus.recipe import Recipe
from corpus.stages.gate import condition

_OPS = {"Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">=", "Eq": "=", "NotEq": "<>"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}  # 20 > chars is chars < 20
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_SETTINGS = {  # thresholds outside of gates: stage and setting; signal, operator, stage and reason of the verdict
    ("near", "min_jaccard"): ("near_jaccard", ">=", "near", "near_duplicate"),
    ("decontaminate", "min_overlap"): ("benchmark_overlap", ">=", "decontaminate", "benchmark_item"),
}


@dataclass(frozen=True)
class Threshold:
    """A comparison in a gate; documents on its side are rejected."""

    signal: str
    op: str  # < <= > >= = <>
    value: float
    stage: str
    reason: str
    condition: str
    alone: bool  # it suffices; otherwise another part of the condition must hold too


def thresholds_of(recipe: Recipe) -> list[Threshold]:
    """Return all thresholds of a recipe's gates, in their order."""
    out: list[Threshold] = []
    for step in recipe.steps:
        stage: Any = step.stage
        if stage.name == "gate":
            for reason, text in stage.reject.items():
                for signal, op, value, alone in comparisons(text):
                    out.append(Threshold(signal, op, value, stage.stage, reason, text, alone))
        for (name, setting), (signal, op, filed, reason) in _SETTINGS.items():
            if stage.name == name:
                text = f"{name}.{setting}"
                out.append(Threshold(signal, op, getattr(stage, setting), filed, reason, text, alone=True))
    return out


def thresholds_by_signal(recipe: Recipe) -> dict[str, list[dict[str, Any]]]:
    """Return the thresholds of each signal as plain values."""
    out: dict[str, list[dict[str, Any]]] = {}
    for one in thresholds_of(recipe):
        entry = {key: value for key, value in asdict(one).items() if key != "signal"}
        out.setdefault(one.signal, []).append(entry)
    return out


def comparisons(text: str) -> list[tuple[str, str, float, bool]]:
    """Return the comparisons of a condition, each once: column, operator, number, whether it suffices.

    Args:
        text: A condition as gates have them.

    Raises:
        ConfigError: If it is not SQL.
    """
    tree = json.loads(condition(text).meta.serialize(format="json"))
    return list(dict.fromkeys(_walk(tree, negated=False, alone=True)))


def _walk(node: Any, *, negated: bool, alone: bool) -> Iterator[tuple[str, str, float, bool]]:
    if not isinstance(node, dict) or len(node) != 1:
        return
    kind, inside = next(iter(node.items()))
    if kind in ("Cast", "Alias"):
        yield from _walk(inside["expr"] if isinstance(inside, dict) else inside[0], negated=negated, alone=alone)
        return
    op, operands = _operation(kind, inside)
    if op == "Not":
        yield from _walk(operands[0], negated=not negated, alone=alone)
    elif op in ("And", "Or"):
        suffices = alone and (op == "Or") != negated  # not (a and b) is: not a, or not b
        for operand in operands:
            yield from _walk(operand, negated=negated, alone=suffices)
    elif op in _OPS and len(operands) == 2:
        left, right = operands
        found = _column(left), _OPS[op], _number(right)
        if found[0] is None or found[2] is None:
            found = _column(right), _MIRRORED[_OPS[op]], _number(left)
        signal, sign, value = found
        if signal is not None and value is not None:
            yield signal, _NEGATED[sign] if negated else sign, value, alone


def _operation(kind: str, inside: Any) -> tuple[str | None, list[Any]]:
    """Return the operator of a node and its operands; polars has two spellings, one for SQL's decimals."""
    if kind == "BinaryExpr":
        op = {"LogicalAnd": "And", "LogicalOr": "Or"}.get(inside["op"], inside["op"])
        return op, [inside["left"], inside["right"]]
    if kind == "Function":
        function = inside["function"]
        if isinstance(function, dict):
            if function.get("Boolean") == "Not":
                return "Not", inside["input"]
            sql = function.get("Sql")
            if isinstance(sql, dict) and isinstance(sql.get("Binary"), str):
                return sql["Binary"], inside["input"]
    return None, []


def _column(node: Any) -> str | None:
    while isinstance(node, dict) and set(node) == {"Cast"}:
        node = node["Cast"]["expr"]
    return node["Column"] if isinstance(node, dict) and isinstance(node.get("Column"), str) else None


def _number(node: Any) -> float | None:
    """Return the number that a literal is: {"Dyn": {"Int": 20}}, {"Scalar": {"Decimal": [35, 2, 2]}}."""
    if not isinstance(node, dict) or "Literal" not in node or not isinstance(node["Literal"], dict):
        return None
    (value,) = node["Literal"].values()
    if not isinstance(value, dict):
        return None
    ((kind, number),) = value.items()
    if kind == "Decimal":
        unscaled, _, scale = number
        return float(unscaled / 10**scale)
    return float(number) if isinstance(number, int | float) and not isinstance(number, bool) else None
