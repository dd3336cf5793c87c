"""One answered item of a benchmark, as it stands in ``samples-<task>.jsonl``: the unit of resume, comparison, reports.

``key`` names the item for good (``mmlu/anatomy/test/17``), so that two runs can be compared item by item whatever
order they ran in. Values that a task does not have are absent from the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InputError

Format = Literal["mc", "cf", "generate"]  # a letter's likelihood, the answer's likelihood (cloze), free text


@dataclass(frozen=True)
class Sample:
    """An item, what the model was shown, what it said, and the verdict."""

    task: str
    key: str
    subject: str
    split: str
    shots: int
    protocol: str  # official, lm-eval, qwen, or an importer's name
    format: Format
    prompt: str
    gold: str
    correct: float  # 1 or 0; the share of passing programs where several were drawn
    output: tuple[str, ...] = ()  # texts generated; several for pass@k
    extracted: tuple[str | None, ...] = ()  # what was read out of each, None where nothing was found
    logprobs: tuple[float, ...] = ()  # nats, one a choice
    verdicts: dict[str, Any] | None = None  # second opinions (strict, flexible, math_verify), a program's end, …
    dropped_shots: int = 0  # whole exemplars left out because the prompt was longer than the context


def line_of(sample: Sample) -> str:
    """Return a sample as one line of JSON, without what is empty."""
    kept = {key: value for key, value in asdict(sample).items() if value not in ((), None, 0) or key == "correct"}
    return json.dumps({**kept, "shots": sample.shots}, ensure_ascii=False)


def read_samples(path: Path) -> Iterator[Sample]:
    """Yield the samples of a file.

    Raises:
        InputError: If the file cannot be read, or a line is no sample.
    """
    known = {field.name for field in fields(Sample)}
    remedy = "delete the line or the file: evaluate run answers again what is missing"
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    found = {key: value for key, value in json.loads(line).items() if key in known}
                    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
                    yield Sample(**values)
                except (ValueError, TypeError, AttributeError) as error:
                    raise InputError(f"{path}:{number}", f"is no sample ({error})", remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", remedy) from error
