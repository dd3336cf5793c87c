"""How a command ends: exit codes, one line for the user's mistakes, a parser that says "did you mean".

Exit codes: 0 done · 1 a bug (traceback) · 2 the user's mistake (one line) · 3 a quality gate that failed · 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from workbench.console import note
from workbench.errors import YanmoError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean X?`` for the nearest known word, else the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"choose from: {', '.join(names)}"


class Parser(argparse.ArgumentParser):
    """argparse with its error on one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        choice = re.match(r"argument [^:]+: invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            known = [word.strip(" '") for word in choice.group(2).split(",")]
            message = f"{choice.group(1)}: no such command; {did_you_mean(choice.group(1), known)}"
        note(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(2)


def run(
    command: Callable[[Sequence[str]], int],
    words: Sequence[str] | None = None,
    leave: Callable[[int], NoReturn] = sys.exit,
) -> NoReturn:
    """Run a command and leave the process with its exit code.

    Args:
        command: Takes the words after the program's name, returns an exit code.
        words: Those words; the process's own by default.
        leave: How the process ends.
    """
    try:
        code = command(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
    except YanmoError as error:
        note(f"error: {error}")
        code = error.exit_code
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from here")
        code = 130
    except BrokenPipeError:  # the reader of our stdout has gone (| head): not a bug
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    leave(code)
