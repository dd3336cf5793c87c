"""CPU time of a piece of work: user and system, this process and the children it waited for."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Seconds:
    """What ``measured`` fills in."""

    cpu = 0.0


@contextmanager
def measured() -> Iterator[Seconds]:
    """Measure the CPU seconds of a block."""
    seconds, before = Seconds(), _used()
    yield seconds
    seconds.cpu = max(1e-6, _used() - before)


def _used() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def best(work: Callable[[], Any], times: int = 3) -> float:
    """Return the least CPU seconds of several runs; the first run, which compiles, is not counted."""
    work()
    found = []
    for _ in range(times):
        with measured() as seconds:
            work()
        found.append(seconds.cpu)
    return min(found)
