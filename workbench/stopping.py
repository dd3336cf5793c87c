"""Stopping politely: the first SIGINT or SIGTERM asks for a save at the end of the step, the second acts as ever."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from workbench.console import note

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def saving_first(stop: Callable[[str], None]) -> Iterator[None]:
    """Within it, the first such signal calls ``stop`` with its name and puts the former handlers back.

    Args:
        stop: Remembers that the work shall end at the next good moment.
    """

    def ask(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        note(f"{name}: saving after this step (again: at once, back to the last checkpoint)")
        stop(name)
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.signal(each, ask) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
