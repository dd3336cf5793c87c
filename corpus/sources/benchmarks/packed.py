"""A benchmark's folder, or the archive it is published as: ``mmlu/``, ``mmlu/data.tar``, ``mmlu.tar.xz``.

An archive is unpacked into a temporary folder that goes when the process ends; of its members only data files are
taken, and none that would land outside.
Cost: 0.4 s for MMLU's; its auxiliary training files are passed over.
"""

from __future__ import annotations

import atexit
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from workbench.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_ALSO = {"math": ("math", "math500")}  # archives under another name than the benchmark's folder
_DATA = (".csv", ".json", ".jsonl", ".gz", ".txt")


def roots(folder: Path, name: str) -> Iterator[Path]:
    """Yield the folders in which a benchmark's files may lie, the likeliest first.

    Args:
        folder: The folder of all benchmarks.
        name: The benchmark: ``folder/name``, archives in it, or an archive ``folder/name.zip`` (``.tar.xz``, …).

    Raises:
        InputError: If an archive is damaged.
    """
    own = folder / name
    if own.is_dir():
        yield own
    for archive in archives(folder, name):
        top = _unpacked(archive)
        yield from (top / name, top, *sorted(path for path in top.glob("*") if path.is_dir()))


def archives(folder: Path, name: str) -> list[Path]:
    """Return the archives of a benchmark."""
    inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
    beside = [folder / f"{also}{end}" for also in _ALSO.get(name, (name,)) for end in ARCHIVES]
    return [path for path in (*inside, *beside) if path.is_file() and path.name.endswith(ARCHIVES)]


@cache
def _unpacked(archive: Path) -> Path:
    top = Path(tempfile.mkdtemp(prefix="yanmo-benchmark-"))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                for name in packed.namelist():
                    if _wanted(name):
                        packed.extract(name, top)
        else:
            with tarfile.open(archive) as tar:
                for member in tar:
                    if member.isfile() and _wanted(member.name):
                        tar.extract(member, top, filter="data")
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(archive, f"cannot be unpacked ({error})", "take the official archive again") from error
    return top


def _wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name.endswith(_DATA) and "auxiliary_train" not in parts and "__MACOSX" not in parts
