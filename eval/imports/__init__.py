"""Results of other harnesses as a run of ours: ``scores.json`` and, where the source has them, ``samples-*.jsonl``.

Each reader knows by name which metric of which data set is a benchmark's score, and in which unit. What it does not
know is told and left out; nothing is guessed from a name that looks alike. ``protocol`` is the importer's name, so an
imported figure is never compared as if it were taken by the official prompts. A sample's shots are 0 where the source
does not state them (OpenCompass, EvalScope); in ``scores.json`` they are then absent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eval.imports.from_evalscope import from_evalscope
from eval.imports.from_lm_eval import from_lm_eval
from eval.imports.from_opencompass import from_opencompass
from eval.imports.record import Imported, write

IMPORTERS: dict[str, Callable[[Path, str | None], Imported]] = {
    "opencompass": from_opencompass,
    "lm-eval": from_lm_eval,
    "evalscope": from_evalscope,
}

__all__ = ["IMPORTERS", "Imported", "write"]
