"""Token shards: a corpus as ids on disk, cut into sequences, with every document's place in them.

A folder of kind ``tokens`` holds for each split (train, validation)

    <split>/shard-00000.bin      little-endian uint16, or uint32 past 65,536 pieces: whole sequences, row-major
    <split>/shard-00000.parquet  a row a document piece, in the order of the ids (``PIECES``)

A *piece* is the part of one document that lies in one sequence: it crosses no sequence and no shard. A document that
does is several pieces with one id, in order. Ids that belong to no piece are padding (eos), always at the end of a
sequence: end to end, of a split's last sequence alone; packed by best fit, of any (``valid`` says where it begins).

Bits per byte stay exact for any set of sequences. ``bytes`` of a piece are the UTF-8 bytes of the text that its ids
stand for, so that they add up to the document's own; ``lead_bytes`` are those of the piece's first id, which a model
does not predict, having nothing before it to predict from (0 where it is bos). The loss summed over all ids of a piece
but the first is to be divided by ``bytes - lead_bytes``, which is what ``predicted_bytes`` adds up.

Opening reads the manifest alone; ids are memory-mapped, and the pieces of a shard are read when first asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench import manifest
from workbench.errors import InputError
from workbench.files import atomic_path

Ids = NDArray[np.int64]
KIND = "tokens"
MADE_BY = "tokenizer pack CORPUS --tokenizer DIR --seq-len N --out DIR"
SPLITS = ("train", "validation")
UINT16_IDS = 1 << 16

PIECES = pa.schema(
    [
        ("start", pa.int64()),  # of its first id, counted in ids from the beginning of the shard
        ("length", pa.int64()),  # ids
        ("id", pa.string()),  # the document's, as in the corpus
        ("source", pa.string()),
        ("domain", pa.string()),
        ("bucket", pa.string()),
        ("bytes", pa.int64()),  # UTF-8 bytes of the text that its ids stand for
        ("lead_bytes", pa.int64()),  # those of its first id
    ]
)


def id_type(vocab_size: int) -> np.dtype[Any]:
    """Return the type of ids on disk: little-endian uint16 as long as every id of the vocabulary fits, else uint32."""
    return np.dtype("<u2" if vocab_size <= UINT16_IDS else "<u4")


def shard_path(folder: Path, split: str, number: int, suffix: str) -> Path:
    """Return the path of a shard's ids (``.bin``) or pieces (``.parquet``)."""
    return folder / split / f"shard-{number:05d}{suffix}"


def write_shard(
    folder: Path, split: str, number: int, ids: NDArray[Any], pieces: pa.Table, *, seq_len: int, vocab_size: int
) -> list[dict[str, Any]]:
    """Write one shard, atomically, its ids last.

    Args:
        folder: The tokens folder.
        split: train or validation.
        number: The shard's number, from 0.
        ids: All ids end to end, shape (sequences * seq_len,).
        pieces: A table of schema ``PIECES``, ordered by start.
        seq_len: Ids in a sequence.
        vocab_size: Pieces of the vocabulary; decides the type on disk.

    Returns:
        The manifest's entries of the two files.

    Raises:
        InputError: If an id is outside the vocabulary.
    """
    assert len(ids) % seq_len == 0 and pieces.schema.equals(PIECES)
    if len(ids) and (int(ids.max()) >= vocab_size or int(ids.min()) < 0):
        worst = int(ids.max()) if int(ids.max()) >= vocab_size else int(ids.min())
        raise InputError(
            f"{split} shard {number}",
            f"id {worst} is outside the vocabulary of {vocab_size:,} pieces",
            "use the tokenizer that made these ids",
        )
    table_path, ids_path = (shard_path(folder, split, number, suffix) for suffix in (".parquet", ".bin"))
    with atomic_path(table_path) as temporary:
        pq.write_table(pieces, temporary, compression="zstd")
    with atomic_path(ids_path) as temporary:
        ids.astype(id_type(vocab_size), copy=False).tofile(temporary)
    return [
        manifest.describe_file(ids_path, folder, split=split, sequences=len(ids) // seq_len),
        manifest.describe_file(table_path, folder, split=split, rows=pieces.num_rows),
    ]


@dataclass(frozen=True)
class Pieces:
    """The pieces of one shard, as arrays of shape (pieces,)."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    predicted_bytes: NDArray[np.int64]


@dataclass
class TokenShards:
    """One split of a tokens folder, read a sequence at a time.

    Attributes:
        folder: The tokens folder.
        split: train or validation.
        seq_len: Ids in a sequence.
        vocab_size: Pieces of the vocabulary, specials included; every id is below it.
        eos_id: The id that ends a document, and fills the padding.
        bos_id: The id that begins a document, None if the tokenizer has none.
        tokenizer_file: Name of the vocabulary file that made the ids.
        tokenizer_sha256: Its sha256.
        fingerprint: That of the manifest: it names this artefact.
        tokens: Ids of the split without padding.
        documents_total: Documents of the split.
        text_bytes: UTF-8 bytes of the split's texts.
        ledger: What came from where: rows of source, domain, bucket, documents, tokens, bytes.
    """

    folder: Path
    split: str
    seq_len: int
    vocab_size: int
    eos_id: int
    bos_id: int | None
    tokenizer_file: str
    tokenizer_sha256: str
    fingerprint: str
    tokens: int
    documents_total: int
    text_bytes: int
    ledger: list[dict[str, Any]]
    _begins: list[int]  # number of the first sequence of each shard, and at last the number of all
    _ids: list[NDArray[Any] | None] = field(repr=False)
    _pieces: list[Pieces | None] = field(repr=False)
    _names: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict, repr=False)

    @classmethod
    def open(cls, folder: Path, split: str) -> TokenShards:
        """Open a split. Cost: the manifest and a stat a file.

        Args:
            folder: A finished tokens folder.
            split: train or validation.

        Raises:
            InputError: If the folder is missing, unfinished or of another kind, has no such split, or a shard is
                missing or has not the size that the manifest says.
        """
        folder = Path(folder)
        found = manifest.read(folder, KIND, MADE_BY)
        results = found.results
        if np.dtype(results["dtype"]) != id_type(int(results["vocab_size"])):
            what = f"says ids of type {results['dtype']} for {results['vocab_size']:,} pieces, which need another"
            raise InputError(folder, what, "pack it again with --overwrite")
        if split not in results.get("splits", {}):
            there = ", ".join(results.get("splits", {})) or "none"
            raise InputError(folder, f"has no split {split} (it has: {there})", "name a split that it has")
        entries = [entry for entry in found.files if entry.get("split") == split and entry["path"].endswith(".bin")]
        begins, seq_len, width = [0], int(results["seq_len"]), np.dtype(results["dtype"]).itemsize
        for entry in entries:
            _check_file(folder, entry)
            if entry["bytes"] != entry["sequences"] * seq_len * width:
                raise InputError(folder / entry["path"], "is no whole number of sequences", "pack it again")
            begins.append(begins[-1] + int(entry["sequences"]))
        for entry in found.files:
            if entry.get("split") == split and entry["path"].endswith(".parquet"):
                _check_file(folder, entry)
        about = results["splits"][split]
        return cls(
            folder=folder,
            split=split,
            seq_len=seq_len,
            vocab_size=int(results["vocab_size"]),
            eos_id=int(results["eos_id"]),
            bos_id=results["bos_id"],
            tokenizer_file=str(results.get("tokenizer_file", "tokenizer.model")),  # older shards know no other
            tokenizer_sha256=str(results["tokenizer_sha256"]),
            fingerprint=found.fingerprint,
            tokens=int(about["tokens"]),
            documents_total=int(about["documents"]),
            text_bytes=int(about["bytes"]),
            ledger=list(about["ledger"]),
            _begins=begins,
            _ids=[None] * len(entries),
            _pieces=[None] * len(entries),
        )

    def __len__(self) -> int:
        """Return the number of sequences."""
        return self._begins[-1]

    def ids(self, i: int) -> Ids:
        """Return sequence i, shape (seq_len,), int64: a copy that the caller may change."""
        shard, row = self.place(i)
        ids: Ids = self._shard_ids(shard)[row].astype(np.int64)
        return ids

    def starts(self, i: int) -> Ids:
        """Return where in sequence i a document piece begins, shape (pieces,); the first is 0."""
        shard, row = self.place(i)
        low, high = self._range(shard, row)
        return self._shard_pieces(shard).starts[low:high] - row * self.seq_len

    def valid(self, i: int) -> int:
        """Return how many ids of sequence i belong to documents; those after them are padding."""
        shard, row = self.place(i)
        _, high = self._range(shard, row)
        pieces = self._shard_pieces(shard)
        return int(pieces.starts[high - 1] + pieces.lengths[high - 1]) - row * self.seq_len

    def predicted_bytes(self, i: int) -> int:
        """Return the UTF-8 bytes that the predicted ids of sequence i stand for: all but the first of each piece."""
        shard, row = self.place(i)
        low, high = self._range(shard, row)
        return int(self._shard_pieces(shard).predicted_bytes[low:high].sum())

    def documents(self, i: int) -> list[str]:
        """Return the document ids in sequence i, one a piece, in the order of ``starts``."""
        shard, row = self.place(i)
        low, high = self._range(shard, row)
        names: list[str] = self._column(shard)[low:high].to_pylist()
        return names

    def position_ids(self, i: int) -> Ids:
        """Return positions that restart at each document piece, shape (seq_len,); padding counts as one more piece."""
        begins = self.starts(i)
        if (filled := self.valid(i)) < self.seq_len:
            begins = np.append(begins, filled)
        lengths = np.diff(np.append(begins, self.seq_len))
        return np.arange(self.seq_len, dtype=np.int64) - np.repeat(begins, lengths)

    def pieces_table(self, shard: int) -> pa.Table:
        """Return all pieces of a shard, a table of schema ``PIECES``."""
        return pq.read_table(shard_path(self.folder, self.split, shard, ".parquet"))

    @property
    def shards(self) -> int:
        """Return the number of shards."""
        return len(self._ids)

    def place(self, i: int) -> tuple[int, int]:
        """Return the shard of sequence i, and which of its sequences it is.

        Raises:
            IndexError: If there is no such sequence.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"sequence {i} of {len(self)}")
        shard = bisect_right(self._begins, i) - 1
        return shard, i - self._begins[shard]

    def _shard_ids(self, shard: int) -> NDArray[Any]:
        ids = self._ids[shard]
        if ids is None:
            rows = self._begins[shard + 1] - self._begins[shard]
            path = shard_path(self.folder, self.split, shard, ".bin")
            ids = np.memmap(path, id_type(self.vocab_size), "r", shape=(rows, self.seq_len))
            self._ids[shard] = ids
        return ids

    def _shard_pieces(self, shard: int) -> Pieces:
        pieces = self._pieces[shard]
        if pieces is None:
            path = shard_path(self.folder, self.split, shard, ".parquet")
            table = pq.read_table(path, columns=["start", "length", "bytes", "lead_bytes"])
            start, length, size, lead = (column.to_numpy() for column in table.columns)
            pieces = self._pieces[shard] = Pieces(start, length, size - lead)
        return pieces

    def _range(self, shard: int, row: int) -> tuple[int, int]:
        low, high = np.searchsorted(
            self._shard_pieces(shard).starts, [row * self.seq_len, (row + 1) * self.seq_len], "left"
        )
        return int(low), int(high)

    def _column(self, shard: int) -> pa.ChunkedArray:
        if shard not in self._names:
            if len(self._names) >= 4:  # names are the bulk of a shard's pieces
                self._names.popitem(last=False)
            path = shard_path(self.folder, self.split, shard, ".parquet")
            self._names[shard] = pq.read_table(path, columns=["id"]).column("id")
        return self._names[shard]


def _check_file(folder: Path, entry: Mapping[str, Any]) -> None:
    path = folder / str(entry["path"])
    remedy = "pack it again with --overwrite"
    if not path.is_file():
        raise InputError(path, "is missing", remedy)
    if path.stat().st_size != entry["bytes"]:
        raise InputError(path, f"has {path.stat().st_size:,} bytes, its manifest says {entry['bytes']:,}", remedy)
