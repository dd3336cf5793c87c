"""Files that are complete or absent: written under a temporary name, synced, renamed.

A reader never sees half a file, and a crash leaves only ``.<name>.<pid>.tmp``, which the next writer of that name
removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import InputError, OutputError


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (POSIX: fsync of the directory)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> Path:
    """Create a folder and its parents, and see that it can be written.

    Raises:
        OutputError: If it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            folder, f"cannot be written ({reason})", "name another --out, or change its rights"
        ) from error
    return folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and renamed to it, on failure removed.

    Args:
        path: The file (or folder) that shall be complete or absent.

    Raises:
        OutputError: If the disk is full or the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(f".{path.name}.*.tmp"):
        remove(left_over)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        yield temporary
        if temporary.is_dir():
            for inner in (temporary, *sorted(temporary.rglob("*"))):
                if inner.is_dir():
                    sync_folder(inner)  # or the names in it may be lost
                elif inner.is_file():
                    _sync_file(inner)
            if path.is_dir():
                shutil.rmtree(path)
        else:
            _sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        remove(temporary)
        if error.errno is None or (error.filename is not None and Path(error.filename) != temporary):
            raise
        raise OutputError(
            path, f"cannot be written ({error.strerror})", "free some space or name another --out"
        ) from error
    except BaseException:
        remove(temporary)
        raise


def _sync_file(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def remove(path: Path) -> None:
    """Remove a file or a whole folder; nothing happens if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Return a UTF-8 file as it is, line ends and all.

    Raises:
        InputError: If it cannot be read, is not UTF-8 or is empty.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 at byte {error.start:,}", "save it as UTF-8") from error
    if not text:
        raise InputError(path, "is empty", "name a text file")
    return text


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON with readable Chinese, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file of ours holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal. Cost: 0.7–1.5 GB a second."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
