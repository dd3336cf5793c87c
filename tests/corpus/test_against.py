"""An earlier corpus: what it has is a duplicate, and everything else is built as ever."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from corpus.cli import command
from workbench import manifest
from workbench.errors import ConfigError, InputError

from .made import prose, record, write_wudao
from .test_build import RECIPE, parquet


@pytest.fixture
def earlier(tmp_path: Path) -> tuple[Path, list[str], str]:
    rng = random.Random(9)
    texts = [prose(rng) for _ in range(40)]
    write_wudao(tmp_path / "old", [record(n, text) for n, text in enumerate(texts)])
    (tmp_path / "r.yaml").write_text(
        RECIPE.replace("detail: []", "detail: [exact_in]").replace("[near_jaccard]", "[near_jaccard, near_in]"),
        encoding="utf-8",
    )
    recipe = str(tmp_path / "r.yaml")
    assert command(words(tmp_path / "old", tmp_path / "first", recipe)) == 0
    return tmp_path / "first", texts, recipe


def words(src: Path, out: Path, recipe: str, *more: str) -> list[str]:
    return ["build", "--src", f"wudao={src}", "--out", str(out), "--recipe", recipe, "--workers", "1", *more]


def test_what_an_earlier_corpus_has_is_a_duplicate_of_it(tmp_path: Path, earlier: tuple[Path, list[str], str]) -> None:
    first, texts, recipe = earlier
    rng = random.Random(10)
    fresh = [prose(rng) for _ in range(20)]
    records = [record(100 + n, text) for n, text in enumerate(fresh)]
    records += [record(200 + n, texts[n]) for n in range(5)]  # the same to the letter
    records += [record(300 + n, texts[10 + n][:-3] + "改一改") for n in range(5)]
    records += [record(400, fresh[0]), record(401, fresh[1][:-3] + "改一改"), record(402, texts[0])]
    write_wudao(tmp_path / "new", records)
    out = tmp_path / "second"
    assert command(words(tmp_path / "new", out, recipe, "--against", str(first))) == 0
    kept, gone = parquet(out / "kept"), parquet(out / "rejected")
    assert sorted(kept["id"]) == sorted(f"wudao/{100 + n:032x}" for n in range(20))
    of = {row["id"][-3:]: row for row in gone.to_dicts()}
    ids = [f"wudao/{n:032x}" for n in range(500)]
    for n in range(5):
        exact, near = of[f"{200 + n:03x}"], of[f"{300 + n:03x}"]
        assert (exact["reason"], exact["duplicate_of"]) == ("exact_duplicate", ids[n])
        assert exact["detail"] == f"exact_in={first}"
        assert (near["reason"], near["duplicate_of"]) == ("near_duplicate", ids[10 + n])
        assert near["detail"].endswith(f"near_in={first}")
    assert of[f"{402:03x}"]["duplicate_of"] == ids[0]
    assert of[f"{400:03x}"]["duplicate_of"] == ids[100]
    assert of[f"{400:03x}"]["detail"] == ""  # a duplicate within the build
    assert "near_in" not in of[f"{401:03x}"]["detail"]
    assert str(first) in {entry["path"] for entry in manifest.read(out, "corpus", "").inputs}


def test_the_same_input_against_itself_leaves_nothing(tmp_path: Path, earlier: tuple[Path, list[str], str]) -> None:
    first, texts, recipe = earlier
    assert command(words(tmp_path / "old", tmp_path / "second", recipe, "--against", str(first))) == 0
    assert manifest.read(tmp_path / "second", "corpus", "").results["kept"] == 0
    assert pl.read_parquet(tmp_path / "second/rejected/*.parquet").height == len(texts)


def test_a_corpus_that_is_none_is_refused(tmp_path: Path, earlier: tuple[Path, list[str], str]) -> None:
    first, _, recipe = earlier
    with pytest.raises(InputError, match=r"manifest\.json"):
        command(words(tmp_path / "old", tmp_path / "second", recipe, "--against", str(tmp_path / "old")))
    with pytest.raises(ConfigError, match="is where this build writes"):
        command(words(tmp_path / "old", first, recipe, "--against", str(first)))


def test_other_rows_than_minhash_are_refused(tmp_path: Path, earlier: tuple[Path, list[str], str]) -> None:
    first, _, recipe = earlier
    text = Path(recipe).read_text(encoding="utf-8").replace("  - near\n", "  - near: {rows: 5}\n")
    Path(recipe).write_text(text, encoding="utf-8")
    write_wudao(tmp_path / "new", [record(1, prose(random.Random(3)))])
    with pytest.raises(ConfigError, match=r"near\.rows: 5 is not what minhash has"):
        command(words(tmp_path / "new", tmp_path / "second", recipe, "--against", str(first)))


@pytest.mark.parametrize(
    ("word", "weight", "path"), [("", 1.0, "old"), ("@2", 2.0, "old"), ("@.5", 0.5, "old"), ("@x", 1.0, "old@x")]
)
def test_the_weight_of_a_source_is_in_every_row(tmp_path: Path, word: str, weight: float, path: str) -> None:
    rng = random.Random(11)
    src = write_wudao(tmp_path / path, [record(n, prose(rng)) for n in range(30)])
    assert src.is_dir()
    (tmp_path / "r.yaml").write_text(RECIPE, encoding="utf-8")
    out = tmp_path / "out"
    assert command(words(tmp_path / f"old{word}", out, str(tmp_path / "r.yaml"))) == 0
    assert parquet(out / "kept")["weight"].unique().to_list() == [weight]


def test_a_weight_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the weight 0 is not in"):
        command(words(tmp_path / "old@0", tmp_path / "out", "zh-web"))
