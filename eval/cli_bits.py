"""``evaluate bits``: the flags, what is scored, and the table that is printed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eval.bits import Bits, Part

    Scorer = Callable[[argparse.Namespace], dict[Part, Bits]]


def add_bits(verbs: Any) -> None:
    """Add the subcommand."""
    bits = verbs.add_parser("bits", help="bits per byte of a model on held-out text, by source, domain and bucket")
    bits.add_argument("--model", type=Path, required=True, metavar="DIR", help="a model folder or a run of train")
    bits.add_argument("--tokens", type=Path, metavar="DIR", help="token shards packed with the model's tokenizer")
    bits.add_argument("--split", choices=("train", "validation"), default="validation", help="default: validation")
    bits.add_argument("--sequences", type=int, metavar="N", help="score N sequences spread evenly (default: all)")
    bits.add_argument("--corpus", type=Path, metavar="DIR", help="a built corpus: its kept documents, each on its own")
    bits.add_argument(
        "--documents", type=int, metavar="N", help="of --corpus, the N whose ids hash lowest (default: all)"
    )
    bits.add_argument(
        "--text", type=Path, action="append", metavar="FILE", help="a UTF-8 file: one text; may be repeated"
    )
    bits.add_argument(
        "--window", type=int, default=512, metavar="N", help="ids the model sees of a text (default: 512)"
    )
    bits.add_argument("--batch", type=int, default=8, metavar="N", help="sequences in a forward pass (default: 8)")
    bits.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the products (default: fp32)")
    bits.add_argument("--json", action="store_true", help="print the figures as JSON")


def bits_command(arguments: argparse.Namespace) -> int:
    """Score what is named and print the figures."""
    from eval.bits import by, total
    from workbench.console import emit_json, table

    score = _see(arguments)
    parts = score(arguments)
    whole = total(parts)
    if arguments.json:
        groups = {
            f"{what}s": {name: found.as_dict() for name, found in sorted(by(parts, what).items())}
            for what in ("source", "domain", "bucket")
        }
        emit_json({"model": str(arguments.model), **whole.as_dict(), **groups})
    else:
        rows = [(*part, b.per_byte, b.bytes, b.tokens) for part, b in sorted(parts.items())]
        rows.append(("all", "", "", whole.per_byte, whole.bytes, whole.tokens))
        heads = ("source", "domain", "bucket", "bits per byte", "bytes", "tokens")
        table(heads, rows, title=f"Bits per byte of {arguments.model}")
    return 0


def _see(arguments: argparse.Namespace) -> Scorer:
    """Return what scores the one thing that is named."""
    named = [name for name in _SCORERS if getattr(arguments, name) is not None]
    if len(named) != 1:
        raise ConfigError("evaluate bits", "needs --tokens, --corpus or --text, one of them", "name what to score")
    for name, low in (("sequences", 1), ("documents", 1), ("window", 2), ("batch", 1)):
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise ConfigError(f"--{name}", f"{value} is below {low}", f"give at least {low}")
    for name, of in (("sequences", "tokens"), ("documents", "corpus")):
        if getattr(arguments, name) is not None and of != named[0]:
            raise ConfigError(f"--{name}", f"counts what --{of} names, not --{named[0]}", "leave it out")
    return _SCORERS[named[0]]


def _score_shards(arguments: argparse.Namespace) -> dict[Part, Bits]:
    from eval.bits import bits_of_shards
    from eval.models import load_model, model_folder
    from tokenizer.open import check_carried
    from tokenizer.shards import TokenShards

    shards = TokenShards.open(arguments.tokens, arguments.split)
    check_carried(shards, model_folder(arguments.model), "pack it with that one")
    model = load_model(arguments.model)
    return bits_of_shards(
        model, shards, sequences=arguments.sequences, batch_size=arguments.batch, precision=arguments.precision
    )


def _score_corpus(arguments: argparse.Namespace) -> dict[Part, Bits]:
    from eval.corpus_documents import choose_documents
    from eval.models import load_model, model_folder
    from eval.text_bits import bits_of_documents
    from workbench.console import progress

    documents, folder = choose_documents(arguments.corpus, arguments.documents), model_folder(arguments.model)
    model = load_model(arguments.model)
    with progress("bits per byte", documents.count, "documents") as bar:

        def counted() -> Iterator[tuple[Part, str]]:
            for one in documents:
                yield one
                bar.advance()

        return bits_of_documents(model, folder, counted(), **_how(arguments))


def _score_texts(arguments: argparse.Namespace) -> dict[Part, Bits]:
    from eval.bits import Part
    from eval.models import load_model, model_folder
    from eval.text_bits import bits_of_documents
    from workbench.files import read_text

    texts = [(Part("text", str(path), ""), read_text(path)) for path in dict.fromkeys(arguments.text)]
    return bits_of_documents(load_model(arguments.model), model_folder(arguments.model), texts, **_how(arguments))


def _how(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"window": arguments.window, "batch_size": arguments.batch, "precision": arguments.precision}


_SCORERS: dict[str, Scorer] = {"tokens": _score_shards, "corpus": _score_corpus, "text": _score_texts}
