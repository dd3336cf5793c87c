"""On text of known quality: does the quality model tell it apart, and do the buckets of perplexity order it?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from corpus.build import Input, build
from corpus.cli import command
from corpus.models.judging import roc_auc
from corpus.recipe import load_recipe

from .real import lay_out

pytestmark = pytest.mark.slow

EDITED, ROUGH = "domain in ('新闻', '百科')", "domain in ('网页', '评论')"
RECIPE = """
name: judged
steps:
  - normalise
  - shape
  - perplexity: {model: LM}
  - quality: {model: QUALITY}
  - bucket: {min_documents: 1000000}
"""


def test_edited_text_against_web_noise_and_reviews(tmp_path: Path, shared: Path) -> None:
    lay_out(shared / "data", tmp_path)
    a, lm, quality = tmp_path / "a.jsonl", tmp_path / "lm.arpa", tmp_path / "quality.bin"
    command(["lm", "train", "--text", str(a), "--where", EDITED, "--binary", "none", "--out", str(lm)])
    sides = ["--positive", str(a), "--positive-where", EDITED, "--negative", str(a), "--negative-where", ROUGH]
    command(["classifier", "train", *sides, "--out", str(quality)])
    own = json.loads(quality.with_suffix(".json").read_text(encoding="utf-8"))["results"]["held_out"]["bin"]
    assert own["auc"] >= 0.95

    # the other half, which no model has seen, through a build with these models
    recipe = tmp_path / "judged.yaml"
    recipe.write_text(RECIPE.replace("LM", str(lm)).replace("QUALITY", str(quality)), encoding="utf-8")
    out = tmp_path / "corpus"
    build([Input("jsonl", tmp_path / "b.jsonl")], load_recipe(str(recipe)), out, workers=1)
    rows = pl.read_parquet(out / "kept" / "*" / "*.parquet", hive_partitioning=False)
    edited = rows["domain"].is_in(["新闻", "百科"])
    auc, _ = roc_auc(rows["quality"].to_numpy().astype(np.float64), edited.to_numpy())
    assert auc is not None
    assert auc >= 0.95
    shares = {
        (side, bucket): float((rows.filter(edited == (side == "edited"))["bucket"] == bucket).mean())  # type: ignore[arg-type]
        for side in ("edited", "rough")
        for bucket in ("head", "middle", "tail")
    }
    # as many of the one as of the other: two thirds is the most that a third of all can hold
    assert shares["edited", "head"] > 0.5 > shares["edited", "middle"] > shares["edited", "tail"]
    assert shares["rough", "tail"] > 0.5 > shares["rough", "middle"] > shares["rough", "head"]
