from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kenlm
import polars as pl
import pytest
import xxhash

from corpus.build import Input, build
from corpus.cli import command
from corpus.cli_models import bytes_of
from corpus.ngram import estimate, spaced
from corpus.recipe import load_recipe
from workbench.errors import ConfigError, InputError, OutputError

from ..made import mixed, prose, write_wudao

lmplz = pytest.mark.skipif(shutil.which("lmplz") is None, reason="KenLM's lmplz is not on the PATH")
build_binary = pytest.mark.skipif(shutil.which("build_binary") is None, reason="build_binary is not on the PATH")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    rng = random.Random(3)
    path = tmp_path / "text.txt"
    path.write_text("".join(prose(rng, 4) + "\n" for _ in range(300)), encoding="utf-8")
    return path


def made(out: Path, *words: object) -> dict[str, Any]:
    assert command(["lm", "train", "--binary", "none", "--out", str(out), *map(str, words)]) == 0
    record: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    return record


def kenlm_perplexity(model: Path, texts: Sequence[str]) -> float:
    loaded = kenlm.Model(str(model))
    total = sum(loaded.score(spaced(text)) for text in texts)
    return float(10 ** (-total / sum(len(spaced(text).split()) + 1 for text in texts)))


def is_trained(line: str) -> bool:
    """The rule of the split, written out: a share of 0.1 by xxh3 of the spaced text."""
    return xxhash.xxh3_64_intdigest(" ".join(line).encode()) >= int(0.1 * 2**64)


def test_a_model_of_text_files(tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.arpa"
    record = made(out, "--text", text, "--held-out-share", 0.1)
    lines = text.read_text(encoding="utf-8").splitlines()
    found = record["results"]
    held = found["held_out"]
    assert found["documents"] + held["documents"] == 300
    assert 10 < held["documents"] < 60
    assert found["tokens"] - found["documents"] + held["characters"] == sum(map(len, lines))
    assert (record["kind"], record["config"]["prune"]) == ("ngram", [0, 0, 1, 1, 1])
    assert record["inputs"][0]["path"] == str(text)
    assert [one["path"] for one in record["files"]] == ["m.arpa"]
    said = capsys.readouterr().out
    assert f"perplexity {held['perplexity']:.4f} a character" in said
    assert "peak memory" in said
    # the model is the estimator's of the other documents, the perplexity KenLM's of those held out
    trained = [line for line in lines if is_trained(line)]
    estimate(trained, 5, (0, 0, 1)).write_arpa(tmp_path / "own.arpa")
    assert (tmp_path / "own.arpa").read_bytes() == out.read_bytes()
    others = [line for line in lines if line not in set(trained)]
    assert held["perplexity"] == pytest.approx(kenlm_perplexity(out, others), rel=1e-6)


def test_the_same_command_has_nothing_to_do_and_another_is_refused(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.arpa"
    words = ["lm", "train", "--text", str(text), "--order", "3", "--binary", "none", "--out", str(tmp_path / "m")]
    command(words)
    first, said = out.read_bytes(), capsys.readouterr().out
    command(words)
    again = capsys.readouterr()
    assert again.out == said
    assert "nothing to do" in again.err
    with pytest.raises(OutputError, match="other inputs or settings"):
        command([*words, "--prune", "0"])
    command([*words, "--prune", "0", "--overwrite"])
    assert len(out.read_bytes()) > len(first)
    out.write_bytes(b"damaged")
    with pytest.raises(OutputError):
        command([*words, "--prune", "0"])
    command([*words, "--overwrite"])
    assert out.read_bytes() == first


def test_nothing_of_another_program_is_overwritten(tmp_path: Path, text: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"somebody's classifier")
    with pytest.raises(OutputError, match="without a record of ours"):
        command(["lm", "train", "--text", str(text), "--out", str(tmp_path / "m.arpa")])
    assert (tmp_path / "m.bin").read_bytes() == b"somebody's classifier"
    assert not (tmp_path / "m.arpa").exists()


def test_a_model_of_a_corpus_judges_the_next_build(tmp_path: Path, corpus: Path) -> None:
    out = tmp_path / "m.arpa"
    record = made(out, "--corpus", corpus, "--where", "domain = '新闻' and bucket <> 'tail'", "--held-out-share", 0)
    kept = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    expected = kept.filter((pl.col("domain") == "新闻") & (pl.col("bucket") != "tail"))
    assert record["results"]["documents"] == len(expected) > 0
    assert record["results"]["held_out"]["perplexity"] is None
    entry = record["inputs"][0]
    manifest = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))
    assert (entry["path"], entry["fingerprint"]) == (str(corpus), manifest["fingerprint"])
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"steps: [shape, language, perplexity: {{model: {out}}}, bucket]\n", encoding="utf-8")
    build(
        [Input("wudao", write_wudao(tmp_path / "src", mixed(40)))], load_recipe(str(recipe)), tmp_path / "b", workers=1
    )
    rows = pl.read_parquet(tmp_path / "b" / "kept" / "*" / "*.parquet", hive_partitioning=False)
    for row in rows.head(5).iter_rows(named=True):
        assert row["perplexity"] == pytest.approx(kenlm_perplexity(out, [row["text"]]), rel=1e-5)


def test_held_out_documents_that_are_named(tmp_path: Path, text: Path) -> None:
    rng = random.Random(9)
    new = [prose(rng, 4) for _ in range(5)]
    old = text.read_text(encoding="utf-8").splitlines()[:2]
    (tmp_path / "dev.txt").write_text("\n".join([*new, *old, old[0]]) + "\n", encoding="utf-8")
    record = made(tmp_path / "m.arpa", "--text", text, "--held-out", tmp_path / "dev.txt", "--order", 3)
    held = record["results"]["held_out"]
    assert record["results"]["documents"] == 300
    assert (held["documents"], held["also_in_training"]) == (5, 3)
    assert held["perplexity"] == pytest.approx(kenlm_perplexity(tmp_path / "m.arpa", new), rel=1e-6)


def test_unknown_characters_are_counted(tmp_path: Path, text: Path) -> None:
    (tmp_path / "dev.txt").write_text("老师写下了魑魅魍魉\n", encoding="utf-8")
    record = made(tmp_path / "m.arpa", "--text", text, "--held-out", tmp_path / "dev.txt", "--order", 2)
    assert record["results"]["held_out"]["unknown_characters"] == 4


def test_little_memory_gives_the_same_bytes(tmp_path: Path, text: Path) -> None:
    made(tmp_path / "a.arpa", "--text", text)
    made(tmp_path / "b.arpa", "--text", text, "--memory", "70000", "--scratch", tmp_path)
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()


@pytest.mark.parametrize(
    ("words", "error", "found"),
    [
        (["--order", "6"], ConfigError, "--order"),
        (["--prune", "1"], ConfigError, "prune"),
        (["--held-out-share", "1.5"], ConfigError, "--held-out-share"),
        (["--memory", "viel"], ConfigError, "--memory viel: is no size"),
        (["--memory", "1K"], ConfigError, "--memory"),
        (["--held-out-share", "0.1", "--held-out", "x"], ConfigError, "keep one"),
        (["--where", "domian = 'x'"], ConfigError, "no such column"),
        (["--where", "text = 'x'"], InputError, "no document satisfies"),
        (["--corpus", "."], ConfigError, "is no built corpus"),
    ],
)
def test_mistakes(tmp_path: Path, text: Path, words: list[str], error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        command(["lm", "train", "--text", str(text), "--out", str(tmp_path / "m"), *words])
    assert not (tmp_path / "m.arpa").exists()


def test_no_text_and_no_programs(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no text is named"):
        command(["lm", "train", "--out", str(tmp_path / "m")])
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["lm", "train", "--text", str(text), "--order", "2", "--out", str(tmp_path / "m")]
    with pytest.raises(ConfigError, match="--with lmplz: lmplz is not on the PATH"):
        command([*words, "--with", "lmplz"])
    with pytest.raises(ConfigError, match="build_binary is not on the PATH"):
        command([*words, "--binary", "trie"])
    command(words)  # without being asked for, the binary is not missed
    assert not (tmp_path / "m.bin").exists()


def test_sizes() -> None:
    assert [bytes_of(word) for word in ("2GB", "512m", "1.5 GiB", "70000")] == [2 << 30, 512 << 20, 3 << 29, 70_000]


def test_help_is_light() -> None:
    code = (
        "import sys, corpus.cli; corpus.cli.parser(); "
        "print(sorted({'numba', 'polars', 'kenlm', 'fasttext', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@lmplz
@pytest.mark.parametrize("prune", [("0",), ("0", "0", "1")])
def test_lmplz_gives_the_same_file_and_figures(tmp_path: Path, text: Path, prune: tuple[str, ...]) -> None:
    words = ("--text", text, "--held-out-share", 0.1, "--prune", *prune)
    own, theirs = made(tmp_path / "a.arpa", *words), made(tmp_path / "b.arpa", *words, "--with", "lmplz")
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()
    for name in ("documents", "tokens", "characters", "ngrams", "ngrams_before_pruning", "fallback_orders", "held_out"):
        assert own["results"][name] == theirs["results"][name], name
    for ours, other in zip(own["results"]["discounts"], theirs["results"]["discounts"], strict=True):
        assert ours == pytest.approx(other, rel=1e-4)
    with pytest.raises(OutputError, match="lmplz failed"):
        command(
            [
                "lm",
                "train",
                "--text",
                str(text),
                "--with",
                "lmplz",
                "--scratch",
                "/nowhere",
                "--out",
                str(tmp_path / "c"),
            ]
        )


@lmplz
def test_lmplz_on_real_text(tmp_path: Path, shared: Path) -> None:
    with tarfile.open(shared / "data" / "zh_news__xinwenlianbo-2024.tar.xz") as archive:
        archive.extractall(tmp_path / "news", filter="data")
    words = ("--text", tmp_path / "news", "--document", "paragraph", "--held-out-share", 0.05)
    own, theirs = made(tmp_path / "a.arpa", *words), made(tmp_path / "b.arpa", *words, "--with", "lmplz")
    ours, other = (one["results"]["held_out"]["perplexity"] for one in (own, theirs))
    assert ours == pytest.approx(other, rel=1e-3)
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()


@build_binary
@pytest.mark.parametrize(("form", "tolerance"), [("probing", 1e-6), ("trie", 0.02)])
def test_the_binary_scores_as_the_text_does(tmp_path: Path, text: Path, form: str, tolerance: float) -> None:
    out = tmp_path / "m.arpa"
    command(["lm", "train", "--text", str(text), "--held-out-share", "0.1", "--binary", form, "--out", str(out)])
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [one["path"] for one in record["files"]] == ["m.arpa", "m.bin"]
    held = [line for line in text.read_text(encoding="utf-8").splitlines() if not is_trained(line)]
    assert kenlm_perplexity(tmp_path / "m.bin", held) == pytest.approx(kenlm_perplexity(out, held), rel=tolerance)
