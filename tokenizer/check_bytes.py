"""Prove on texts that a byte-level tokenizer folder (a tokenizer.json of Qwen's kind) means the same to every loader.

``tokenizers`` is the reference, for the file is its own; what ``pack`` and ``train`` encode with, and ``AutoTokenizer``
where transformers is installed, must give its ids. They must decode to the text as the file's own normaliser leaves it
(Qwen's composes, NFC), without the few control bytes that a vocabulary may lack (SmolLM2's).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.byte_level import LETTERS, letters_of, read_byte_level
from tokenizer.loaders import installed_transformers, load_auto, load_fast
from tokenizer.verdict import BROKEN, HARD, Verdict, agree_on_broken, compared, cut

FILE = "tokenizer.json"


def compare_byte_loaders(folder: Path, text: str) -> list[Verdict]:
    """Compare the loaders of a byte-level folder on a text.

    Args:
        folder: A folder with tokenizer.json.
        text: What to compare on.

    Raises:
        InputError: If it is no byte-level BPE.
        GateFailed: If ids that are no text decode to different things.
    """
    encoder, fast = ByteLevelEncoder(folder / FILE), load_fast(folder)
    vocabulary = read_byte_level(folder / FILE)["model"]["vocab"]
    lacking = {chr(value): "" for value in range(128) if LETTERS[value] not in vocabulary}
    dropped, normalizer = str.maketrans(lacking), fast.normalizer
    texts = [*cut(text), *HARD]
    reference = [one.ids for one in fast.encode_batch(texts, add_special_tokens=False)]
    ours = encoder.encode(pl.Series(texts))
    flat = [row.tolist() for row in np.split(ours.ids.astype(np.int64), ours.offsets[1:-1])]

    def decode(ids: Sequence[int]) -> str:
        return str(fast.decode(list(ids), skip_special_tokens=False))

    def meant(text: str) -> str:
        return (normalizer.normalize_str(text) if normalizer else text).translate(dropped)

    verdicts = [
        compared("tokenizers", texts, reference, reference, decode, meant),
        compared("yanmo", texts, flat, reference, decode, meant),
    ]
    decodes = []
    transformers = installed_transformers()
    if transformers is not None:
        auto = load_auto(transformers, folder)
        found = auto(texts, add_special_tokens=False)["input_ids"]
        decodes.append(auto.decode)
        name = f"AutoTokenizer, transformers {transformers.__version__}"
        verdicts.append(compared(name, texts, found, reference, auto.decode, meant))
    spelt = [[LETTERS[value] for value in values] for values in BROKEN]  # not all have the bytes that no UTF-8 has
    broken = [[vocabulary[letter] for letter in letters] for letters in spelt if vocabulary.keys() >= set(letters)]
    agree_on_broken(broken, decode, decodes)
    return verdicts


def segmentation_changes_by_bytes(folder: Path, base: Path, text: str) -> tuple[int, int]:
    """Return on how many lines an extended vocabulary cuts otherwise than its base, and how many lines were compared.

    Left out are lines with a token's text that was added, and those with a character that begins with the bytes of an
    added one and takes fewer tokens for it (``tokenizer.byte_level``): by text, not by what the new one made of them.
    """
    old, new = ByteLevelEncoder(base), ByteLevelEncoder(folder / FILE)
    before = read_byte_level(base)["model"]["vocab"]
    added = sorted(read_byte_level(folder / FILE)["model"]["vocab"].keys() - before.keys())
    lines = pl.Series(text.split("\n"), dtype=pl.String)
    in_letters = pl.Series([letters_of(line) for line in lines], dtype=pl.String)
    kept = lines.filter(~in_letters.str.contains_any(added)) if added else lines
    a, b = old.encode(kept), new.encode(kept)
    rows = zip(np.split(a.ids, a.offsets[1:-1]), np.split(b.ids, b.offsets[1:-1]), strict=True)
    return sum(not np.array_equal(*pair) for pair in rows), len(kept)
