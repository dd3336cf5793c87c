"""The first process inside the sandbox: it forks the program's process, gives up its rights, and runs the tests.

Run as ``python -S main.py NAME=NUMBER…`` with frames on stdin, in this order and for this reason: the program, before
the fork; the tests, the names they take from the program and the nonce, after it. So none of these is ever in the
memory of the program's process, which has closed stdin and stdout by then. The verdict is the nonce, how it ended, and
a line about it.
"""

import os
import resource
import sys

sys.path.insert(0, __file__.rpartition("/eval/inside/")[0])

from eval.inside import program, tests, wire

_LIMITS = ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "MEMLOCK")


def limit(kind: int, value: int, grace: int = 0) -> None:
    """Set a limit, soft and (with a grace) hard; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    soft, hard = (n if hard == resource.RLIM_INFINITY else min(n, hard) for n in (value, value + grace))
    resource.setrlimit(kind, (soft, hard))


def confine(limits: dict[str, int], user: int | None, processes: int) -> None:
    """Limit this process, and become a user without rights where there is one to become.

    Args:
        limits: By name; ``strict`` says whether each must hold (macOS refuses some).
        user: Whom to become, None to stay; a count of processes is held against the user it is set for.
        processes: How many that user may have.
    """
    for name in _LIMITS:
        try:
            limit(
                getattr(resource, f"RLIMIT_{name}"), limits[name], grace=name == "CPU"
            )  # past the soft one a signal that tells why
        except (AttributeError, ValueError, OSError):
            if limits["strict"]:
                raise
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    limit(resource.RLIMIT_NPROC, processes)


def main() -> None:
    """Run one program against its tests."""
    pairs = (word.split("=") for word in sys.argv[1:])
    limits = {name: int(value) for name, value in pairs}
    os.write(1, b"ready\n")
    source = _text()
    ask_read, ask_write = os.pipe()
    tell_read, tell_write = os.pipe()
    nothing = os.open(os.devnull, os.O_RDWR)
    child = os.fork()
    if child == 0:
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        first, second = sorted((ask_read, tell_write))
        for low, high in ((3, first), (first + 1, second), (second + 1, 4096)):
            os.closerange(low, high)
        confine(limits, limits.get("program_user"), limits["processes"])
        sys.argv = ["program"]
        program.serve(source, ask_read, tell_write)
        os._exit(0)
    os.close(ask_read)
    os.close(tell_write)
    confine(limits, limits.get("tests_user"), 1 if limits["strict"] else limits["processes"])
    body, names, nonce = _text(), _text().split(), wire.receive(0)
    verdict = os.dup(1)
    os.dup2(nothing, 1)  # what the tests print is nobody's
    end, detail = tests.judge(body, names, tests.Channel(ask_write, tell_read))
    if end == "exit" and _out_of_seconds(child):
        end, detail = "timeout", f"not done after {limits['CPU']} s of CPU"
    os.write(verdict, b"\n".join((nonce, end.encode(), detail.encode("utf-8", "replace"))))
    if not limits["strict"]:
        os.killpg(0, 9)  # without walls nothing else ends what the program has started; with them all die together
    os._exit(0)


def _out_of_seconds(child: int) -> bool:
    import signal  # 5 ms that only a program which has ended pays

    done, status = os.waitpid(child, os.WNOHANG)
    return done == child and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU


def _text() -> str:
    return wire.receive(0).decode("utf-8", "surrogatepass")


if __name__ == "__main__":
    main()
