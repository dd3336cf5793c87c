from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import fasttext
import polars as pl
import pytest

from corpus.build import Input, build
from corpus.cli import command
from corpus.models.classify import split
from corpus.models.heldout import is_held_out, text_keys
from corpus.recipe import load_recipe
from workbench.errors import ConfigError, InputError, OutputError

from ..made import mixed, prose, write_wudao


@pytest.fixture
def rows(tmp_path: Path, labelled: list[tuple[str, str]]) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in labelled]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def made(out: Path, *words: object) -> dict[str, Any]:
    assert command(["classifier", "train", *map(str, words), "--epochs", "10", "--out", str(out)]) == 0
    record: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    return record


def digests(folder: Path) -> dict[str, str]:
    return {file.suffix: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_a_model_its_figures_and_the_same_bytes_again(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made(tmp_path / "a" / "q.bin", rows)
    said = capsys.readouterr().out
    monkeypatch.setenv("MALLOC_PERTURB_", "165")  # would change what fastText trains, if it came through
    made(tmp_path / "b" / "q.bin", rows)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert sorted(digests(tmp_path / "a")) == [".bin", ".json"]
    found = record["results"]
    assert sum(n for sides in found["labels"].values() for n in sides.values()) == 240
    held_out = found["held_out"]["bin"]
    assert held_out["auc"] > 0.99
    assert sum(one["documents"] for one in held_out["calibration"]) == held_out["documents"]
    for shown in (
        "precision",
        "calibration of positive",
        "expected calibration error",
        "most telling n-grams",
    ):
        assert shown in said
    # the figures are of the model in the file, on the documents that the hash holds out
    model = fasttext.load_model(str(tmp_path / "a" / "q.bin"))
    texts = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    spaced = [" ".join(one["text"]) for one in texts]
    held = [n for n, out in enumerate(is_held_out(text_keys(spaced), 0.2)) if out]
    given, _ = model.predict([spaced[n] for n in held], k=1)
    right = sum(names[0] == f"__label__{texts[n]['label']}" for names, n in zip(given, held, strict=True))
    assert held_out["accuracy"] == pytest.approx(right / len(held))


@pytest.mark.slow
def test_the_quantised_model_is_the_same_every_time(tmp_path: Path, rows: Path) -> None:
    for name in ("a", "b"):
        found = made(tmp_path / name / "q.bin", rows, "--quantize")["results"]["held_out"]
        assert found["ftz"]["auc"] > 0.99
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert sorted(digests(tmp_path / "a")) == [".bin", ".ftz", ".json"]
    sizes = {suffix: (tmp_path / "a" / f"q{suffix}").stat().st_size for suffix in (".bin", ".ftz")}
    assert sizes[".ftz"] < sizes[".bin"] / 5


def test_weak_labels_of_text_and_a_corpus_make_a_model_for_a_recipe(tmp_path: Path, corpus: Path) -> None:
    rng = random.Random(4)
    advertisements = [f"注册送{rng.randrange(8, 888)}元，加微信{rng.randrange(10**6)}，" * 3 for _ in range(150)]
    (tmp_path / "ads.txt").write_text("\n".join(advertisements), encoding="utf-8")
    out = tmp_path / "q.bin"
    where = ("--positive-where", "domain = '新闻'")
    record = made(out, "--positive", corpus, *where, "--negative", tmp_path / "ads.txt")
    kept = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    assert sum(record["results"]["labels"]["positive"].values()) == len(kept.filter(domain="新闻"))
    assert [one["label"] for one in record["inputs"]] == ["positive", "negative"]
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"steps: [shape, language, perplexity, quality: {{model: {out}}}, bucket]\n", encoding="utf-8")
    build(
        [Input("wudao", write_wudao(tmp_path / "src", mixed(40)))], load_recipe(str(recipe)), tmp_path / "b", workers=1
    )
    scored = pl.read_parquet(tmp_path / "b" / "kept" / "*" / "*.parquet", hive_partitioning=False)
    assert scored.filter(pl.col("chars") > 50)["quality"].min() > 0.5


def test_any_labels_chosen_and_renamed(tmp_path: Path, labelled: list[tuple[str, str]]) -> None:
    names = {"positive": "优", "negative": "差"}
    rows = [(text, names[label]) for text, label in labelled] + [
        ("无关的一句话而已。", "丙"),
        ("  ", "优"),
        ("未标", ""),
    ]
    pl.DataFrame(rows, schema=["正文", "等级"], orient="row").write_csv(tmp_path / "a.csv")
    columns = ("--text", "正文", "--label", "等级")
    record = made(tmp_path / "a.bin", tmp_path / "a.csv", *columns, "--labels", "优=positive,差=rough")
    assert set(record["results"]["labels"]) == {"positive", "rough"}
    assert record["results"]["not_used"] == {
        "label 丙 is not asked for": {"count": 1, "first": [f"a.csv@{_offset(tmp_path / 'a.csv', '无关')}"]},
        "no character": {"count": 1, "first": [f"a.csv@{_offset(tmp_path / 'a.csv', '  ,优')}"]},
        "no label": {"count": 1, "first": [f"a.csv@{_offset(tmp_path / 'a.csv', '未标')}"]},
    }
    assert record["results"]["held_out"]["bin"]["calibration_of"] == "positive"


def _offset(path: Path, begin: str) -> int:
    return path.read_bytes().index(begin.encode())


def test_more_than_two_labels(tmp_path: Path) -> None:
    rng = random.Random(6)
    kinds = {"news": "记者报道", "novel": "他笑着说道", "law": "第一条规定"}
    lines = [f"__label__{kind} {' '.join(word + prose(rng, 1))}\n" for kind, word in kinds.items() for _ in range(40)]
    (tmp_path / "a.txt").write_text("".join(lines), encoding="utf-8")
    found = made(tmp_path / "a.bin", tmp_path / "a.txt")["results"]["held_out"]["bin"]
    assert [one["label"] for one in found["labels"]] == ["law", "news", "novel"]
    assert found["auc"] is None
    assert found["calibration_of"] == "the label given"


def test_near_duplicates_stay_on_one_side() -> None:
    rng = random.Random(8)
    texts, labels = [], []
    for n in range(60):
        base = prose(rng, 12)
        texts += [base, base[:-2] + "完。", base[:60] + "补" + base[60:]]
        labels += ["a" if n % 2 else "b"] * 3
    spaced = [" ".join(text) for text in texts]
    frame = pl.DataFrame({"text": spaced, "label": labels, "key": text_keys(spaced)})
    found = split(frame, 0.3)
    sides = found.held_out.reshape(-1, 3)
    assert (sides == sides[:, :1]).all()
    assert 5 < sides[:, 0].sum() < 35
    assert (found.clusters, found.disputed) == (60, 0)
    alone = is_held_out(text_keys(spaced), 0.3).reshape(-1, 3)
    assert (alone != alone[:, :1]).any()  # by the hash of each text alone, they would not


def test_documents_with_two_labels_are_counted() -> None:
    rng = random.Random(8)
    texts = [" ".join(prose(rng, 3)) for _ in range(40)]
    frame = pl.DataFrame({"text": texts + texts[:5], "label": ["a", "b"] * 20 + ["b", "a"] * 2 + ["b"]})
    found = split(frame.with_columns(key=text_keys(frame["text"].to_list())), 0.3)
    assert (found.clusters, found.disputed) == (5, 5)


def test_which_of_too_many_are_taken_does_not_depend_on_the_order(tmp_path: Path, rows: Path) -> None:
    record = made(tmp_path / "a.bin", rows, "--most", 100)
    assert all(sum(sides.values()) == 100 for sides in record["results"]["labels"].values())
    assert record["results"]["not_used"]["more than 100 of a label (--most)"]["count"] == 40
    lines = rows.read_text(encoding="utf-8").splitlines(keepends=True)
    rows.write_text("".join(reversed(lines)), encoding="utf-8")
    again = made(tmp_path / "b.bin", rows, "--most", 100)
    assert again["results"]["labels"] == record["results"]["labels"]


def test_the_same_command_has_nothing_to_do(tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "a.bin", rows)
    capsys.readouterr()
    made(tmp_path / "a.bin", rows)
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(OutputError, match="other inputs or settings"):
        made(tmp_path / "a.bin", rows, "--read-chars", 20)


@pytest.mark.parametrize(
    ("words", "error", "found"),
    [
        (["--held-out-share", "0"], ConfigError, "--held-out-share"),
        (["--read-chars", "1"], ConfigError, "--read-chars"),
        (["--labels", ","], ConfigError, "names no label"),
        (["--labels", "positive"], InputError, r"there is one label \(positive\)"),
        (["--labels", "good"], InputError, "there is no labelled document"),
        (["--labels", "positive=so gut,negative"], ConfigError, "has a space"),
        (["--label", "lable"], InputError, "did you mean label"),
        (["--held-out-share", "0.001"], InputError, "0 held-out documents"),
    ],
)
def test_mistakes(tmp_path: Path, rows: Path, words: list[str], error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        made(tmp_path / "a.bin", rows, *words)
    assert not (tmp_path / "a.bin").exists()


def test_nothing_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no document is named"):
        made(tmp_path / "a.bin")
