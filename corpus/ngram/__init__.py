"""Character n-gram language models by pip alone: estimation equal to KenLM's lmplz, for perplexity.

    from corpus.ngram import estimate, spaced
    estimate(texts, order=5, prune=(0, 0, 0, 1)).write_arpa(path)
    kenlm.Model(str(path)).perplexity(spaced(text))

12 MB of Chinese, order 5 unpruned, takes 2.0 CPU-s to estimate, 1.5 to write. Names are loaded when first used:
the kernels bring numba and polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.ngram.arpa import write_binary
    from corpus.ngram.model import NgramModel, estimate, spaced

__all__ = ["NgramModel", "estimate", "spaced", "write_binary"]

_HOME = {
    "NgramModel": "corpus.ngram.model",
    "estimate": "corpus.ngram.model",
    "spaced": "corpus.ngram.model",
    "write_binary": "corpus.ngram.arpa",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
