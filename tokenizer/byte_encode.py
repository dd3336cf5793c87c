"""Texts to ids by a byte-level BPE (a tokenizer.json of Qwen's kind), in the same flat arrays as ``tokenizer.encode``.

The library is Hugging Face's tokenizers; there is no kernel of ours for its regular expressions. A special that stands
written in a text is text: the ids that end a document are put there by ``pack`` alone. Cost: 2–5 MB per CPU-second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokenizer.byte_level import read_byte_level
from tokenizer.encode import Encoded
from workbench.errors import InputError

BATCH = 1000  # texts a call: each is a Python object on the way


class ByteLevelEncoder:
    """A byte-level BPE that encodes batches; what ``tokenizer.encode.Encoder`` is for SentencePiece."""

    dummy_prefix = False

    def __init__(self, path: Path) -> None:
        """Load a tokenizer.json, and which tokens begin and end a text from the tokenizer_config.json beside it.

        Raises:
            InputError: If it is no byte-level BPE, or the file beside it names a token that it does not have.
        """
        from tokenizers import Tokenizer

        content = read_byte_level(path)
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocab_size = max(vocabulary.values()) + 1
        about = _read_config(path.parent / "tokenizer_config.json")
        self.bos_id = self._named(about.get("bos_token"), path)
        eos = self._named(about.get("eos_token"), path)
        self.eos_id = -1 if eos is None else eos
        added = {int(entry["id"]) for entry in content.get("added_tokens", []) if entry.get("special")}
        self.surface_bytes: NDArray[np.int64] = np.zeros(self.vocab_size, np.int64)
        for token, number in vocabulary.items():  # a letter of a byte-level token is a byte of text
            self.surface_bytes[number] = 0 if number in added else len(token)

    def _named(self, token: Any, path: Path) -> int | None:
        name = token.get("content") if isinstance(token, dict) else token
        if name is None:
            return None
        number = self._tokenizer.token_to_id(str(name))
        if number is None:
            raise InputError(
                path, f"has no token {name}, which tokenizer_config.json names", "take both from one model"
            )
        return int(number)

    def encode(self, texts: pl.Series) -> Encoded:
        """Encode texts, without bos and eos.

        Args:
            texts: Strings, shape (texts,); null counts as empty.
        """
        rows: list[NDArray[np.uint32]] = []
        for begin in range(0, len(texts), BATCH):
            some = texts[begin : begin + BATCH].fill_null("").to_list()
            rows += [
                np.array(one.ids, np.uint32)
                for one in self._tokenizer.encode_batch_fast(some, add_special_tokens=False)
            ]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return Encoded(np.concatenate([*rows, np.empty(0, np.uint32)]), offsets)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(path, f"is not JSON ({error})", "take it from the model again") from error
