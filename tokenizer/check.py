"""Prove on texts that a tokenizer folder means the same to every loader. 20,000 lines take 10 s.

Each text is taken line by line, and again in blocks of 50 lines with their line ends, and behind it some texts that
loaders trip over (``HARD``). In a folder of SentencePiece that is the reference; ``tokenizers``, this project's
own encoder and, where transformers is installed, ``AutoTokenizer`` must give its ids, and the ids must decode to the
text. So must ``LlamaTokenizer``, or refuse the folder (transformers 5 does; see ``tokenizer.export``). Literal specials
in the text are plain text here: transformers reads them so with ``split_special_tokens=True``. A byte-level folder has
fewer loaders (``tokenizer.check_bytes``).

Ids that are no text, such as half a character's bytes, must decode to the same in all loaders: U+FFFD a byte. (Where a
run of bytes holds both a whole character and half a one, sentencepiece keeps the whole one, and tokenizers, whose
ByteFallback judges the run, does not. No setting of its format changes that, and no text gives such ids.)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tokenizer.check_bytes import compare_byte_loaders, segmentation_changes_by_bytes
from tokenizer.encode import Encoder
from tokenizer.loaders import installed_transformers, load_auto, load_fast
from tokenizer.model import SPACE, read_model
from tokenizer.verdict import BROKEN, HARD, Finding, Verdict, agree_on_broken, compared, cut

MODEL = "tokenizer.model"


def check(folder: Path, name: str, text: str, base: Path | None = None) -> Finding:
    """Compare the loaders on a text, and the segmentation with the base's.

    Args:
        folder: A tokenizer folder: tokenizer.model and tokenizer.json, or a byte-level tokenizer.json alone.
        name: What to call the text.
        text: What to compare on.
        base: The model that was extended; None leaves that comparison out.

    Raises:
        InputError: If a file is missing or is not what its name says.
        GateFailed: If ids that are no text decode to different things.
    """
    by_pieces = (folder / MODEL).is_file()
    verdicts = tuple((compare_loaders if by_pieces else compare_byte_loaders)(folder, text))
    if base is None:
        return Finding(name, verdicts)
    changed, lines = (segmentation_changes if by_pieces else segmentation_changes_by_bytes)(folder, base, text)
    return Finding(name, verdicts, lines, changed)


def compare_loaders(folder: Path, text: str) -> list[Verdict]:
    """Compare the loaders of a SentencePiece folder on a text.

    Args:
        folder: A tokenizer folder with tokenizer.model and tokenizer.json.
        text: What to compare on.

    Raises:
        InputError: If one of the two files is missing or is not what its name says.
        GateFailed: If ids that are no text decode to different things.
    """
    from sentencepiece import SentencePieceProcessor

    encoder, fast = Encoder(folder / MODEL), load_fast(folder)
    piece = SentencePieceProcessor(model_file=str(folder / MODEL))
    texts = [*cut(text), *HARD]
    reference = piece.encode(texts)
    ours = encoder.encode(pl.Series(texts))
    flat = [row.tolist() for row in np.split(ours.ids.astype(np.int64), ours.offsets[1:-1])]
    others = [one.ids for one in fast.encode_batch(texts, add_special_tokens=False)]

    def fast_decode(ids: Sequence[int]) -> str:
        return str(fast.decode(list(ids), skip_special_tokens=False))

    def piece_decode(ids: Sequence[int]) -> str:
        return str(piece.decode(list(ids)))

    def meant(text: str) -> str:  # all loaders write a literal U+2581 as a space: the model cannot say it otherwise
        return text.replace(SPACE, " ")

    verdicts = [
        compared("sentencepiece", texts, reference, reference, piece_decode, meant),
        compared("tokenizers", texts, others, reference, fast_decode, meant),
        compared("yanmo", texts, flat, reference, piece_decode, meant),
    ]
    decodes = [fast_decode]
    transformers = installed_transformers()
    if transformers is not None:
        auto = load_auto(transformers, folder)
        auto_ids = auto(texts, add_special_tokens=False)["input_ids"]
        decodes.append(auto.decode)
        name = f"transformers {transformers.__version__}"
        verdicts.append(compared(f"AutoTokenizer, {name}", texts, auto_ids, reference, auto.decode, meant))
        verdicts.append(_llama_tokenizer(transformers, name, folder, texts, reference))
    broken = [[encoder.byte_ids[value] for value in values] for values in BROKEN]
    agree_on_broken(broken, piece_decode, decodes)
    return verdicts


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


def segmentation_changes(folder: Path, base: Path, text: str) -> tuple[int, int]:
    """Return on how many lines an extended model segments otherwise than its base, and how many lines were compared.

    Lines with a piece that was added, a character or a word, are left out: they are what the extension is for.
    """
    from sentencepiece import SentencePieceProcessor

    before = {piece.piece for piece in read_model(base).pieces}
    added = {piece.piece for piece in read_model(folder / MODEL).pieces} - before
    lines_of_text = pl.Series(text.split("\n"), dtype=pl.String)
    lines = (
        lines_of_text.filter(~lines_of_text.str.contains_any(sorted(added))).to_list() if added else [*lines_of_text]
    )
    old, new = (SentencePieceProcessor(model_file=str(path)) for path in (base, folder / MODEL))
    changed = sum(a != b for a, b in zip(old.encode(lines), new.encode(lines), strict=True))
    return changed, len(lines)
