"""The ``tokenizer`` command: learn, extend, embed, check, compare, pack."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from workbench.command import Parser, run

EPILOG = r"""examples:
  tokenizer extend --add zh7k --out data/tokenizer/zh7k
  tokenizer extend --add zh7k --add medical --base mistral --out data/tokenizer/mine
  tokenizer learn data/corpus/wudao --count 10000 --out data/words.txt
  tokenizer extend --add zh7k --add data/words.txt --out data/tokenizer/zh7k-words
  tokenizer embed --model data/models/llama --tokenizer data/tokenizer/zh7k --out data/models/llama-zh7k
  tokenizer pack data/corpus/wudao --tokenizer data/tokenizer/zh7k --seq-len 2048 --out data/tokens/wudao
  tokenizer pack data/corpus/mixed --tokenizer data/tokenizer/zh7k --seq-len 2048 --packing best-fit \
    --weight source=wudao:2 --weight bucket=head:3 --weight domain=医疗:2 --out data/tokens/mixed
  tokenizer check data/tokenizer/zh7k --text chinese.txt --text code.txt --base llama
  tokenizer compare llama data/tokenizer/zh7k mistral-common/tekken_240911.json --text sample.txt --html compare.html

exit codes: 0 done, 1 a bug, 2 your mistake (one line says which), 3 a quality gate that failed"""


def main() -> NoReturn:
    """Entry point of the console script."""
    run(command)


def parser() -> Parser:
    """Return the parser of all subcommands."""
    top = Parser("tokenizer", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=Parser)

    extend = verbs.add_parser("extend", help="add hanzi, or lists of words, to a SentencePiece model")
    extend.add_argument(
        "--add",
        action="append",
        required=True,
        metavar="LIST",
        help="zh7k, zh7k-plus, zh-hant, medical, or a file; may be repeated",
    )
    extend.add_argument(
        "--base",
        default="llama",
        help="llama, mistral, a tokenizer.model, or a byte-level tokenizer.json (default: llama)",
    )
    extend.add_argument("--out", type=Path, required=True, help="the tokenizer folder")
    extend.add_argument("--pad-to", type=int, default=128, help="embedding rows are a multiple of it (default: 128)")
    extend.add_argument("--overwrite", action="store_true", help="replace a tokenizer of another base or other lists")
    extend.add_argument("--json", action="store_true", help="print report.json")

    learn = verbs.add_parser("learn", help="learn words of several hanzi from a corpus, for extend --add")
    learn.add_argument("corpus", type=Path)
    learn.add_argument("--count", type=int, required=True, metavar="N", help="words to admit")
    learn.add_argument("--out", type=Path, required=True, metavar="FILE", help="the list")
    learn.add_argument("--max-chars", type=int, default=6, metavar="N", help="of a word (default: 6)")
    learn.add_argument("--min-count", type=int, default=10, metavar="N", help="places in the sample (default: 10)")
    learn.add_argument(
        "--sample-hanzi", type=int, default=30_000_000, metavar="N", help="to learn from, 30 bytes each (default: 30 M)"
    )
    learn.add_argument("--overwrite", action="store_true", help="replace another file")
    learn.add_argument("--json", action="store_true", help="print what was learnt as JSON")

    pack = verbs.add_parser("pack", help="encode a corpus into token shards of whole sequences")
    pack.add_argument("corpus", type=Path)
    pack.add_argument("--tokenizer", type=Path, required=True, metavar="DIR", help="a folder with a tokenizer.model")
    pack.add_argument("--seq-len", type=int, required=True, metavar="N", help="ids in a sequence")
    pack.add_argument("--out", type=Path, required=True, help="the tokens folder")
    pack.add_argument(
        "--packing",
        default="concat",
        choices=("concat", "best-fit"),
        help="concat: end to end, cut where a sequence ends; best-fit: whole where they fit, padded (default: concat)",
    )
    pack.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="COLUMN=NAME:TIMES",
        help="lay documents of a source, domain or bucket out so often, as source=wudao:2; may be repeated: multiplied",
    )
    pack.add_argument("--validation-share", type=float, default=0.01, help="of the documents (default: 0.01)")
    pack.add_argument("--seed", type=int, default=0, help="of the shuffle (default: 0); it does not move the split")
    pack.add_argument("--engine", default="local", choices=("local", "ray"), help="where it runs (default: local)")
    pack.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    pack.add_argument("--overwrite", action="store_true", help="replace tokens of another corpus or other settings")
    pack.add_argument("--json", action="store_true", help="print the totals as JSON")

    embed = verbs.add_parser("embed", help="give a model the rows of an extended tokenizer")
    embed.add_argument("--model", type=Path, required=True, metavar="DIR", help="a model in safetensors")
    embed.add_argument("--tokenizer", type=Path, required=True, metavar="DIR", help="extended from its vocabulary")
    embed.add_argument(
        "--init",
        default="mean",
        choices=("subword-mean", "mean", "random", "zero"),
        help="how new rows begin (default: mean)",
    )
    embed.add_argument("--pad-to", type=int, help="rows are a multiple of it (default: as the tokenizer was made for)")
    embed.add_argument("--seed", type=int, default=0, help="of random (default: 0)")
    embed.add_argument("--out", type=Path, required=True, help="the new model's folder")
    embed.add_argument("--overwrite", action="store_true", help="replace a model of other inputs or settings")
    embed.add_argument("--json", action="store_true", help="print the numbers as JSON")

    check = verbs.add_parser("check", help="prove on a text that every loader gives the same ids, and the text back")
    check.add_argument("folder", type=Path, metavar="DIR", help="a tokenizer folder")
    check.add_argument(
        "--text", type=Path, action="append", required=True, metavar="FILE", help="UTF-8 text; may be repeated"
    )
    check.add_argument("--base", help="also: lines without an added piece are segmented as in this model")
    check.add_argument("--json", action="store_true")

    compare = verbs.add_parser("compare", help="characters per token, and the like, of several vocabularies on a text")
    compare.add_argument(
        "folders", nargs="+", metavar="DIR", help="llama, mistral, folders, *.model, tokenizer.json, tiktoken/NAME …"
    )
    compare.add_argument(
        "--text", type=Path, action="append", required=True, metavar="FILE", help="UTF-8 text; may be repeated"
    )
    compare.add_argument("--html", type=Path, metavar="OUT", help="also write a page with a passage coloured by token")
    compare.add_argument("--json", action="store_true")
    return top


def command(words: Sequence[str]) -> int:
    """Run one subcommand; returns the exit code."""
    arguments = parser().parse_args(words)
    return _VERBS[arguments.verb](arguments)


def _extend(arguments: argparse.Namespace) -> int:
    from tokenizer.base import find_base
    from tokenizer.byte_level import extend_byte_level
    from tokenizer.extend import extend, print_summary
    from tokenizer.vocabularies import find_list
    from workbench.console import emit_json

    lists = [find_list(word) for word in arguments.add]
    base = find_base(arguments.base)
    work = extend_byte_level if base.path.suffix == ".json" else extend
    report = work(base, lists, arguments.out, pad_to=arguments.pad_to, overwrite=arguments.overwrite)
    if arguments.json:
        emit_json(report)
    else:
        print_summary(report)
    return 0


def _learn(arguments: argparse.Namespace) -> int:
    from tokenizer.learn import LearnSettings, about, as_report, learn, print_summary, write_words
    from workbench.console import emit_json, note

    settings = LearnSettings(arguments.count, arguments.max_chars, arguments.sample_hanzi, arguments.min_count)
    found, fingerprint = learn(arguments.corpus, settings)
    if len(found.words) < settings.count:
        note(f"only {len(found.words):,} words stand {settings.min_count} times in the sample; see --min-count")
    head = about(arguments.corpus, fingerprint, found, settings)
    write_words(arguments.out, found, head, overwrite=arguments.overwrite)
    if arguments.json:
        emit_json(as_report(found))
    else:
        print_summary(found)
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from tokenizer.pack import PackSettings, pack, print_summary
    from tokenizer.weights import parse
    from workbench.console import emit_json
    from workbench.errors import ConfigError

    if arguments.engine != "local":
        found = "is not there before corpus build has that engine"
        raise ConfigError(f"--engine {arguments.engine}", found, "take --engine local")
    settings = PackSettings(
        arguments.seq_len,
        arguments.validation_share,
        arguments.seed,
        packing=arguments.packing,
        weights=parse(arguments.weight),
    )
    results = pack(
        arguments.corpus,
        arguments.tokenizer,
        arguments.out,
        settings,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        emit_json(results)
    else:
        print_summary(results)
    return 0


def _embed(arguments: argparse.Namespace) -> int:
    from tokenizer.embed import embed, print_summary
    from workbench.console import emit_json

    results = embed(
        arguments.model,
        arguments.tokenizer,
        arguments.out,
        init=arguments.init,
        pad_to=arguments.pad_to,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        emit_json(results)
    else:
        print_summary(results)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tokenizer.base import find_model
    from tokenizer.check import check
    from tokenizer.verdict import as_report, judge, print_findings
    from workbench.console import emit_json
    from workbench.files import read_text

    texts = {str(path): read_text(path) for path in arguments.text}
    find_model(str(arguments.folder))
    base = find_model(arguments.base) if arguments.base else None
    findings = [check(arguments.folder, name, text, base) for name, text in texts.items()]
    if arguments.json:
        emit_json(as_report(findings))
    else:
        print_findings(findings)
    judge(findings)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from tokenizer.fertility import fertility, print_comparison
    from tokenizer.passage import page
    from tokenizer.peers import find_vocabulary
    from workbench.console import emit_json
    from workbench.files import make_folder, read_text, write_text

    texts = {str(path): read_text(path) for path in arguments.text}
    vocabularies = {word: find_vocabulary(word) for word in arguments.folders}
    rows = [fertility(name, word, one, text) for name, text in texts.items() for word, one in vocabularies.items()]
    if arguments.html:
        make_folder(arguments.html.parent)
        write_text(arguments.html, page(texts, vocabularies, rows))
    if arguments.json:
        emit_json([asdict(row) for row in rows])
    else:
        print_comparison(rows)
    return 0


_VERBS = {"extend": _extend, "learn": _learn, "embed": _embed, "pack": _pack, "check": _check, "compare": _compare}
