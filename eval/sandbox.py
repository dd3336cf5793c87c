"""Does a generated program pass its tests? Judged in a sandbox, by processes that the program cannot reach.

    verdict = judge(program, tests, seconds=10)      # Verdict(passed=False, end="timeout", detail="…")

The program and its tests never share an interpreter. Inside one bubblewrap sandbox (``eval/isolation.py``) the program
runs in one process and the tests in another; a call in the tests asks the program's process and gets plain data back,
which is compared where the program cannot go. The verdict is a line that starts with a random nonce, which the tests'
process is told after the program's has been forked off.

What this guarantees: a program passes only if its functions returned, for the arguments they were given, the values
that the tests expect. Leaving early (``os._exit(0)``), printing a pass, catching exceptions, replacing built-ins or
``AssertionError``, ``atexit``, objects that equal everything, reading this source: none of it is a pass, because none
of it happens in the process that decides. A program reads and writes no file outside the sandbox, reaches no network,
and nothing of it is left when ``judge`` returns.

What it does not: a program may return remembered answers; a helper that a test takes from the program (HumanEval/32
calls ``poly``) is the program's word; results that are neither data nor standard containers are compared by identity,
so a class with its own ``__eq__`` fails; only the standard library can be imported; a hole in the kernel is a hole in
the sandbox. Memory is bounded a process (1 GiB, eight processes), not in sum.

Cost: 30 ms of CPU a program, 12 of them the bare interpreter and 8 the walls; see ``docs/sandbox.md``.
"""

from __future__ import annotations

import ast
import builtins
import functools
import os
import platform
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from eval import inside
from eval.inside.wire import MAX_FRAME
from eval.isolation import ENVIRONMENT, command, interpreter, limits, why_not
from eval.syscall_filter import syscall_filter
from workbench.errors import ConfigError

ENDS = ("passed", "failed", "error", "memory", "exit", "timeout", "too large")
PATIENCE = 3  # seconds of wall clock for one of CPU
_READY = b"ready\n"


@dataclass(frozen=True)
class Verdict:
    """Whether a program passed, how it ended, and a line about it."""

    passed: bool
    end: str  # one of ENDS
    detail: str


@functools.cache
def available() -> str | None:
    """Return why the sandbox cannot be used, or None; it is tried once, on a program of one line."""
    missing = why_not()
    if missing is not None:
        return missing
    try:
        found = _run("def f(): return 1", "assert f() == 1", 20, sandboxed=True)
    except ConfigError as error:
        return error.found
    return None if found.passed else f"a program of one line did not pass in it ({found.end}: {found.detail})"


def judge(program: str, tests: str, *, seconds: float = 10, unsafe: bool = False) -> Verdict:
    """Run a program against its tests.

    Args:
        program: Python source; it runs as a module named ``program``.
        tests: Python source that names what the program defines, and asserts.
        seconds: Of CPU, so that the verdict does not hang on how busy the machine is; of wall clock ``PATIENCE`` times
            as many.
        unsafe: Where there is no sandbox, run it as this user, with limits alone and no walls.

    Raises:
        ConfigError: If there is no sandbox and ``unsafe`` is not given, or the sandbox itself broke.
    """
    missing = available()
    if missing is not None and not unsafe:
        raise ConfigError(
            "sandbox",
            f"generated programs are not run without one: {missing}",
            "install bubblewrap (apt-get install bubblewrap) or, on a machine you can lose, pass --unsafe",
        )
    if max(len(program), len(tests)) * 4 > MAX_FRAME:
        return Verdict(passed=False, end="too large", detail=f"{max(len(program), len(tests)):,} characters of source")
    return _run(program, tests, seconds, sandboxed=missing is None)


def judge_many(
    pairs: Iterable[tuple[str, str]], *, seconds: float = 10, unsafe: bool = False, workers: int | None = None
) -> Iterator[Verdict]:
    """Yield the verdicts of (program, tests) in their order.

    Args:
        pairs: What to judge.
        seconds: As in ``judge``, for each.
        unsafe: As in ``judge``.
        workers: How many sandboxes at once; as many as there are processors if None.
    """
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        yield from pool.map(lambda pair: judge(*pair, seconds=seconds, unsafe=unsafe), pairs)


def _run(program: str, tests: str, seconds: float, *, sandboxed: bool) -> Verdict:
    try:
        names = names_asked(tests)
    except (SyntaxError, ValueError) as error:
        return Verdict(passed=False, end="error", detail=f"the tests are no Python: {error}")
    nonce = secrets.token_hex(16).encode()
    texts = (text.encode("utf-8", "surrogatepass") for text in (program, tests, " ".join(names)))
    stdin = b"".join(len(body).to_bytes(4, "big") + body for body in (*texts, nonce))
    words = [f"{name}={value}" for name, value in limits(seconds, sandboxed=sandboxed).items()]
    if sandboxed:
        reader = _filter_pipe()
        try:
            said, complaint, timed_out = _communicate([*command(reader), *words], stdin, seconds, reader, None)
        finally:
            os.close(reader)
    else:
        main = Path(inside.__file__).parent / "main.py"
        with tempfile.TemporaryDirectory(prefix="judge-", ignore_cleanup_errors=True) as folder:
            found = _communicate([*interpreter(), str(main), *words], stdin, seconds, None, folder)
        said, complaint, timed_out = found
    if not said.startswith(_READY):
        reason = complaint.decode(errors="replace").strip().splitlines()
        found_there = reason[-1][:200] if reason else f"it did not start within {seconds * PATIENCE:g} s"
        raise ConfigError("sandbox", f"did not start: {found_there}", "see docs/sandbox.md")
    return _verdict(said[len(_READY) :], nonce, seconds, timed_out=timed_out)


@functools.lru_cache(maxsize=256)
def names_asked(tests: str) -> tuple[str, ...]:
    """Return the names that tests take from the program: those they read and do not bind.

    A built-in is taken from the program only where the tests name nothing else of it (MBPP's task 126 tests a function
    called ``sum``): otherwise a program could pass by defining its own ``set`` or ``len``.

    Raises:
        SyntaxError: If they are no Python.
    """
    nodes = list(ast.walk(ast.parse(tests)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {(node.asname or node.name).partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)} - bound
    own = {name for name in read if not hasattr(builtins, name)}
    return tuple(sorted(own or read))


def _verdict(said: bytes, nonce: bytes, seconds: float, *, timed_out: bool) -> Verdict:
    token, _, rest = said.partition(b"\n")
    if secrets.compare_digest(token, nonce):
        end, _, detail = rest.decode(errors="replace").partition("\n")
        return Verdict(end == "passed", end, detail)
    if timed_out:
        return Verdict(passed=False, end="timeout", detail=f"not done after {seconds * PATIENCE:g} s")
    return Verdict(passed=False, end="exit", detail="the tests' process was ended before its verdict")


def _communicate(
    words: list[str], stdin: bytes, seconds: float, reader: int | None, folder: str | None
) -> tuple[bytes, bytes, bool]:
    """Run a command and return its stdout, its stderr, and whether it was killed for being late."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=() if reader is None else (reader,),
        env=None if folder is None else {**ENVIRONMENT, "HOME": folder, "TMPDIR": folder},
        cwd=folder,
        start_new_session=True,
    )
    try:
        said, complaint = process.communicate(stdin, timeout=seconds * PATIENCE)
        late = False
    except subprocess.TimeoutExpired:
        _kill(process)
        said, complaint = process.communicate()
        late = True
    finally:
        _kill(process)
    return said, complaint, late


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group; of a sandbox, the process namespace dies with it. A number already free is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _filter_pipe() -> int:
    """Return a descriptor that the system call filter can be read from; it is far smaller than a pipe's buffer."""
    reader, writer = os.pipe()
    with open(writer, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
        stream.write(syscall_filter(platform.machine()))
    return reader
