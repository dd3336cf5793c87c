from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from corpus import build as story
from corpus.build import Input, build
from corpus.cli import command
from corpus.engine.store import Store
from corpus.inspect import rejected, show
from corpus.recipe import load_recipe, shipped
from workbench import manifest
from workbench.errors import ConfigError, InputError, OutputError, UserError

from .made import mixed, prose, record, write_wudao

RECIPE = """
name: test
steps:
  - normalise
  - boilerplate
  - private
  - shape
  - language
  - gate: {stage: rules, reject: {short: chars < 20}}
  - fingerprint
  - exact
  - gate: {stage: exact, duplicate_of: exact_of, detail: [], reject: {exact_duplicate: exact_of is not null}}
  - minhash
  - near
  - gate: {stage: near, duplicate_of: near_of, detail: [near_jaccard], reject: {near_duplicate: near_of is not null}}
  - perplexity: {reference_chars: 20000, order: 3}
  - quality: {reference_domains: [新闻], sample_chars: 20000, min_examples: 10}
  - bucket: {min_documents: 20}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


def parquet(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in sorted(folder.rglob("*.parquet"))])


def digests(out: Path) -> dict[str, str]:
    files = [*sorted((out / "kept").rglob("*.parquet")), *sorted((out / "rejected").rglob("*.parquet"))]
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def make(tmp_path: Path, recipe: str, records: list[dict[str, Any]], name: str = "out", workers: int = 1) -> Path:
    src = write_wudao(tmp_path / "src", records)
    build([Input("wudao", src)], load_recipe(recipe), tmp_path / name, workers=workers)
    return tmp_path / name


def test_every_record_is_kept_or_rejected_with_its_reason(tmp_path: Path, recipe: str) -> None:
    records = mixed()
    out = make(tmp_path, recipe, records)
    kept, gone = parquet(out / "kept"), parquet(out / "rejected")
    assert sorted([*kept["id"], *gone["id"]]) == sorted(f"wudao/{r['uniqueKey']}" for r in records)
    counts = dict(gone.group_by("reason").len().iter_rows())
    assert counts == {"exact_duplicate": 5, "near_duplicate": 5, "short": 3}
    assert gone.filter(pl.col("reason") == "short")["duplicate_of"].null_count() == 3
    for row in gone.filter(pl.col("duplicate_of").is_not_null()).iter_rows(named=True):
        assert row["duplicate_of"] in set(kept["id"])
    assert not any("1380013800" in text for text in kept["text"])
    assert kept["bucket"].is_in(["head", "middle", "tail"]).all()
    assert kept["perplexity"].null_count() == 0
    assert kept["quality"].is_between(0, 1).all()
    assert set(kept.columns) < set(gone.columns)
    for file in (out / "kept").rglob("*.parquet"):
        assert file.parent.name == f"bucket={pl.read_parquet(file, hive_partitioning=False)['bucket'][0]}"


def test_manifest_accounts_for_every_row_and_file(tmp_path: Path, recipe: str) -> None:
    out = make(tmp_path, recipe, mixed())
    made = manifest.read(out, "corpus", "corpus build")
    rows = [step["rows_in"] for step in made.steps]
    for before, after in zip(made.steps, made.steps[1:], strict=False):
        assert after["rows_in"] == before["rows_out"]
    assert rows[0] == made.results["records"] == 215
    assert made.steps[-1]["rows_out"] == made.results["kept"]
    on_disk = digests(out)
    assert {file["path"]: file["sha256"] for file in made.files} == on_disk
    assert sum(file["rows"] for file in made.files) == 215
    assert len(made.inputs) == 4
    assert not (out / "work").exists()
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["kept"]["documents"] == made.results["kept"]
    assert {reason["reason"] for reason in report["reasons"]} == {"exact_duplicate", "near_duplicate", "short"}


def test_the_number_of_workers_changes_nothing(tmp_path: Path, recipe: str) -> None:
    records = mixed(120)
    one, two = make(tmp_path, recipe, records, "one"), make(tmp_path, recipe, records, "two", workers=2)
    assert digests(one) == digests(two)
    reports = [json.loads((out / "report.json").read_text(encoding="utf-8")) for out in (one, two)]
    for part in ("ledger", "reasons", "samples", "signals", "by_domain"):
        assert reports[0][part] == reports[1][part]


def test_an_interrupted_build_goes_on_and_ends_the_same(
    tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = mixed(150)
    whole = digests(make(tmp_path, recipe, records, "whole"))
    written = Store.write
    for stop_after in (1, 2, 3, 4):  # ten of the twelve files
        left = iter(range(stop_after))

        def write(self: Store, number: int, shard: str, columns: pl.DataFrame, account: Any, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            written(self, number, shard, columns, account)

        monkeypatch.setattr(Store, "write", write)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path, recipe, records, "broken")
        assert (tmp_path / "broken" / manifest.UNFINISHED).exists()
    monkeypatch.setattr(Store, "write", written)
    assert digests(make(tmp_path, recipe, records, "broken")) == whole


def test_the_same_command_again_does_nothing(
    tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = mixed(60)
    out = make(tmp_path, recipe, records)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}

    def never(*arguments: object) -> None:
        raise AssertionError("nothing is to be read again")

    monkeypatch.setattr(story, "read_span", never)
    make(tmp_path, recipe, records)
    assert "nothing to do" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()} == before


def test_other_inputs_do_not_overwrite_a_corpus(tmp_path: Path, recipe: str) -> None:
    make(tmp_path, recipe, mixed(60))
    with pytest.raises(OutputError, match="--overwrite"):
        make(tmp_path, recipe, mixed(61))


def test_unreadable_records_are_counted_and_the_build_goes_on(tmp_path: Path, recipe: str) -> None:
    src = write_wudao(tmp_path / "src", mixed(60))
    (src / "part-900.json").write_bytes(b"")
    (src / "part-901.json").write_text('[{"uniqueKey": "x", "content": "没有结束', encoding="utf-8")
    (src / "part-902.json").write_text('[{"uniqueKey": "y", "title": "没有正文"}]', encoding="utf-8")
    (src / "part-903.json").write_bytes(b'[{"uniqueKey": "z", "content": "\xff"}]')
    results = build([Input("wudao", src)], load_recipe(recipe), tmp_path / "out", workers=1)
    told = {Path(entry["file"]).name: entry["cause"] for entry in results["unreadable_records"]}
    assert results["records"] == 75
    assert told["part-900.json"] == "empty file"
    assert "truncated" in told["part-901.json"]
    assert told["part-902.json"] == "no content"
    assert "invalid UTF-8" in told["part-903.json"]
    assert "part-903.json" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_empty_content_is_rejected_as_short(tmp_path: Path, recipe: str) -> None:
    out = make(tmp_path, recipe, [*mixed(60), record(9, "")])
    gone = parquet(out / "rejected")
    assert gone.filter(pl.col("id").str.ends_with(f"{9:032x}"))["reason"].to_list() in (["short"], ["short", "short"])


def test_hostile_text_is_inert_in_the_report(tmp_path: Path, recipe: str) -> None:
    hostile = "</div><script>alert(1)</script>" + "很长的文字，" * 3
    out = make(tmp_path, recipe, [*mixed(40), record(77, "短<img src=x onerror=alert(1)>", title=hostile)])
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("prepare", "kind", "told"),
    [
        (lambda src: None, InputError, "no such folder"),
        (lambda src: src.mkdir(), InputError, "holds no part"),
        (lambda src: (src.mkdir(), (src / "part-0.json").write_bytes(b"")), InputError, "empty file"),
        (lambda src: (src.mkdir(), (src / "part-0.json").write_text("[]")), InputError, "no record was found"),
        (lambda src: (src.mkdir(), (src / "part-0.json").write_text("hello")), InputError, "not JSON"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, recipe: str, prepare: Any, kind: type[UserError], told: str) -> None:
    prepare(tmp_path / "src")
    with pytest.raises(kind) as caught:
        build([Input("wudao", tmp_path / "src")], load_recipe(recipe), tmp_path / "out", workers=1)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_an_output_folder_of_something_else_is_left_alone(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty"):
        make(tmp_path, recipe, mixed(60))
    assert (tmp_path / "out" / "thesis.tex").read_text(encoding="utf-8") == "mine"


def test_cli_words(tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    src = write_wudao(tmp_path / "src", mixed(60))
    out = tmp_path / "out"
    assert command(["build", "--src", f"wudao={src}", "--recipe", recipe, "--out", str(out), "--workers", "1"]) == 0
    assert "75 records" in capsys.readouterr().out
    assert command(["rejected", str(out)]) == 0
    assert "near_duplicate" in capsys.readouterr().out
    assert command(["rejected", str(out), "--reason", "short", "--n", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["detail"] == "chars=2"
    assert command(["show", str(out), f"{3000:032x}"]) == 0
    assert "暂无" in capsys.readouterr().out
    assert command(["report", str(out)]) == 0
    assert "gate-rules" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="did you mean wudao"):
        command(["build", "--src", "wudoa"])
    with pytest.raises(ConfigError, match="--workers"):
        command(["build", "--src", "wudao", "--workers", "0"])
    with pytest.raises(ConfigError, match="did you mean short"):
        rejected(out, "shrot", 3, as_json=False)
    with pytest.raises(InputError, match="0 documents"):
        show(out, "nothing")


def test_a_corpus_loads_as_a_dataset(tmp_path: Path, recipe: str) -> None:
    datasets = pytest.importorskip("datasets")
    out = make(tmp_path, recipe, mixed(60))
    kept = parquet(out / "kept")
    files = [str(file) for file in sorted((out / "kept").rglob("*.parquet"))]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["id"]) == sorted(kept["id"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nsteps: []\n", "has no steps"),
        ("name: x\nsteps: [normalize]\n", "did you mean normalise?"),
        ("name: x\nsteps: [{normalise: {keep_layuot: true}}]\n", "did you mean keep_layout?"),
        ("name: x\nsteps: [{gate: {stage: rules, reject: {short: chars < 20}}}]\n", "put - shape before it"),
        ("name: x\nsteps: [shape, {gate: {stage: rules, reject: {short: chars <}}}]\n", "is not SQL"),
        ("name: x\nstep: []\n", "did you mean steps?"),
        ("name: x\nsteps: [[1]]\n", "is not a step"),
        ("name: x\nsteps: [shape]\n", "no step writes bucket"),
    ],
)
def test_a_recipe_is_checked_whole_before_a_row_is_read(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert told in str(caught.value)


def test_shipped_recipes_are_whole() -> None:
    assert "zh-web" in shipped()
    for name in shipped():
        assert load_recipe(name).passes >= 4
    with pytest.raises(ConfigError, match="did you mean zh-web"):
        load_recipe("zh-wbe")


def test_documents_are_scored_by_the_model_of_the_other_half(tmp_path: Path, recipe: str) -> None:
    """A text that is in the reference twice over must not be scored by a model that has seen it."""
    import random

    rng = random.Random(5)
    strange = "鼍鼋蠹魑魅魍魉饕餮貔貅" * 8
    out = make(tmp_path, recipe, [*(record(n, prose(rng)) for n in range(80)), record(500, strange)])
    kept = parquet(out / "kept")
    row = kept.filter(pl.col("id").str.ends_with(f"{500:032x}"))
    assert row["perplexity"][0] > 20 * kept["perplexity"].median()  # type: ignore[operator]


def test_plan_reads_nothing_and_says_everything(
    tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_wudao(tmp_path / "src", mixed(60))
    words = ["plan", "--src", f"wudao={src}", "--recipe", recipe, "--out", str(tmp_path / "out")]
    assert command([*words, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["sources"][0]["files"] == 2
    assert made["passes"] == load_recipe(recipe).passes
    assert [step["step"] for step in made["steps"]] == [step.label for step in load_recipe(recipe).steps]
    assert command(words) == 0
    assert "nothing was read" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_diff_shows_what_another_threshold_changes(
    tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [*mixed(60), record(8000, "这一句话刚好超过二十个字，因此第一个配方会留下它。")]
    one = make(tmp_path, recipe, records, "one")
    other = tmp_path / "other.yaml"
    other.write_text(RECIPE.replace("chars < 20", "chars < 30"), encoding="utf-8")
    two = make(tmp_path, str(other), records, "two")
    assert command(["diff", str(one), str(two), "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)
    assert (change["verdict"], change["verdict_two"], change["documents"]) == ("kept", "rules:short", 1)
    assert change["examples"][0]["id"].endswith(f"{8000:032x}")
    assert command(["diff", str(one), str(one)]) == 0
