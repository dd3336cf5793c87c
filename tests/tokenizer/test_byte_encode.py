from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.tokenizer.conftest import SENTENCES
from tokenizer.byte_encode import ByteLevelEncoder
from tokenizer.model import vocabulary_file
from tokenizer.open import check_carried, load_encoder
from workbench.errors import InputError
from workbench.files import sha256_file


@pytest.fixture(scope="module")
def folder(byte_level: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("qwen")
    (out / "tokenizer.json").write_bytes(byte_level.read_bytes())
    (out / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>"}}))
    return out


@given(st.lists(st.one_of(st.sampled_from([*SENTENCES, "a<|end|>b", ""]), st.text(max_size=8)), max_size=5))
def test_ids_are_the_librarys_and_bytes_are_the_texts(folder: Path, texts: list[str]) -> None:
    encoder = load_encoder(vocabulary_file(folder))
    found = encoder.encode(pl.Series(texts, dtype=pl.String))
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    reference.encode_special_tokens = True
    for n, text in enumerate(texts):
        ids = found.ids[found.offsets[n] : found.offsets[n + 1]]
        assert ids.tolist() == reference.encode(text, add_special_tokens=False).ids
        assert encoder.surface_bytes[ids].sum() == len(text.encode())
        assert encoder.eos_id not in ids  # a special written in a text ends no document


def test_ends_and_size(folder: Path) -> None:
    encoder = load_encoder(vocabulary_file(folder))
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert isinstance(encoder, ByteLevelEncoder)
    assert (encoder.bos_id, encoder.eos_id) == (None, reference.token_to_id("<|end|>"))
    assert encoder.vocab_size == reference.get_vocab_size() == len(encoder.surface_bytes)
    assert encoder.surface_bytes[encoder.eos_id] == 0


def test_bad_folders_are_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither"):
        vocabulary_file(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|other|>"}')
    with pytest.raises(InputError, match=r"has no token <\|other\|>"):
        ByteLevelEncoder(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        ByteLevelEncoder(tmp_path / "tokenizer.json")


def test_null_is_empty(folder: Path) -> None:
    found = load_encoder(vocabulary_file(folder)).encode(pl.Series([None, "墨"], dtype=pl.String))
    assert found.offsets[1] == 0 and found.offsets[2] == len(found.ids) > 0
    assert found.ids.dtype == np.uint32


def test_a_model_must_carry_the_tokenizer_of_the_shards_if_it_carries_one_of_that_kind(
    folder: Path, tmp_path: Path
) -> None:
    file = folder / "tokenizer.json"

    def shards(name: str) -> Any:
        return SimpleNamespace(folder=tmp_path, tokenizer_file=name, tokenizer_sha256=sha256_file(file))

    own = tmp_path / "model"
    own.mkdir()
    check_carried(shards("tokenizer.json"), own, "pack it again")  # it carries none
    (own / "tokenizer.json").write_bytes(file.read_bytes())
    check_carried(shards("tokenizer.json"), own, "pack it again")
    (own / "tokenizer.json").write_bytes(file.read_bytes() + b"\n")
    check_carried(shards("tokenizer.model"), own, "pack it again")  # of another kind: nothing to compare
    with pytest.raises(InputError, match="another tokenizer"):
        check_carried(shards("tokenizer.json"), own, "pack it again")
