"""Prove on texts that a tokenizer folder means the same to every loader. 20,000 lines take 10 s.

Each text is taken line by line, and again in blocks of 50 lines with their line ends, and behind it some texts that
loaders trip over (``HARD``). Sentencepiece is the reference; ``tokenizers``, this project's own encoder and, where
transformers is installed, ``AutoTokenizer`` must give its ids, and the ids must decode to the text. So must
``LlamaTokenizer``, or refuse the folder (transformers 5 does; see ``tokenizer.export``). Literal specials in the text
are plain text here: transformers reads them so with ``split_special_tokens=True``.

Ids that are no text, such as half a character's bytes, must decode to the same in all loaders: U+FFFD a byte. (Where a
run of bytes holds both a whole character and half a one, sentencepiece keeps the whole one, and tokenizers, whose
ByteFallback judges the run, does not. No setting of its format changes that, and no text gives such ids.)
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tokenizer.encode import Encoder
from tokenizer.model import SPACE, read_model
from workbench.console import table
from workbench.errors import GateFailed, InputError

BLOCK_LINES = 50
HARD = (
    *(
        "",
        " ",
        "  ",
        " a",
        "   a",
        "\ta",
        "a\t",
        "a \n b",
        "\n",
        "\r\n",
        "a\r\nb\r\n",
        "\u3000\u3000第一章",
        "a\u00a0b",
    ),
    *(
        "😀",
        "👨‍👩‍👧",
        "🇨🇳",
        "𠮷",
        "𰻞",
        "龘",
        "㐀",
        "e\u0301",
        "\ufeffa",
        "\x00",
        "<s>",
        "</s><human>",
        "<0x0A>",
        "<unk>",
    ),
    *("▁", "a▁b", "▁▁", "％℃①", "------", "        return x", "ａ９"),
)
BROKEN = ((0xE7,), (0xE7, 0xA0), (0xFF,), (0x80, 0x80), (0xF0, 0x9F), (0xED, 0xA0, 0x80))
Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Verdict:
    """What one loader did."""

    loader: str
    texts: int
    ids: int
    different: int  # texts whose ids are not the reference's
    not_restored: int  # texts that their ids do not decode to
    example: str | None  # the first such text
    refused: str | None = None  # why the loader does not take the folder at all; nothing is counted then


@dataclass(frozen=True)
class Finding:
    """What came of one text."""

    text: str  # its name
    loaders: tuple[Verdict, ...]
    base_lines: int | None = None  # lines without an added piece, compared with the base; None without a base
    base_changed: int = 0  # of them segmented otherwise than in the base


def read_text(path: Path) -> str:
    """Return a UTF-8 file as it is, line ends and all.

    Raises:
        InputError: If it cannot be read, is not UTF-8 or is empty.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 at byte {error.start:,}", "save it as UTF-8") from error
    if not text:
        raise InputError(path, "is empty", "name a text file")
    return text


def cut(text: str) -> list[str]:
    """Return the lines of a text without their ends, and blocks of lines with them."""
    lines = text.split("\n")
    return lines + ["\n".join(lines[n : n + BLOCK_LINES]) for n in range(0, len(lines), BLOCK_LINES)]


def check(folder: Path, name: str, text: str, base: Path | None = None) -> Finding:
    """Compare the loaders on a text, and the segmentation with the base's.

    Args:
        folder: A tokenizer folder with tokenizer.model and tokenizer.json.
        name: What to call the text.
        text: What to compare on.
        base: The model that was extended; None leaves that comparison out.

    Raises:
        InputError: If one of the two files is missing or is not what its name says.
        GateFailed: If ids that are no text decode to different things.
    """
    verdicts = tuple(compare_loaders(folder, text))
    if base is None:
        return Finding(name, verdicts)
    changed, compared = segmentation_changes(folder, base, text)
    return Finding(name, verdicts, compared, changed)


def compare_loaders(folder: Path, text: str) -> list[Verdict]:
    """Compare the loaders on a text.

    Args:
        folder: A tokenizer folder with tokenizer.model and tokenizer.json.
        text: What to compare on.

    Raises:
        InputError: If one of the two files is missing or is not what its name says.
    """
    from sentencepiece import SentencePieceProcessor
    from tokenizers import Tokenizer

    model = folder / "tokenizer.model"
    encoder = Encoder(model)
    try:
        fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises no narrower one
        raise InputError(folder / "tokenizer.json", f"cannot be loaded ({error})", "export it again") from error
    fast.encode_special_tokens = True
    piece = SentencePieceProcessor(model_file=str(model))
    texts = [*cut(text), *HARD]
    reference = piece.encode(texts)
    ours = encoder.encode(pl.Series(texts))
    flat = [row.tolist() for row in np.split(ours.ids.astype(np.int64), ours.offsets[1:-1])]
    others = [one.ids for one in fast.encode_batch(texts, add_special_tokens=False)]

    def fast_decode(ids: Sequence[int]) -> str:
        return str(fast.decode(list(ids), skip_special_tokens=False))

    def piece_decode(ids: Sequence[int]) -> str:
        return str(piece.decode(list(ids)))

    verdicts = [
        _verdict("sentencepiece", texts, reference, reference, piece_decode),
        _verdict("tokenizers", texts, others, reference, fast_decode),
        _verdict("yanmo", texts, flat, reference, piece_decode),
    ]
    broken = [[encoder.byte_ids[value] for value in values] for values in BROKEN]
    decodes = [fast_decode]
    transformers = _transformers()
    if transformers is not None:
        auto = transformers.AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
        auto_ids = auto(texts, add_special_tokens=False)["input_ids"]
        decodes.append(auto.decode)
        name = f"transformers {transformers.__version__}"
        verdicts.append(_verdict(f"AutoTokenizer, {name}", texts, auto_ids, reference, auto.decode))
        verdicts.append(_llama_tokenizer(transformers, name, folder, texts, reference))
    for ids in broken:
        for decode in decodes:
            if decode(ids) != piece_decode(ids):
                raise GateFailed(f"ids {ids} decode to {piece_decode(ids)!r}, or else to {decode(ids)!r}")
    return verdicts


def _transformers() -> Any:
    """Return transformers if it is installed: this package does without it, but proves what it reads with it."""
    if importlib.util.find_spec("transformers") is None:
        return None
    return importlib.import_module("transformers")


def _llama_tokenizer(
    transformers: Any, name: str, folder: Path, texts: Sequence[str], reference: Sequence[Any]
) -> Verdict:
    """Compare the ids of the class that a user may name instead of AutoTokenizer; its texts are not compared.

    Of transformers 4 it takes one space too many away when it decodes.
    """
    loader = f"LlamaTokenizer, {name}"
    try:
        llama = transformers.LlamaTokenizer.from_pretrained(folder, split_special_tokens=True)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it has refused
        return Verdict(loader, 0, 0, 0, 0, None, str(error))
    found = [llama.encode(text, add_special_tokens=False) for text in texts]
    different = [text for text, a, b in zip(texts, found, reference, strict=True) if a != b]
    return Verdict(loader, len(texts), sum(map(len, found)), len(different), 0, next(iter(different), None))


def _verdict(
    loader: str, texts: Sequence[str], found: Sequence[Any], reference: Sequence[Any], decode: Decode
) -> Verdict:
    different = [text for text, a, b in zip(texts, found, reference, strict=True) if a != b]
    # All loaders write a literal U+2581 as a space: the model has no other way to say it.
    lost = [text for text, ids in zip(texts, found, strict=True) if decode(ids) != text.replace(SPACE, " ")]
    example = next(iter((*different, *lost)), None)
    return Verdict(loader, len(texts), sum(map(len, found)), len(different), len(lost), example)


def segmentation_changes(folder: Path, base: Path, text: str) -> tuple[int, int]:
    """Return on how many lines an extended model segments otherwise than its base, and how many lines were compared.

    Lines with a piece that was added, a character or a word, are left out: they are what the extension is for.
    """
    from sentencepiece import SentencePieceProcessor

    before = {piece.piece for piece in read_model(base).pieces}
    added = {piece.piece for piece in read_model(folder / "tokenizer.model").pieces} - before
    lines_of_text = pl.Series(text.split("\n"), dtype=pl.String)
    lines = (
        lines_of_text.filter(~lines_of_text.str.contains_any(sorted(added))).to_list() if added else [*lines_of_text]
    )
    old, new = (SentencePieceProcessor(model_file=str(path)) for path in (base, folder / "tokenizer.model"))
    changed = sum(a != b for a, b in zip(old.encode(lines), new.encode(lines), strict=True))
    return changed, len(lines)


def as_report(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return what ``--json`` prints: an entry a text."""
    return [
        {
            "text": one.text,
            "loaders": [asdict(verdict) for verdict in one.loaders],
            "base": None if one.base_lines is None else {"lines": one.base_lines, "changed": one.base_changed},
        }
        for one in findings
    ]


def print_findings(findings: Sequence[Finding]) -> None:
    """Print a table a text on stdout, a row a loader."""
    for finding in findings:
        rows = [tuple(asdict(one).values())[:5] for one in finding.loaders if one.refused is None]
        table(("loader", "texts", "ids", "ids differ", "text not restored"), rows, finding.text)
        if finding.base_lines is not None:
            said = f"{finding.base_changed:,} segmented otherwise than in the base"
            print(f"{finding.base_lines:,} lines without an added piece, {said}")
    for one in findings[0].loaders:  # a folder is refused whatever the text
        if one.refused is not None:
            print(f"{one.loader} refuses the folder: {one.refused}")


def judge(findings: Sequence[Finding]) -> None:
    """Fail if anything differs.

    Raises:
        GateFailed: With the first example, and the text that it is in.
    """
    for finding in findings:
        for one in finding.loaders:
            if one.different or one.not_restored:
                raise GateFailed(
                    f"{finding.text}: {one.loader}: {one.different:,} texts differ, {one.not_restored:,} are not "
                    f"restored; the first: {(one.example or '')[:80]!r}"
                )
        if finding.base_changed:
            said = "lines without an added piece are segmented otherwise than in the base"
            raise GateFailed(f"{finding.text}: {finding.base_changed:,} {said}")
