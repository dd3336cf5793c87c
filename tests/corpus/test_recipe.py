"""Recipes beyond the default: conditions on steps, the inputs' own signals, other sources."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest

from corpus.build import Input, build, carried_signals
from corpus.cli import command
from corpus.recipe import load_recipe, recipe_for, shipped
from workbench import manifest
from workbench.errors import ConfigError

from .made import prose

RECIPE = """
name: own
steps:
  - normalise: {when: source <> 'books'}
  - normalise: {when: source = 'books', keep_layout: true}
  - shape
  - language
  - gate: {stage: rules, reject: {toxic: toxicity > 0.5, short: chars < 5}}
  - perplexity: {reference_chars: 3000, order: 2}
  - bucket
"""


def write(tmp_path: Path) -> tuple[list[Input], str]:
    rng = random.Random(3)
    rows = [{"id": f"d{n}", "text": prose(rng, 4), "toxicity": n / 10, "label": "新闻"} for n in range(10)]
    src = tmp_path / "data.jsonl"
    src.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return [Input("jsonl", src)], str(tmp_path / "recipe.yaml")


def kept(out: Path) -> pl.DataFrame:
    return pl.concat(
        [pl.read_parquet(file, hive_partitioning=False) for file in sorted(out.rglob("kept/**/*.parquet"))]
    )


def test_a_column_of_the_input_is_a_signal(tmp_path: Path) -> None:
    inputs, path = write(tmp_path)
    with pytest.raises(ConfigError, match="toxicity"):
        load_recipe(path)  # nothing brings it
    recipe = load_recipe(path, carried=carried_signals(inputs))
    results = build(inputs, recipe, tmp_path / "out", workers=1)
    assert results["kept"] == 6
    rows = kept(tmp_path / "out")
    assert rows["toxicity"].max() == 0.5
    assert rows["label"].unique().to_list() == ["新闻"]


def test_a_step_is_for_the_documents_that_its_condition_names(tmp_path: Path) -> None:
    inputs, path = write(tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text(
        "第一章 开始\n\n    缩进的一行，留着不动。\n" + prose(random.Random(4)), encoding="utf-8"
    )
    inputs = [*inputs, Input("books", tmp_path / "text")]
    recipe = load_recipe(path, carried=carried_signals(inputs))
    build(inputs, recipe, tmp_path / "out", workers=1)
    rows = kept(tmp_path / "out")
    assert set(rows["source"]) == {"jsonl", "books"}
    assert rows["normalised_chars"].null_count() == 0


def test_options_of_a_source_on_the_command_line(tmp_path: Path) -> None:
    src = tmp_path / "data.jsonl"
    src.write_text(json.dumps({"k": "1", "正文": prose(random.Random(1))}, ensure_ascii=False) + "\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text(RECIPE.replace("toxic: toxicity > 0.5, ", ""), encoding="utf-8")
    words = ["build", "--src", f"jsonl={src}", "--recipe", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "out")]
    assert command([*words, "--set", "jsonl.text=正文", "--workers", "1"]) == 0
    assert kept(tmp_path / "out").height == 1
    with pytest.raises(ConfigError, match="did you mean jsonl"):
        command([*words, "--set", "jsnol.text=正文"])


def test_resources_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    inputs, path = write(tmp_path)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "spam.txt").write_text("推广链接\n", encoding="utf-8")
    Path(path).write_text(RECIPE + f"  - sensitive: {{lists: '{lists}', reference_chars: 2000}}\n", encoding="utf-8")
    recipe = load_recipe(path, carried=carried_signals(inputs))
    build(inputs, recipe, tmp_path / "one", workers=1)
    (lists / "spam.txt").write_text("推广链接\n别的词\n", encoding="utf-8")
    build(inputs, recipe, tmp_path / "two", workers=1)
    marks = {manifest.read(tmp_path / name, "corpus", "").fingerprint for name in ("one", "two")}
    assert len(marks) == 2


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_runs(tmp_path: Path, name: str) -> None:
    inputs, _ = write(tmp_path)
    results = build(inputs, load_recipe(name), tmp_path / "out", workers=1)
    assert results["kept"] + results["rejected"] == 10


def test_a_recipe_for_the_sources(tmp_path: Path) -> None:
    assert recipe_for(["wudao", "books"]) == "zh-web"
    assert recipe_for(["openwebtext"]) == "en-web"
    assert recipe_for(["code"]) == "code"
    assert recipe_for(["wudao", "code"]) == recipe_for(["openwebtext", "jsonl"]) == "mixed"


def test_mixed_takes_each_document_by_its_language(tmp_path: Path) -> None:
    rng = random.Random(8)
    english = (
        "They wrote to the editor of the paper and asked him to have the story printed with the names of all who "
        "were there. He said that it would be done when the week was over, and that nobody should worry about it."
    )
    texts = [
        *({"id": f"zh{n}", "text": prose(rng)} for n in range(5)),
        {"id": "en", "text": english},
        {"id": "en-short", "text": "Too short to be of use."},
        {"id": "zh-short", "text": "太短了。"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in texts), "utf-8")
    (tmp_path / "repo").mkdir()
    code = 'def area(width, height):\n    """Return Ａ."""\n    return width * height\n'
    (tmp_path / "repo" / "area.py").write_text(code, encoding="utf-8")
    words = ["build", "--src", f"jsonl={tmp_path / 'a.jsonl'}@2", "--src", f"code={tmp_path / 'repo'}"]
    assert command([*words, "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert manifest.read(tmp_path / "out", "corpus", "").config["name"] == "mixed"
    rows = {row["id"].rpartition("/")[2]: row for row in kept(tmp_path / "out").to_dicts()}
    assert {name: row["lang"] for name, row in rows.items()} == {
        **{f"zh{n}": "zh" for n in range(5)},
        "en": "en",
        "area.py": "code",
    }
    assert rows["area.py"]["text"].rstrip("\n") == code.rstrip("\n")  # neither layout nor full-width letters change
    assert (rows["en"]["weight"], rows["area.py"]["weight"]) == (2, 1)
    gone = pl.read_parquet(tmp_path / "out" / "rejected" / "*.parquet")
    assert set(gone["reason"]) == {"short"}
    assert sorted(detail.partition("=")[0] for detail in gone["detail"]) == ["chars", "words"]
