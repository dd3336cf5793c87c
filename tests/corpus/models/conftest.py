"""A small built corpus, and labelled prose, for the tests of the models."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from corpus.build import Input, build
from corpus.recipe import load_recipe

from ..made import mixed, prose, write_wudao

RECIPE = """
name: small
steps:
  - normalise
  - shape
  - language
  - gate: {stage: rules, reject: {short: chars < 20}}
  - fingerprint
  - exact
  - gate: {stage: exact, duplicate_of: exact_of, detail: [], reject: {exact_duplicate: exact_of is not null}}
  - perplexity: {reference_chars: 20000, order: 3}
  - bucket: {min_documents: 20}
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 207 documents of two domains, 新闻 and 评论, in three buckets."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "small.yaml").write_text(RECIPE, encoding="utf-8")
    src = write_wudao(folder / "src", mixed())
    build([Input("wudao", src)], load_recipe(str(folder / "small.yaml")), folder / "corpus", workers=1)
    return folder / "corpus"


def advertisement(rng: random.Random) -> str:
    """A text of another kind than prose."""
    return "".join(
        f"{rng.choice(('娱乐城', '现金网', '棋牌'))}注册送{rng.randrange(8, 888)}元，{rng.choice(('加微信', '点击下载'))}！"
        for _ in range(rng.randrange(4, 12))
    )


@pytest.fixture(scope="session")
def labelled() -> list[tuple[str, str]]:
    """Texts with their labels, positive and negative, 120 of each."""
    rng = random.Random(5)
    rows = [(prose(rng, 3), "positive") for _ in range(120)]
    rows += [(advertisement(rng), "negative") for _ in range(120)]
    rng.shuffle(rows)
    return rows
