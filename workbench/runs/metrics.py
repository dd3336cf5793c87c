"""``metrics.jsonl``: a line a step, appended as it happens; what the curves, the summary and a person read.

Keys: step, loss (nats a predicted token), grad_norm (before clipping), lr, tokens (of the run so far), seconds (of
training so far, without saving and evaluating), tokens_per_second, tflops (model TFLOP/s a device), mfu, data_wait;
where there is something to say, ``events`` (a list of texts), ``spike`` (``train.spikes``: with the batch's document
ids) and what the stage scores on held-out data (``workbench.runs.summary.SCORES``). A number that is not finite is
written as null, and an event says what it was: JSON has no NaN. Cost: 10 µs a line.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import write_text

NAME = "metrics.jsonl"


class Metrics:
    """The open file of a run."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        """Append to the file of a run's folder.

        Args:
            folder: The run's.
            writes: False in the processes that are not the first: what they write goes nowhere.
        """
        self.path, self.writes = folder / NAME, writes
        self._open()

    def _open(self) -> None:
        path = self.path if self.writes else Path(os.devnull)
        self._file = path.open("a", encoding="utf-8", buffering=1)  # a line at a time: kill -9 loses none

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row; numbers that are not finite become null and an event."""
        events = list(row.get("events", ()))
        out: dict[str, Any] = {}
        for key, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                events.append(f"{key} is {value}")
                out[key] = None
            else:
                out[key] = value
        if events:
            out["events"] = events
        self._file.write(json.dumps(out, ensure_ascii=False, allow_nan=False) + "\n")

    def rewind(self, step: int) -> None:
        """Take away the rows past a step, which is done again, and go on appending."""
        self._file.close()
        if self.writes:
            trim(self.path.parent, step)
        self._open()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(folder: Path, name: str = NAME) -> list[dict[str, Any]]:
    """Return the rows of a run's file; a last line that a kill cut short is left out.

    Raises:
        InputError: If there is no such file, or a line in its middle is no JSON.
    """
    path, rows = folder / name, list[dict[str, Any]]()
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # a text may hold U+2028, U+0085
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name the folder of a run") from error
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise InputError(f"{path}:{number}", f"is not JSON ({error})", "remove that line") from error
    return rows


def trim(folder: Path, step: int, name: str = NAME) -> int:
    """Take away the rows past a step, which a resumed run does again; returns how many there were."""
    if not (folder / name).is_file():
        return 0
    rows = read(folder, name)
    kept = [row for row in rows if row["step"] <= step]
    write_text(folder / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    return len(rows) - len(kept)
