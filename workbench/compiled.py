"""One way to compile a hot loop: numba, cached on disk (the first run pays a second or two), no lock held.

Import this only where a kernel is; numba costs 0.4 s at import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of numpy arrays and numbers; its types stay visible to mypy."""
    kernel: Callable[P, R] = njit(cache=True, nogil=True)(function)
    return kernel
