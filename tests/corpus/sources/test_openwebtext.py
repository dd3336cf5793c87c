from __future__ import annotations

import lzma
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.corpus.sources.reading import read
from tests.corpus.sources.test_archive import tar_of


def test_the_published_archive(tmp_path: Path) -> None:
    subsets = {}
    for n in range(2):
        texts = {f"{n:07d}-{i:032x}.txt": f"Page {n}.{i}\n\n\nwith text".encode() for i in range(3)}
        subsets[f"openwebtext/urlsf_subset{n:02d}-1_data.xz"] = lzma.compress(tar_of(texts))
    (tmp_path / "openwebtext.tar.xz").write_bytes(lzma.compress(tar_of(subsets)))
    found = read("openwebtext", tmp_path)
    assert len(found.texts) == len(set(found.keys)) == 6
    assert found.texts[4] == "Page 1.1\n\n\nwith text"
    assert found.keys[0] == f"openwebtext/openwebtext/urlsf_subset00-1_data/0000000-{0:032x}"
    assert found.causes == []


def test_a_single_subset_and_the_unpacked_files(tmp_path: Path) -> None:
    packed = lzma.compress(tar_of({"1.txt": b"one", "2.txt": b"two"}))
    (tmp_path / "urlsf_subset00-1_data.xz").write_bytes(packed)
    (tmp_path / "loose.txt").write_bytes(b"three")
    assert read("openwebtext", tmp_path).texts == ["three", "one", "two"]


def test_the_hubs_tables(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "train-00000-of-00001.parquet")
    found = read("openwebtext", tmp_path)
    assert found.texts == ["one", "two"]
    assert found.keys == ["train-00000-of-00001.parquet#0", "train-00000-of-00001.parquet#1"]
