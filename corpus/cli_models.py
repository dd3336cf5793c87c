"""The verbs of ``corpus`` that make models: ``lm train``, ``classifier train``, ``classifier label export|import``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.command import Parser
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from corpus.models.documents import Choice

LM_EXAMPLES = """examples:
  corpus lm train --corpus data/corpus/wudao --where "domain in ('新闻', '百科')" --out data/models/zh.arpa
  corpus lm train --text news.txt more/*.jsonl --held-out dev.txt --prune 0 --memory 8GB --out data/models/news.arpa

then, in a recipe:  - perplexity: {model: data/models/zh.arpa}"""

CLASSIFIER_EXAMPLES = """examples:
  corpus classifier train labels.parquet --out data/models/topic.bin
  corpus classifier train a.csv --text 正文 --label 类别 --labels 好=positive,差=negative --out data/models/quality.bin
  corpus classifier train --positive edited.txt --negative data/corpus/web --negative-where "bucket = 'tail'" \\
      --out data/models/quality.bin

then, in a recipe:  - quality: {model: data/models/quality.bin}   (the model needs the label positive)"""

LABEL_EXAMPLES = """examples:
  corpus classifier label export data/corpus/wudao --n 500 --by domain,bucket --out to-label.csv
  corpus classifier label import to-label.csv --corpus data/corpus/wudao --out data/labels/ads.parquet
  corpus classifier train data/labels/ads.parquet --out data/models/ads.bin"""

DOCUMENT = "of plain text, what is a document: line, paragraph or file (default: line)"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def add_models(verbs: argparse._SubParsersAction[Parser]) -> None:
    """Add ``lm`` and ``classifier`` to the subcommands of ``corpus``."""
    lm = verbs.add_parser("lm", help="estimate an n-gram model of characters, for perplexity")
    _add_lm_train(lm.add_subparsers(dest="model_verb", required=True, metavar="train", parser_class=Parser))
    classifier = verbs.add_parser("classifier", help="train a fastText classifier; hand out and take in labels")
    below = classifier.add_subparsers(dest="model_verb", required=True, metavar="train|label", parser_class=Parser)
    _add_classifier_train(below)
    label = below.add_parser("label", help="export a stratified sample to label, import the labels")
    kinds = label.add_subparsers(dest="label_verb", required=True, metavar="export|import", parser_class=Parser)
    _add_label_export(kinds)
    _add_label_import(kinds)


def _parser(verbs: argparse._SubParsersAction[Parser], name: str, said: str, examples: str) -> Parser:
    made: Parser = verbs.add_parser(
        name, help=said, description=said, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return made


def _add_lm_train(verbs: argparse._SubParsersAction[Parser]) -> None:
    train = _parser(verbs, "train", "interpolated modified Kneser-Ney over characters, as ARPA", LM_EXAMPLES)
    train.add_argument(
        "--corpus", type=Path, nargs="+", default=[], metavar="DIR", help="built corpora: what they kept"
    )
    train.add_argument(
        "--text", type=Path, nargs="+", default=[], metavar="FILE", help="files or folders of text, JSON, CSV, parquet"
    )
    train.add_argument("--where", metavar="SQL", help="condition over columns, such as \"bucket = 'head'\"")
    train.add_argument("--column", metavar="NAME", help="the text's column in JSON, CSV, parquet (default: guessed)")
    train.add_argument("--document", choices=("line", "paragraph", "file"), default="line", help=DOCUMENT)
    train.add_argument("--order", type=int, default=5, help="length of the n-grams, 2 to 5 (default: 5)")
    train.add_argument(
        "--prune", type=int, nargs="+", metavar="N", help="per order, the count up to which to prune (default: 0 0 1)"
    )
    train.add_argument("--held-out-share", type=float, metavar="X", help="of the documents (default: 0.01)")
    train.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="FILE", help="documents to score instead"
    )
    train.add_argument("--memory", default="2GB", metavar="SIZE", help="about how much to use (default: 2GB)")
    train.add_argument("--scratch", type=Path, metavar="DIR", help="for what does not fit (default: the system's)")
    train.add_argument(
        "--with", dest="program", choices=("built-in", "lmplz"), default="built-in", help="the estimator"
    )
    train.add_argument(
        "--binary",
        choices=("auto", "probing", "trie", "none"),
        default="auto",
        help="KenLM's binary beside it, by build_binary: probing is fastest, trie smallest (default: probing if there)",
    )
    _add_output(train, "the model, .arpa; the binary is .bin, its record .json")


def _add_classifier_train(verbs: argparse._SubParsersAction[Parser]) -> None:
    train = _parser(verbs, "train", "train a fastText classifier over characters", CLASSIFIER_EXAMPLES)
    train.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="labelled: JSON, CSV, parquet, __label__ lines, a corpus"
    )
    train.add_argument("--text", metavar="COLUMN", help="the text's column (default: guessed)")
    train.add_argument("--label", metavar="COLUMN", help="the label's column (default: label)")
    train.add_argument("--labels", metavar="A,B,…", help="take these labels alone; FOUND=NAME renames one")
    train.add_argument("--where", metavar="SQL", help="condition over the columns of labelled files")
    for side in ("positive", "negative"):
        train.add_argument(
            f"--{side}", type=Path, nargs="+", default=[], metavar="PATH", help=f"files or corpora that are all {side}"
        )
        train.add_argument(f"--{side}-where", metavar="SQL", help="which of their documents")
    train.add_argument("--document", choices=("line", "paragraph", "file"), default="line", help=DOCUMENT)
    train.add_argument("--held-out-share", type=float, default=0.2, metavar="X", help="of the documents (default: 0.2)")
    train.add_argument("--read-chars", type=int, default=1000, metavar="N", help="of a document (default: 1000)")
    train.add_argument("--most", type=int, default=100_000, metavar="N", help="documents a label (default: 100000)")
    train.add_argument("--epochs", type=int, metavar="N", help="passes (default: 50,000 examples in all, 5 to 1000)")
    train.add_argument("--quantize", action="store_true", help="write the model quantised too, as .ftz")
    train.add_argument("--telling", type=int, default=12, metavar="N", help="n-grams shown a label (default: 12)")
    _add_output(train, "the model, .bin; its record is .json")


def _add_label_export(verbs: argparse._SubParsersAction[Parser]) -> None:
    export = _parser(verbs, "export", "write a stratified sample with an empty column label", LABEL_EXAMPLES)
    export.add_argument("corpus", type=Path)
    export.add_argument("--n", type=int, required=True, help="documents in the sample")
    export.add_argument(
        "--by", default="domain,bucket", metavar="A,B", help="columns of strata (default: domain,bucket)"
    )
    export.add_argument("--where", metavar="SQL", help="sample from these documents alone")
    export.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    export.add_argument("--chars", type=int, default=300, metavar="N", help="of the text that are shown (default: 300)")
    _add_output(export, "a .jsonl or .csv file")


def _add_label_import(verbs: argparse._SubParsersAction[Parser]) -> None:
    load = _parser(verbs, "import", "check labels and join them to their texts", LABEL_EXAMPLES)
    load.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what export wrote, with labels filled in")
    load.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the corpus that was sampled")
    load.add_argument("--labels", default="", metavar="A,B,…", help="the labels that there may be (default: any)")
    _add_output(load, "a .parquet file, for classifier train; its record is .json")


def _add_output(verb: Parser, out: str) -> None:
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help=out)
    verb.add_argument("--overwrite", action="store_true", help="replace what is there")
    verb.add_argument("--json", action="store_true", help="print the result as JSON")


def bytes_of(text: str) -> int:
    """Return a size such as ``2GB``, ``512M`` or ``1000000`` in bytes (K is 1,024).

    Raises:
        ConfigError: If it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", text.strip().upper())
    if not found:
        raise ConfigError(f"--memory {text}", "is no size", "give 2GB, say")
    return int(float(found.group(1)) * UNITS[found.group(2)])


def run_lm(arguments: argparse.Namespace) -> int:
    """Run ``corpus lm train``."""
    from corpus.models.documents import Choice
    from corpus.models.lm import LmSettings, print_lm, train_lm
    from corpus.models.record import model_path
    from workbench.console import emit_json

    if not arguments.corpus and not arguments.text:
        raise ConfigError("corpus lm train", "no text is named", "give --corpus DIR or --text FILE …")
    if arguments.held_out and arguments.held_out_share is not None:
        raise ConfigError("--held-out-share", "is given besides --held-out", "keep one of them")
    for path in arguments.corpus:
        if Choice(path).corpus is None:
            raise ConfigError(f"--corpus {path}", "is no built corpus", "build one, or name the files with --text")
    share = 0.01 if arguments.held_out_share is None else arguments.held_out_share
    order = max(1, arguments.order)
    settings = LmSettings(
        order=arguments.order,
        prune=(0, 0, 1)[:order] if arguments.prune is None else tuple(arguments.prune),
        held_out_share=share,
        memory_bytes=bytes_of(arguments.memory),
        program=arguments.program,
        binary=arguments.binary,
        scratch=arguments.scratch,
    )
    corpora = [Choice(path, arguments.where) for path in arguments.corpus]
    texts = [Choice(path, arguments.where, arguments.column, document=arguments.document) for path in arguments.text]
    held_out = [Choice(path, None, arguments.column, document=arguments.document) for path in arguments.held_out]
    record = train_lm((*corpora, *texts), arguments.out, settings, tuple(held_out), overwrite=arguments.overwrite)
    if arguments.json:
        emit_json(record)
    else:
        print_lm(record, model_path(arguments.out, ".arpa"))
    return 0


def _renames(words: str | None) -> dict[str, str] | None:
    """Read ``--labels``: each label found, and its name in the model."""
    if words is None:
        return None
    pairs = (word.strip().partition("=") for word in words.split(",") if word.strip())
    found = {label.strip(): (name.strip() or label.strip()) for label, _, name in pairs}
    if not found:
        raise ConfigError("--labels", "names no label", "give A,B,… or FOUND=NAME,…")
    return found


def _train_classifier(arguments: argparse.Namespace) -> int:
    from corpus.models.classify import ClassifierSettings, Named, print_classifier, train_classifier
    from corpus.models.documents import Choice
    from corpus.models.record import model_path
    from workbench.console import emit_json

    def choice(path: Path, where: str | None, *, labelled: bool) -> Choice:
        label = arguments.label if labelled else None
        return Choice(path, where, arguments.text, label, labelled, arguments.document)

    named = [Named(choice(path, arguments.where, labelled=True)) for path in arguments.files]
    for side in ("positive", "negative"):
        where = getattr(arguments, f"{side}_where")
        named += [Named(choice(path, where, labelled=False), side) for path in getattr(arguments, side)]
    if not named:
        raise ConfigError(
            "corpus classifier train", "no document is named", "give FILE …, or --positive and --negative"
        )
    settings = ClassifierSettings(
        labels=_renames(arguments.labels),
        held_out_share=arguments.held_out_share,
        read_chars=arguments.read_chars,
        most=arguments.most,
        epochs=arguments.epochs,
        quantise=arguments.quantize,
        telling=arguments.telling,
    )
    record = train_classifier(named, arguments.out, settings, overwrite=arguments.overwrite)
    if arguments.json:
        emit_json(record)
    else:
        print_classifier(record, model_path(arguments.out, ".bin"))
    return 0


def _label_export(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from corpus.models.strata import SampleSettings, export_sample, print_strata
    from workbench.console import emit_json

    by = tuple(dict.fromkeys(word.strip() for word in arguments.by.split(",") if word.strip()))
    if not by:
        raise ConfigError("--by", "names no column", "give domain,bucket, say")
    settings = SampleSettings(arguments.n, by, arguments.where, arguments.seed, arguments.chars)
    strata = export_sample(arguments.corpus, arguments.out, settings, overwrite=arguments.overwrite)
    if arguments.json:
        emit_json([asdict(one) for one in strata])
    else:
        print_strata(strata, arguments.out)
    return 0


def _label_import(arguments: argparse.Namespace) -> int:
    from corpus.models.labels import import_labels, print_labels
    from workbench.console import emit_json

    labels = tuple(word.strip() for word in arguments.labels.split(",") if word.strip())
    record = import_labels(arguments.files, arguments.corpus, arguments.out, labels, overwrite=arguments.overwrite)
    if arguments.json:
        emit_json(record)
    else:
        print_labels(record, arguments.out)
    return 0


def run_classifier(arguments: argparse.Namespace) -> int:
    """Run ``corpus classifier train`` or ``label export|import``."""
    if arguments.model_verb == "train":
        return _train_classifier(arguments)
    return {"export": _label_export, "import": _label_import}[arguments.label_verb](arguments)


MODEL_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {"lm": run_lm, "classifier": run_classifier}
