from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from corpus.stages.sensitive.judge import MODEL, SensitiveJudge
from tests.corpus.made import prose
from tests.corpus.stages.test_sensitive import All
from workbench.errors import InputError

TRADE = ("现货出售", "包邮到家", "加微信谈价", "诚信交易", "量大从优", "保密发货", "先款后货", "全国可送")
REPORT = ("法院审理认为", "被告人供述", "警方通报称", "检察机关指控", "依法判处", "专家提醒市民", "记者从公安局获悉")


def made(rng: random.Random, words: tuple[str, ...]) -> str:
    return "".join(f"{rng.choice(words)}，冰毒{rng.choice('一二三四')}号，" for _ in range(12))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Trades and reports with the same listed word: certain ones by score, then doubtful ones."""
    rng = random.Random(5)
    trades, reports = [made(rng, TRADE) for _ in range(120)], [made(rng, REPORT) for _ in range(120)]
    doubtful = [made(rng, TRADE) for _ in range(20)] + [made(rng, REPORT) for _ in range(20)]
    texts = [*trades, *reports, *(prose(rng) for _ in range(60)), *doubtful]
    scores = [3.0] * 120 + [0.05] * 120 + [0.0] * 60 + [0.9] * 40
    hits = [12] * 240 + [0] * 60 + [12] * 40
    return pl.DataFrame(
        {
            "doc": pl.Series(range(len(texts)), dtype=pl.UInt64),
            "id": [f"x/{n}" for n in range(len(texts))],
            "text": texts,
            "sensitive_score": pl.Series(scores, dtype=pl.Float32),
            "sensitive_hits": pl.Series(hits, dtype=pl.UInt32),
        }
    )


def test_the_middle_is_judged_by_what_the_text_does(rows: pl.DataFrame, tmp_path: Path) -> None:
    stage = SensitiveJudge()
    stage.prepare(All(rows), tmp_path)
    judged = stage.mark(rows, tmp_path)["sensitive_judgement"]
    assert judged[:300].null_count() == 300  # the score has settled those
    assert judged[300:320].min() > 0.5  # type: ignore[operator]
    assert judged[320:].max() < 0.5  # type: ignore[operator]
    again = tmp_path / "again"
    again.mkdir()
    stage.prepare(All(rows), again)
    assert (again / MODEL).read_bytes() == (tmp_path / MODEL).read_bytes()


def test_without_enough_certain_examples_the_score_decides(rows: pl.DataFrame, tmp_path: Path) -> None:
    few = rows.filter(pl.col("doc") >= 80)  # 40 trades are left
    SensitiveJudge().prepare(All(few), tmp_path)
    assert not (tmp_path / MODEL).exists()
    assert SensitiveJudge().mark(few, tmp_path)["sensitive_judgement"].null_count() == len(few)


def test_a_users_model_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        SensitiveJudge(model=tmp_path / "none.bin").prepare(All(pl.DataFrame()), tmp_path)
