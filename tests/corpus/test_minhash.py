"""Signatures must be datasketch's to the bit; sets and similarities those of Python."""

from __future__ import annotations

import numpy as np
import polars as pl
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.flat import FlatText
from corpus.minhash import band_keys, jaccard, permutations, shingle_hash, shingle_sets, signatures

TEXT = st.text(st.sampled_from("研墨之前先磨墨，再写字abc 𠀀"), max_size=60)


def shingles(text: str) -> list[str]:
    return [text[i : i + 5] for i in range(max(1, len(text) - 4))] if text else []


def flat(texts: list[str]) -> FlatText:
    return FlatText.of(pl.Series("text", texts, dtype=pl.String))


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_signatures_are_bit_identical_to_datasketch(texts: list[str]) -> None:
    ours = signatures(flat(texts))
    for text, signature in zip(texts, ours, strict=True):
        reference = MinHash(num_perm=128, scheme="affine32", hashfunc=shingle_hash)
        reference.update_batch([shingle.encode() for shingle in shingles(text)])
        assert (reference.hashvalues == signature).all()


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_the_coefficients_are_those_of_datasketch(count: int, seed: int) -> None:
    reference = MinHash(num_perm=count, seed=seed, scheme="affine32").permutations
    assert (permutations(count, seed) == reference).all()


def test_long_text_crosses_the_kernels_blocks() -> None:
    text = "".join(chr(0x4E00 + (i * 7919) % 5000) for i in range(5000))
    reference = MinHash(num_perm=128, scheme="affine32", hashfunc=shingle_hash)
    reference.update_batch([shingle.encode() for shingle in shingles(text)])
    assert (reference.hashvalues == signatures(flat([text]))[0]).all()


def test_a_datasketch_index_answers_our_signatures() -> None:
    text = "她把墨块放进砚台，慢慢地研，水渐渐黑了，屋里都是墨香。"
    index = MinHashLSH(threshold=0.5, num_perm=128)
    stored = MinHash(num_perm=128, scheme="affine32", hashfunc=shingle_hash)
    stored.update_batch([shingle.encode() for shingle in shingles(text)])
    index.insert("first", stored)
    query = MinHash(num_perm=128, scheme="affine32", hashvalues=signatures(flat([text[:-2]]))[0])
    assert index.query(query) == ["first"]


@given(TEXT, TEXT)
def test_similarity_is_that_of_the_sets(left: str, right: str) -> None:
    hashes, offsets = shingle_sets(flat([left, right]))
    x, y = set(shingles(left)), set(shingles(right))
    assert offsets.tolist() == [0, len(x), len(x) + len(y)]  # no two of these shingles share a hash
    expected = len(x & y) / len(x | y) if x | y else 1.0
    assert jaccard(hashes, offsets, 0, 1) == expected


def test_bands_agree_where_their_rows_do() -> None:
    signed = np.zeros((3, 128), np.uint32)
    signed[1, 20] = 1  # another value in the third band of seven rows
    signed[2] = 5
    keys = band_keys(signed, 18, 7)
    same = (keys[0] == keys[1]).tolist()
    assert same == [band != 2 for band in range(18)]
    assert not (keys[0] == keys[2]).any()
    assert len(set(keys[0].tolist())) == 18  # the band's number is part of the key
