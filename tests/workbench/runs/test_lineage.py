import json
import shutil

import pytest

from tests.train.test_pt import run
from train.cli import command
from workbench.errors import InputError
from workbench.lineage import chain


@pytest.fixture(scope="module")
def made(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lineage")
    first = folder / "first"
    run(toy, first, "steps=1")
    second = folder / "second"
    run(toy, second, "steps=1", f"model.weights={first}")
    return first, second


def test_from_the_run_to_the_raw_file_each_folder_once(toy, made):
    entries = chain(made[0])
    assert [(e["depth"], e["kind"]) for e in entries] == [(0, "run"), (1, "tokens"), (2, "corpus"), (2, "tokenizer")]
    corpus = entries[2]
    assert corpus["what"] == "kept 120 of 123 records, 3 rejected with a reason"
    assert corpus["raw_files"] == 1
    assert corpus["raw_bytes"] == (toy / "corpus.jsonl").stat().st_size
    assert "320 pieces" in entries[3]["what"]


def test_a_run_made_of_a_run(made):
    assert [e["kind"] for e in chain(made[1])] == ["run", "tokens", "corpus", "tokenizer", "run"]
    assert chain(made[1])[-1]["folder"] == str(made[0])


def test_the_table_and_json(made, capsys):
    assert command(["lineage", str(made[0])]) == 0
    out = capsys.readouterr().out
    assert "└─ 1 file" in out
    assert "bits per byte" in out
    assert command(["lineage", "--json", str(made[0])]) == 0
    assert len(json.loads(capsys.readouterr().out)["lineage"]) == 4


def test_what_is_gone_is_said(made, tmp_path, capsys):
    other = tmp_path / "run"
    shutil.copytree(made[0], other)
    text = (other / "manifest.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    raw["inputs"][1]["path"] = str(tmp_path / "nowhere")
    (other / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    command(["lineage", str(other)])
    assert "is no longer there" in capsys.readouterr().out


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        chain(tmp_path)
