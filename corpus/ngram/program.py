"""Estimation by KenLM's own ``lmplz``, where that is installed and asked for: the same ARPA file, byte for byte.

The text goes through a pipe, a document a line, its characters with one space between. What ``lmplz`` says of its
counts and discounts on stderr is read, so that both ways give the same summary.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from corpus.ngram.counts import SPECIALS
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import atomic_path

PROGRAM = "lmplz"
_STATISTICS = re.compile(r"^(\d) (\d+)(?:/(\d+))? D1=(\S+) D2=(\S+) D3\+=(\S+)$", re.MULTILINE)
_FALLBACK = re.compile(r"^Substituting fallback discounts for order (\d)", re.MULTILINE)


def find_program() -> str:
    """Return the path of ``lmplz``.

    Raises:
        ConfigError: If it is not on the PATH.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        remedy = "leave --with out (the built-in estimator gives the same file), or build KenLM (cmake and Boost)"
        raise ConfigError("--with lmplz", "lmplz is not on the PATH", remedy)
    return program


def estimate_by_program(
    texts: Iterable[Sequence[str]], path: Path, order: int, prune: Sequence[int], memory_bytes: int, scratch: Path
) -> dict[str, Any]:
    """Estimate a model and write it as ARPA text.

    Args:
        texts: Batches of spaced documents.
        path: The ARPA file.
        order: The length of the n-grams.
        prune: One threshold an order.
        memory_bytes: What ``lmplz`` may take (its ``-S``).
        scratch: The folder of its temporary files.

    Returns:
        The same summary as ``NgramModel.summary``.

    Raises:
        ConfigError: If ``lmplz`` is not on the PATH.
        InputError: If there is no character.
        OutputError: If ``lmplz`` fails.
    """
    program = find_program()
    documents = tokens = 0
    with atomic_path(path) as temporary, tempfile.TemporaryFile() as said:
        words = ["-o", str(order), "--prune", *map(str, prune), "--discount_fallback", "-S", f"{memory_bytes}b"]
        command = [program, *words, "-T", f"{scratch}/", "--arpa", str(temporary)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said) as running:
            assert running.stdin is not None
            try:
                for batch in texts:
                    documents += len(batch)
                    tokens += sum((len(text) + 1) // 2 + 1 for text in batch)
                    running.stdin.write("".join(f"{text}\n" for text in batch).encode())
                running.stdin.close()
            except BrokenPipeError:  # it has ended, and says why below
                with contextlib.suppress(BrokenPipeError):
                    running.stdin.close()
            except BaseException:
                running.kill()
                raise
        said.seek(0)
        told = said.read().decode("utf-8", "replace")
        if running.returncode != 0 or not temporary.is_file():
            last = (told.strip().splitlines() or ["nothing"])[-1]
            raise OutputError(path, f"lmplz failed: {last[:200]}", "give it more --memory, or another --scratch")
        if tokens == documents:
            raise InputError("n-gram model", "there is no character in the text", "give it some documents")
        found = _STATISTICS.findall(told)
        kept = [int(size) for _, size, *_ in found]
        return {
            "order": order,
            "prune": list(prune),
            "documents": documents,
            "tokens": tokens,
            "characters": kept[0] - SPECIALS,
            "ngrams": kept,
            "ngrams_before_pruning": [int(seen or size) for _, size, seen, *_ in found],
            "discounts": [[float(amount) for amount in amounts] for _, _, _, *amounts in found],
            "fallback_orders": [int(order) + 1 for order in _FALLBACK.findall(told)],
        }
