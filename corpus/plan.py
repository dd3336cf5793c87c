"""What a build would do, before it reads a document: files, spans, steps by pass, resources, CPU time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus.build import Input
from corpus.recipe import Recipe
from corpus.sources import plan as spans_of
from workbench.console import emit_json, table

MB_PER_CPU_SECOND = 4.0  # zh-web with its models, as `make bench` measures it; without them three times as much


def plan_of(inputs: Sequence[Input], recipe: Recipe, out: Path) -> dict[str, Any]:
    """Return the plan as plain values.

    Raises:
        InputError: If an input is not there.
    """
    sources: list[dict[str, Any]] = []
    for one in inputs:
        files = one.files
        size = sum(file.stat().st_size for file in files)
        spans = len(spans_of(one.reader, one.path, files))
        sources.append(
            {"source": one.source, "path": str(one.path), "files": len(files), "bytes": size, "spans": spans}
        )
    steps: list[dict[str, Any]] = [
        {
            "step": step.label,
            "pass": step.pass_number,
            "looks at all": bool(getattr(step.stage, "needs", ())),
            "when": step.when or "",
            "writes, or reasons": ", ".join(getattr(step.stage, "reject", step.stage.writes)),
        }
        for step in recipe.steps
    ]
    total = sum(source["bytes"] for source in sources)
    return {
        "recipe": recipe.name,
        "out": str(out),
        "sources": sources,
        "steps": steps,
        "passes": recipe.passes,
        "resources": [str(path) for path in recipe.resources()],
        "bytes": total,
        "cpu_seconds_estimate": round(total / 1e6 / MB_PER_CPU_SECOND, 1),
    }


def print_plan(inputs: Sequence[Input], recipe: Recipe, out: Path, *, as_json: bool) -> None:
    """Print what a build would do."""
    made = plan_of(inputs, recipe, out)
    if as_json:
        emit_json(made)
        return
    for key, title in (("sources", f"sources → {out}"), ("steps", f"recipe {recipe.name}, {recipe.passes} passes")):
        rows = made[key]
        table(tuple(rows[0]), [tuple(row.values()) for row in rows], title)
    print(f"{made['bytes'] / 1e6:,.1f} MB; about {made['cpu_seconds_estimate']:,.0f} CPU-seconds, nothing was read")
