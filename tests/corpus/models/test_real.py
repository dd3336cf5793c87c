"""On text of known quality: does the quality model tell it apart, and do the buckets of perplexity order it?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.build import Input, build
from corpus.cli import command
from corpus.recipe import load_recipe

from .real import auc_of, bucket_shares, kept, lay_out

pytestmark = pytest.mark.slow

EDITED, ROUGH = "domain in ('新闻', '百科')", "domain in ('网页', '评论')"
RECIPE = """
name: judged
steps:
  - normalise
  - shape
  - language
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
    rows = kept(out)
    assert auc_of(rows, "quality") >= 0.95
    shares = {row["edited"]: row for row in bucket_shares(rows, "edited").iter_rows(named=True)}
    # as many of the one as of the other: two thirds is the most that a third of all can hold
    assert shares[True]["head"] > 0.5 > shares[True]["middle"] > shares[True]["tail"]
    assert shares[False]["tail"] > 0.5 > shares[False]["middle"] > shares[False]["head"]
