from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from corpus.stages.gate import Gate, columns_of, condition
from workbench.errors import ConfigError

ROWS = pl.DataFrame(
    {
        "chars": [5, 50, 500, 60],
        "han_share": [0.9, 0.1, None, 0.8],
        "domain": ["新闻", "代码", "新闻", "新闻"],
        "of": [None, None, None, "a/1"],
    },
    schema={"chars": pl.UInt32, "han_share": pl.Float32, "domain": pl.String, "of": pl.String},
)


def test_the_first_condition_that_holds_is_the_reason() -> None:
    gate = Gate(stage="rules", reject={"short": "chars < 20", "few": "chars < 55 or han_share < 0.2"})
    out = gate.mark(ROWS, Path())
    assert out["reason"].to_list() == ["short", "few", None, None]
    assert out["stage"].to_list() == ["rules", "rules", None, None]
    assert out["detail"].to_list() == ["chars=5", "chars=50 han_share=0.1", None, None]


def test_null_is_unknown_and_rejects_nothing() -> None:
    out = Gate(stage="rules", reject={"few": "han_share < 0.2"}).mark(ROWS, Path())
    assert out["reason"].to_list() == [None, "few", None, None]


def test_conditions_by_domain() -> None:
    out = Gate(stage="rules", reject={"few": "han_share < 0.2 and domain not in ('代码')"}).mark(ROWS, Path())
    assert out["reason"].null_count() == 4


def test_duplicates_name_the_other_document() -> None:
    gate = Gate(stage="near", reject={"near_duplicate": "of is not null"}, duplicate_of="of", detail=("chars",))
    assert gate.reads == ("chars", "of")
    out = gate.mark(ROWS, Path())
    assert out["duplicate_of"].to_list() == [None, None, None, "a/1"]
    assert out["detail"].to_list() == [None, None, None, "chars=60"]


def test_columns_and_mistakes() -> None:
    assert columns_of("a < 3 and (b > 2 or a > 9)") == ("a", "b")
    with pytest.raises(ConfigError, match="is not SQL"):
        condition("chars <")
