"""Arrays that live in memory, or in nameless files once the work has outgrown its memory.

A kernel cannot tell the two apart: a file is mapped, and the system brings its pages in and writes them out. A nameless
file is gone as soon as its array is, also after a crash or kill -9. Its space is reserved at once: a mapped file that
meets a full disk later would end the process with a signal.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workbench.errors import OutputError


class Scratch:
    """Gives out arrays of zeros: in memory, on disk after ``spill``."""

    def __init__(self, folder: Path | None = None) -> None:
        """Remember where files would go.

        Args:
            folder: The folder of the files; None: the system's temporary folder.
        """
        self.folder = Path(tempfile.gettempdir()) if folder is None else folder
        self.spilled = False

    def spill(self) -> None:
        """Give out arrays on disk from now on."""
        self.spilled = True

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros.

        Raises:
            OutputError: If the folder cannot be written or has no room.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if not self.spilled or size == 0:
            return np.zeros(shape, dtype)
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)
                # A plain view of the mapping: numba compiles one kernel for both kinds.
                return np.memmap(file, dtype, "r+", shape=shape).view(np.ndarray)
        except OSError as error:
            lacking = error.errno in (errno.ENOSPC, errno.EDQUOT)
            found = f"has no room for {size:,} bytes" if lacking else f"cannot be written ({error.strerror})"
            raise OutputError(self.folder, found, "name another scratch folder, or allow more memory") from error
