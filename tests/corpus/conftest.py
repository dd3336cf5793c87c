"""The corpus in which everything happens, built once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from .everything import make_everything, make_tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    """A built corpus: read it, do not write into it."""
    return make_everything(tmp_path_factory.mktemp("everything"), tokenizer=tokenizer)
