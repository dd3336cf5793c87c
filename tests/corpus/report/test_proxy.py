from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from corpus.report.proxy import compared, judge
from corpus.rows import BUCKETS

from ..made import prose


def noise(rng: random.Random, size: int) -> str:
    return "".join(chr(rng.randrange(0x4E00, 0x6000)) for _ in range(size))


def write(folder: Path, texts: dict[str, list[tuple[str, str]]], name: str = "x") -> list[Path]:
    """Write bucket: [(domain, text)] as a corpus's kept parts."""
    out = []
    for bucket, rows in texts.items():
        path = folder / f"bucket={bucket}" / "part-00000.parquet"
        path.parent.mkdir(parents=True)
        frame = pl.DataFrame({"domain": [d for d, _ in rows], "text": [t for _, t in rows]})
        frame = frame.with_columns(
            pl.format("{}/{}-{}", pl.lit(name), pl.lit(bucket), pl.int_range(pl.len())).alias("id"),
            bucket=pl.lit(bucket),
            lang=pl.lit("zh"),
            chars=pl.col("text").str.len_chars().cast(pl.UInt32),
        )
        frame.write_parquet(path)
        out.append(path)
    return out


def graded(rng: random.Random, share: dict[str, float], count: int = 100) -> dict[str, list[tuple[str, str]]]:
    """Return documents of 240 characters, of which a share is noise."""

    def text(dirty: float) -> str:
        clean = round(240 * (1 - dirty))
        return prose(rng, 12)[:clean] + noise(rng, 240 - clean)

    return {bucket: [("新闻", text(share[bucket])) for _ in range(count)] for bucket in BUCKETS}


def test_clean_text_teaches_more_than_dirty(tmp_path: Path) -> None:
    rng = random.Random(1)
    files = write(tmp_path, graded(rng, {"head": 0.0, "middle": 0.8, "tail": 0.95}, count=300))
    reference = {bucket: [("参考", prose(rng, 12)) for _ in range(25)] for bucket in BUCKETS}
    more = write(tmp_path / "more", reference, "more")
    found = judge([*files, *more], ["参考"])
    assert found["held_out"]["domains"] == ["参考"]
    assert found["held_out"]["reference"] is True
    bits = {one["bucket"]: one["bits_per_char"] for one in found["buckets"]}
    assert bits["head"] < bits["middle"] < bits["tail"]
    assert [pair["verdict"] for pair in found["pairs"]] == ["better", "better"]
    assert found["order_holds"] is True
    sizes = {one["train_chars"] for one in found["buckets"]}
    assert len(sizes) == 1, "models learn from as many characters"


def test_buckets_of_the_same_text_do_not_differ(tmp_path: Path) -> None:
    files = write(tmp_path, graded(random.Random(2), dict.fromkeys(BUCKETS, 0.0)))
    found = judge(files, [])
    assert [pair["verdict"] for pair in found["pairs"]] == ["no difference", "no difference"]
    assert found["order_holds"] is False
    assert found["held_out"]["reference"] is False


def test_a_head_that_is_worse_is_called_worse(tmp_path: Path) -> None:
    rng = random.Random(3)
    files = write(tmp_path, graded(rng, {"head": 0.9, "middle": 0.0, "tail": 0.0}))
    more = write(
        tmp_path / "more", {bucket: [("参考", prose(rng, 12)) for _ in range(40)] for bucket in BUCKETS}, "more"
    )
    found = judge([*files, *more], ["参考"])
    assert found["pairs"][0]["verdict"] == "worse"
    assert found["order_holds"] is False


def test_domains_are_matched_between_the_buckets(tmp_path: Path) -> None:
    """Head is full of a domain that the others hardly have: it must not decide what its model learns."""
    rng = random.Random(4)
    texts = graded(rng, dict.fromkeys(BUCKETS, 0.0))
    texts["head"] += [("乱码", noise(rng, 900)) for _ in range(200)]
    found = judge(write(tmp_path, texts), ["新闻"])
    assert found["pairs"][0]["verdict"] == "no difference"


def test_too_little_text_is_not_judged(tmp_path: Path) -> None:
    files = write(tmp_path, graded(random.Random(5), dict.fromkeys(BUCKETS, 0.0), count=3))
    assert "are needed" in judge(files, [])["skipped"]
    assert "are needed" in judge([], [])["skipped"]
    assert "are needed" in judge(files[:1], [])["skipped"]


def test_the_error_is_that_of_a_ratio() -> None:
    rng = np.random.default_rng(0)
    chars = rng.integers(50, 500, 400).astype(float)
    one = 5 * chars + rng.normal(0, 20, 400)
    two = 5.1 * chars + rng.normal(0, 20, 400)
    found = compared("head", "middle", one, two, chars)
    assert found["verdict"] == "better"
    assert found["gain"] == pytest.approx(0.1, abs=3 * found["standard_error"])
    draws = [rng.integers(0, 400, 400) for _ in range(500)]
    spread = np.std([(two[d] - one[d]).sum() / chars[d].sum() for d in draws])
    assert found["standard_error"] == pytest.approx(spread, rel=0.15)  # the bootstrap's
    assert compared("a", "b", one, one, chars)["verdict"] == "no difference"
