"""Vocabularies to compare, of whatever kind: each gives ids, and the bytes of text that an id stands for.

    llama, mistral, a tokenizer folder, *.model   SentencePiece, by this project's encoder
    a folder with tokenizer.json, or the file      Hugging Face, by tokenizers: byte-level BPE, or with byte fallback
    tekken*.json                                   Mistral's newer vocabularies, by tiktoken
    mistral-common/NAME                            a file of the installed package mistral-common, of the kinds above
    tiktoken/NAME                                  an encoding of the installed tiktoken; it fetches it if need be

The bytes make the figures of all of them comparable: what a token is worth, which tokens are no whole character, and
whether a text comes back.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokenizer.base import find_base
from tokenizer.encode import Encoder
from tokenizer.model import BYTE, CONTROL, SPACE, UNKNOWN, read_model, vocabulary_in
from workbench.errors import InputError, MissingPackage
from workbench.files import read_json

REMEDY = "name a tokenizer folder, a tokenizer.json, a *.model or a tekken.json"


class Vocabulary(Protocol):
    """What a comparison needs."""

    token_bytes: list[bytes]  # of each id the text it stands for; empty for specials

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the ids of each text, without specials."""


class SentencePiece:
    """A SentencePiece model."""

    def __init__(self, path: Path) -> None:
        """Load a ``tokenizer.model``."""
        self._encoder = Encoder(path)
        self.token_bytes = [_spm_bytes(piece.piece, piece.type) for piece in read_model(path).pieces]

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the ids of each text."""
        found = self._encoder.encode(pl.Series(texts, dtype=pl.String))
        return np.split(found.ids.astype(np.int64), found.offsets[1:-1]) if len(texts) else []


def _spm_bytes(piece: str, kind: int) -> bytes:
    if kind in (CONTROL, UNKNOWN):
        return b""
    return bytes([int(piece[3:5], 16)]) if kind == BYTE else piece.replace(SPACE, " ").encode()


class HuggingFace:
    """A ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            InputError: If it is none, or its tokens do not say what bytes they stand for (WordPiece, Unigram).
        """
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
            content = read_json(path)
        except Exception as error:  # tokenizers raises no narrower one
            raise InputError(path, f"is not a tokenizer.json ({str(error)[:80]})", REMEDY) from error
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        specials = {entry["id"]: entry for entry in content.get("added_tokens", [])}
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        kinds = {part.get("type") for part in _parts(content.get("decoder"))}
        if "ByteLevel" not in kinds and not content["model"].get("byte_fallback"):
            raise InputError(path, "is neither byte-level nor has it a byte fallback", REMEDY)
        letters = {letter: value for value, letter in byte_letters().items()}
        self.token_bytes = [b""] * (max(vocabulary.values()) + 1)
        for token, number in vocabulary.items():
            if number in specials:
                special = specials[number]["special"]
                self.token_bytes[number] = b"" if special else token.encode()
            elif "ByteLevel" in kinds:
                self.token_bytes[number] = bytes(letters[letter] for letter in token if letter in letters)
            else:
                is_byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
                self.token_bytes[number] = _spm_bytes(token, BYTE if is_byte else 0)

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the ids of each text."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int64) for one in found]


def _parts(decoder: Any) -> list[Any]:
    return [] if decoder is None else list(decoder.get("decoders", [decoder]))


def byte_letters() -> dict[int, str]:
    """Return the letter by which byte-level BPE writes each byte: GPT-2's table (encoder.py, bytes_to_unicode)."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in own]
    return {value: chr(value) for value in own} | {value: chr(256 + n) for n, value in enumerate(others)}


class Tiktoken:
    """An encoding of tiktoken, or a Tekken file, which is one."""

    def __init__(self, encoding: Any) -> None:
        """Take an encoding (``tiktoken.Encoding``)."""
        self._encoding = encoding
        self.token_bytes = [b""] * encoding.n_vocab
        for number in range(encoding.n_vocab):
            try:
                self.token_bytes[number] = encoding.decode_single_token_bytes(number)
            except KeyError:
                continue  # a gap, or a special

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the ids of each text."""
        return [np.array(ids, np.int64) for ids in self._encoding.encode_ordinary_batch(list(texts), num_threads=1)]


def tekken(path: Path) -> Tiktoken:
    """Return a Tekken file as a vocabulary; its specials, which come first in Mistral's ids, are left out."""
    if importlib.util.find_spec("tiktoken") is None:
        raise MissingPackage("tiktoken", "demo")
    import tiktoken

    try:
        content = read_json(path)
        config, entries = content["config"], content["vocab"]
        count = int(config["default_vocab_size"]) - int(config["default_num_special_tokens"])
        ranks = {base64.b64decode(entry["token_bytes"]): int(entry["rank"]) for entry in entries[:count]}
        pattern = str(config["pattern"])
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise InputError(path, f"is not a Tekken vocabulary ({error})", REMEDY) from error
    return Tiktoken(tiktoken.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens={}))


def find_vocabulary(word: str) -> Vocabulary:
    """Return the vocabulary that a word of ``tokenizer compare`` names.

    Raises:
        InputError: If there is none, or it cannot be read.
        MissingPackage: If the package that it is of is not installed.
    """
    package, slash, name = word.partition("/")
    path = Path(word)
    if slash and not path.exists() and package == "tiktoken":
        return _of_tiktoken(name)
    if slash and not path.exists() and package == "mistral-common":
        path = _of_mistral_common(name)
    if path.is_dir():
        inside = vocabulary_in(path)
        if inside is None:
            raise InputError(path, "holds neither tokenizer.model nor tokenizer.json", REMEDY)
        path = inside
    if path.suffix == ".json":
        return tekken(path) if path.name.startswith("tekken") else HuggingFace(path)
    return SentencePiece(path if path.is_file() else find_base(word).path)


def _of_tiktoken(name: str) -> Tiktoken:
    if importlib.util.find_spec("tiktoken") is None:
        raise MissingPackage("tiktoken", "demo")
    import tiktoken

    known = tiktoken.list_encoding_names()
    if name not in known:
        raise InputError(f"tiktoken/{name}", "is no encoding of tiktoken", f"choose from: {', '.join(known)}")
    try:
        return Tiktoken(tiktoken.get_encoding(name))
    except OSError as error:  # requests' errors are OSErrors
        raise InputError(f"tiktoken/{name}", "could not be fetched", "see tiktoken's TIKTOKEN_CACHE_DIR") from error


def _of_mistral_common(name: str) -> Path:
    found = importlib.util.find_spec("mistral_common")
    if found is None or not found.submodule_search_locations:
        raise MissingPackage("mistral-common", "demo")
    folder = Path(found.submodule_search_locations[0]) / "data"
    if not (folder / name).is_file():
        known = ", ".join(sorted(path.name for path in folder.iterdir()))
        raise InputError(f"mistral-common/{name}", "is no file of that package", f"choose from: {known}")
    return folder / name
