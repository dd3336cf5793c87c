"""The local engine: processes on one machine, one thread each.

``spawn`` and not ``fork``: polars' thread pool does not survive a fork. With one worker the function runs in this
process, which is what tests and debuggers want. A worker that dies (out of memory, kill -9) ends the map with a clear
line; what was finished is on disk, and the same command goes on from there.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from workbench.errors import UserError

U = TypeVar("U")
R = TypeVar("R")

_ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")


def one_thread() -> None:
    """Keep the libraries that this process imports from now on to one thread, unless the user has said otherwise."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


class Local:
    """A pool of processes, started at the first map and kept until the build ends."""

    def __init__(self, workers: int) -> None:
        """Remember how many processes to use (1: none but this one)."""
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[U], R], units: Sequence[U]) -> Iterator[tuple[int, R]]:
        """Yield (index, function(unit)) as they finish, in no promised order.

        Args:
            function: A function of a module, pure but for the files it writes.
            units: What to call it with, each once.

        Raises:
            UserError: If a worker process died.
        """
        if self.workers == 1 or len(units) < 2:
            for index, unit in enumerate(units):
                yield index, function(unit)
            return
        pool = self._pool or self._start()
        futures = {pool.submit(function, unit): index for index, unit in enumerate(units)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            self._pool = None
            remedy = "run the same command again, it goes on from there; with fewer --workers if memory ran out"
            raise UserError("a worker process", "was killed", remedy) from error
        finally:
            for future in futures:
                future.cancel()

    def _start(self) -> ProcessPoolExecutor:
        before = {name: os.environ.get(name) for name in _ONE_THREAD}
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # children inherit it; this process has read its own
        try:
            self._pool = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"))
            for future in [self._pool.submit(os.getpid) for _ in range(self.workers)]:
                future.result()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        return self._pool

    def __enter__(self) -> Local:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
