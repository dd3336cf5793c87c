"""The sandbox's walls: bubblewrap's command line, and the limits of the processes within it.

No network, no /proc, no file but the interpreter, its standard library and the shared libraries these load, all
read-only, each bound by name; one tmpfs of 64 MiB at /tmp. Made once, in 30 ms; each use of it costs the kernel 8 ms.

RLIMIT_NPROC is not held against root, nor inside a user namespace that maps to root. So for root the sandbox is made
without one, and inside it each of the two processes becomes a user of a number that no other process has: the limit
then counts this program's processes alone. For everyone else a user namespace is made, which counts its own since
Linux 5.14; before that the user's other processes are counted with it, and a program may be refused to fork at all.
"""

from __future__ import annotations

import compileall
import functools
import itertools
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from eval import inside
from eval.syscall_filter import known

MEMORY = 1 << 30  # address space of one process, bytes
PROCESSES = 8
FILE_SIZE = 16 << 20
TMP_SIZE = 64 << 20
_HOME = "/judge"
_NOT_LOADED = ("_tkinter", "nis")  # extension modules whose libraries (X11, NIS) no program here needs
_SONAME = re.compile(rb"\0(lib[\w.+-]+\.so[\w.]*)(?=\0)")
_counter = itertools.count()


def why_not() -> str | None:
    """Return what is missing for a sandbox, None if nothing is; whether it works is another matter."""
    if sys.platform != "linux":
        return f"bubblewrap needs Linux, this is {sys.platform}"
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    if not known(platform.machine()):
        return f"there is no system call table for {platform.machine()}"
    return None


def limits(seconds: float, *, sandboxed: bool) -> dict[str, int]:
    """Return what ``eval/inside/main.py`` holds its two processes to.

    Args:
        seconds: Of CPU for each process, rounded up to whole ones.
        sandboxed: Whether there are walls around it; then every limit must hold, and root becomes nobody in particular.
    """
    found = {
        "AS": MEMORY,
        "CPU": max(1, math.ceil(seconds)),
        "FSIZE": FILE_SIZE,
        "NOFILE": 64,
        "CORE": 0,
        "MEMLOCK": 0,
        "processes": PROCESSES if sandboxed else 1024,
        "strict": int(sandboxed),
    }
    if sandboxed and os.geteuid() == 0:
        # a process id is at most 2^22: these numbers are below 2^31 and differ between any two sandboxes alive
        first = 1_000_000_000 + os.getpid() * 256 + next(_counter) % 128 * 2
        found |= {"program_user": first, "tests_user": first + 1}
    return found


def interpreter() -> list[str]:
    """Return the command of an interpreter that sees the standard library alone, with fixed hashes."""
    python = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    return [str(python), "-S", "-s", "-P", "-B", "-X", "utf8"]


ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108 - the sandbox's


def command(filter_descriptor: int) -> list[str]:
    """Return bubblewrap's command up to the limits.

    Args:
        filter_descriptor: Where bubblewrap reads the system call filter.
    """
    return [
        *_walls(os.geteuid() == 0),
        "--seccomp",
        str(filter_descriptor),
        "--",
        *interpreter(),
        f"{_HOME}/eval/inside/main.py",
    ]


@functools.cache
def _walls(root: bool) -> tuple[str, ...]:
    words = ["bwrap", "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    words += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--cap-drop", "ALL"]
    words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user", "--disable-userns"]
    for path in _parents(_files()):
        words += ["--perms", "0755", "--dir", path]  # bubblewrap's own would be closed to another user
    for path in _files():
        words += ["--ro-bind", path, path]
    packages = Path(_library_folders()[0]) / "site-packages"
    if packages.is_dir():
        words += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    ours = Path(inside.__file__).parent
    if not sys.dont_write_bytecode:
        compileall.compile_dir(ours, maxlevels=0, quiet=2)  # inside nothing can be written
    words += ["--ro-bind", str(ours), f"{_HOME}/eval/inside"]
    words += ["--dev-bind", "/dev/null", "/dev/null"]
    words += ["--perms", "1777", "--size", str(TMP_SIZE), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108
    libraries = ":".join(sorted({str(Path(path).parent) for path in _libraries()}))
    for name, value in {**ENVIRONMENT, "LD_LIBRARY_PATH": libraries}.items():
        words += ["--setenv", name, value]
    return (*words, "--remount-ro", "/")


def _parents(paths: Sequence[str]) -> list[str]:
    found = {str(parent) for path in (*paths, f"{_HOME}/eval/inside", "/dev/null") for parent in Path(path).parents}
    return sorted(found - {"/"})


def _files() -> list[str]:
    """Return what the interpreter reads: itself, its standard library, shared libraries; none inside another."""
    folders = sorted(set(_library_folders()))
    single = [path for path in (interpreter()[0], *_libraries()) if not any(path.startswith(f"{f}/") for f in folders)]
    return [*folders, *single]


def _library_folders() -> tuple[str, str]:
    """Return where the standard library lies, and where its extension modules do; a virtual environment has neither."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    stdlib, platform_stdlib = (sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib"))
    return str(Path(stdlib).resolve()), str(Path(platform_stdlib).resolve())


@functools.cache
def _libraries() -> tuple[str, ...]:
    """Return the shared libraries of the interpreter and of its extension modules, as the loader finds them.

    The loader starts two processes for each file that it is asked about, so it is asked about those alone that name a
    library which none before them does.
    """
    asked, known = [interpreter()[0]], _needed(Path(interpreter()[0]))
    for path in extension_modules():
        names = _needed(path)
        if names - known:
            asked.append(str(path))
            known |= names
    return loaded(asked)


def extension_modules() -> list[Path]:
    """Return the standard library's extension modules."""
    modules = Path(_library_folders()[-1]) / "lib-dynload"
    return [path for path in sorted(modules.glob("*.so")) if not path.name.startswith(_NOT_LOADED)]


def loaded(files: Sequence[str]) -> tuple[str, ...]:
    """Return the shared libraries that the loader would load for some files."""
    said = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    return tuple(sorted(set(re.findall(r"(?:=> |^\t)(/\S+) \(0x", said.stdout, flags=re.MULTILINE))))


def _needed(path: Path) -> set[bytes]:
    """Return the names of libraries in a file; of an ELF file, those that it needs among them."""
    return set(_SONAME.findall(path.read_bytes()))
