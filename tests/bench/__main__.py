"""``make bench``: run every benchmark, or those named on the command line, and print their tables."""

from __future__ import annotations

import importlib
import sys

BENCHES = ("corpus", "tokenizer", "train", "eval", "startup")


def main() -> None:
    for name in sys.argv[1:] or BENCHES:
        importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main()
