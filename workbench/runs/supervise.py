"""``train supervise -- COMMAND``: start a run again when it fails, and give up when that does not help.

The command is any launch of a run: ``train …``, ``torchrun … -m train …``. A run goes on from its newest complete
checkpoint by itself, so restarting is all there is to do. What a restart cannot cure ends it: your mistake (exit code
2), a stop that was asked for, several failures at one step, which the data or the rate cause and no machine. The
report, each attempt with exit code and last step, is printed and written to ``<run>/supervision.json``.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.console import note, table
from workbench.errors import ConfigError, GateFailed
from workbench.files import write_json
from workbench.runs import metrics
from workbench.stopping import SIGNALS

NAME = "supervision.json"


@dataclass(frozen=True)
class Attempt:
    """One start of the command."""

    exit_code: int  # negative: the signal that killed it
    step: int  # the last one on record
    seconds: float


def run_folder(command: Sequence[str]) -> Path:
    """Return the run's folder, from the command's out=.

    Raises:
        ConfigError: If it says none.
    """
    for word in command:
        if word.startswith("out="):
            return Path(word.removeprefix("out="))
    raise ConfigError("supervise", "the command has no out=", "name the run's folder: -- train … out=DIR")


def supervise(command: Sequence[str], *, max_restarts: int, at_one_step: int) -> int:
    """Run a command until it succeeds; returns its exit code.

    Args:
        command: The launch.
        max_restarts: Restarts in all.
        at_one_step: Failures after the same step that are taken for its fault.

    Raises:
        GateFailed: If it gave up, with the reason.
    """
    out, attempts, asked = run_folder(command), list[Attempt](), list[int]()
    while True:
        began = time.monotonic()
        child = subprocess.Popen(command)

        def pass_on(number: int, _: object, child: subprocess.Popen[bytes] = child) -> None:
            asked.append(number)
            child.send_signal(number)

        before = {each: signal.signal(each, pass_on) for each in SIGNALS}
        code = child.wait()
        for each, handler in before.items():
            signal.signal(each, handler)
        rows = metrics.read(out) if (out / metrics.NAME).is_file() else []
        attempts.append(
            Attempt(code, max((row["step"] for row in rows), default=-1), round(time.monotonic() - began, 1))
        )
        if code in (0, 2) or asked:
            return code if code >= 0 else 128 - code
        last = attempts[-1]
        same = sum(attempt.step == last.step for attempt in attempts)
        if same >= at_one_step or len(attempts) > max_restarts:
            break
        note(f"exit code {code} after step {last.step}: restart {len(attempts)} of at most {max_restarts}")
    table(
        ("attempt", "exit code", "last step", "seconds"), [(n, *asdict(a).values()) for n, a in enumerate(attempts, 1)]
    )
    if out.is_dir():
        write_json(out / NAME, {"command": list(command), "attempts": [asdict(attempt) for attempt in attempts]})
    why = f"{same} failures after step {last.step}" if same >= at_one_step else f"{len(attempts)} failures"
    raise GateFailed(f"{out}: gave up after {why}; look at what it said last, and at train spikes {out}")
