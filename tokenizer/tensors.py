"""Safetensors files read and rewritten tensor by tensor, without torch and without loading one whole.

Format: github.com/huggingface/safetensors (8 bytes of length, a JSON header, the tensors' bytes). The library's readers
and writers take a whole file into memory, and numpy has no bfloat16; here a tensor is a memory map of raw numbers, and
bfloat16 is the upper half of a float32. Copying runs at the speed of the disk.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import InputError
from workbench.files import atomic_path

Raw = NDArray[Any]
RAW_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # BF16 as its bits
MAX_HEADER_BYTES = 100_000_000  # the library's own limit
COPY_BYTES = 16 << 20
REMEDY = "name a folder of a model in safetensors"


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int  # in the file
    end: int

    def raw(self) -> Raw:
        """Return its numbers as they are, memory-mapped, of the type in ``RAW_TYPES``."""
        return np.memmap(self.path, RAW_TYPES[self.dtype], "r", offset=self.begin, shape=self.shape)


@dataclass(frozen=True)
class Replacement:
    """A tensor's new content: blocks of raw numbers, one after another."""

    shape: tuple[int, ...]
    blocks: Iterable[Raw]


def read_header(path: Path) -> tuple[list[Tensor], dict[str, str]]:
    """Return a file's tensors in the order of their bytes, and its metadata.

    Raises:
        InputError: If it is no safetensors file, or is cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else MAX_HEADER_BYTES + 1
            if length > MAX_HEADER_BYTES or 8 + length > size:
                raise InputError(path, "is not a safetensors file", REMEDY)
            entries = json.loads(file.read(length))
        metadata = entries.pop("__metadata__", {})
        tensors = []
        for name, about in entries.items():
            begin, end = (8 + length + at for at in about["data_offsets"])
            tensors.append(Tensor(path, name, about["dtype"], tuple(about["shape"]), begin, end))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(path, f"is not a safetensors file ({error})", REMEDY) from error
    tensors.sort(key=lambda tensor: tensor.begin)
    for tensor in tensors:
        wrong = (
            tensor.dtype in RAW_TYPES
            and tensor.end - tensor.begin != prod(tensor.shape) * np.dtype(RAW_TYPES[tensor.dtype]).itemsize
        )
        if wrong or not 8 + length <= tensor.begin <= tensor.end <= size:
            raise InputError(path, f"is damaged or cut short at {tensor.name}", "fetch it again")
    return tensors, metadata


def rewrite(path: Path, out: Path, replaced: Mapping[str, Replacement]) -> None:
    """Write a copy of a file in which some tensors have another content.

    Args:
        path: The file.
        out: The copy, written atomically.
        replaced: By name; each keeps its type.

    Raises:
        InputError: As ``read_header``.
        OutputError: If the copy cannot be written.
    """
    tensors, metadata = read_header(path)
    entries: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for tensor in tensors:
        shape, size = tensor.shape, tensor.end - tensor.begin
        if tensor.name in replaced:
            shape = replaced[tensor.name].shape
            size = prod(shape) * np.dtype(RAW_TYPES[tensor.dtype]).itemsize
        entries[tensor.name] = {"dtype": tensor.dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic_path(out) as temporary, temporary.open("wb") as to, path.open("rb") as source:
        to.write(struct.pack("<Q", len(header)) + header)
        for tensor in tensors:
            if tensor.name in replaced:
                for block in replaced[tensor.name].blocks:
                    to.write(np.ascontiguousarray(block, RAW_TYPES[tensor.dtype]).data)
                continue
            source.seek(tensor.begin)
            for begin in range(tensor.begin, tensor.end, COPY_BYTES):
                to.write(source.read(min(COPY_BYTES, tensor.end - begin)))
        assert to.tell() == 8 + len(header) + at, f"{out}: a replacement has not the size it was said to have"


def to_float(raw: Raw, dtype: str) -> NDArray[np.float32]:
    """Return raw numbers as float32; exact but for F64."""
    if dtype == "BF16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(raw, np.float32)


def from_float(values: NDArray[np.float32], dtype: str) -> Raw:
    """Return float32 as raw numbers, rounded to the nearest, ties to even (as torch does)."""
    if dtype == "BF16":
        bits = np.ascontiguousarray(values).view(np.uint32)
        up = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return ((bits + up) >> np.uint32(16)).astype(np.uint16)
    out: Raw = values.astype(RAW_TYPES[dtype])
    return out
