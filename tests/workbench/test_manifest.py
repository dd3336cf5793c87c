from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import manifest
from workbench.errors import InputError, OutputError
from workbench.lineage import lineage
from workbench.manifest import Manifest


def _complete(
    folder: Path, kind: str = "corpus", mark: str = "m1", inputs: list[dict[str, object]] | None = None
) -> None:
    assert manifest.claim(folder, kind, mark) == "fresh"
    manifest.write(folder, Manifest(kind, mark, {}, inputs or []))


def test_claim_knows_fresh_unfinished_and_complete_work(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert manifest.claim(out, "corpus", "m1") == "fresh"
    assert manifest.claim(out, "corpus", "m1") == "resume"
    manifest.write(out, Manifest("corpus", "m1", {}, []))
    assert manifest.claim(out, "corpus", "m1") == "complete"
    assert not (out / manifest.UNFINISHED).exists()


def test_claim_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    _complete(tmp_path / "a")
    with pytest.raises(OutputError, match="holds a corpus, not a tokenizer"):
        manifest.claim(tmp_path / "a", "tokenizer", "m1")
    with pytest.raises(OutputError, match="--overwrite"):
        manifest.claim(tmp_path / "a", "corpus", "m2")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty"):
        manifest.claim(tmp_path / "b", "corpus", "m1", overwrite=True)
    assert (tmp_path / "b" / "thesis.txt").read_text(encoding="utf-8") == "mine"
    (tmp_path / "c").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file"):
        manifest.claim(tmp_path / "c", "corpus", "m1")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / manifest.NAME).write_text('{"name": "npm"}', encoding="utf-8")
    with pytest.raises(OutputError, match="not written by yanmo"):
        manifest.claim(tmp_path / "d", "corpus", "m1", overwrite=True)


def test_overwrite_empties_an_artefact_of_the_same_kind(tmp_path: Path) -> None:
    _complete(tmp_path / "a")
    (tmp_path / "a" / "part").write_text("old", encoding="utf-8")
    assert manifest.claim(tmp_path / "a", "corpus", "m2", overwrite=True) == "fresh"
    assert not (tmp_path / "a" / "part").exists()


def test_read_tells_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        manifest.read(tmp_path / "none", "corpus", "corpus build")
    manifest.claim(tmp_path / "half", "corpus", "m1")
    with pytest.raises(InputError, match="unfinished"):
        manifest.read(tmp_path / "half", "corpus", "corpus build")
    _complete(tmp_path / "a", kind="tokenizer")
    with pytest.raises(InputError, match="is a tokenizer, not a corpus"):
        manifest.read(tmp_path / "a", "corpus", "corpus build")
    (tmp_path / "a" / manifest.NAME).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is not a manifest"):
        manifest.read(tmp_path / "a", "corpus", "corpus build")


def test_manifest_is_readable_chinese(tmp_path: Path) -> None:
    manifest.claim(tmp_path / "a", "corpus", "m")
    manifest.write(tmp_path / "a", Manifest("corpus", "m", {"domain": "新闻"}, []))
    text = (tmp_path / "a" / manifest.NAME).read_text(encoding="utf-8")
    assert "新闻" in text
    assert json.loads(text)["version"]


def test_fingerprint_changes_with_each_part() -> None:
    marks = {
        manifest.fingerprint("corpus", {"a": 1}, ["x"]),
        manifest.fingerprint("tokens", {"a": 1}, ["x"]),
        manifest.fingerprint("corpus", {"a": 2}, ["x"]),
        manifest.fingerprint("corpus", {"a": 1}, ["y"]),
    }
    assert len(marks) == 4
    assert manifest.fingerprint("k", {"a": 1, "b": 2}, []) == manifest.fingerprint("k", {"b": 2, "a": 1}, [])


def test_lineage_walks_down_to_the_raw_files(tmp_path: Path) -> None:
    raw = [tmp_path / "part-0.json", tmp_path / "part-1.json"]
    for path, text in zip(raw, ("12345", "1234567"), strict=True):
        path.write_text(text)
    _complete(tmp_path / "corpus", inputs=[manifest.describe_file(path) for path in raw])
    _complete(tmp_path / "tokens", kind="tokens", inputs=[{"path": str(tmp_path / "corpus")}])
    links = list(lineage(tmp_path / "tokens"))
    assert [(link["depth"], link["kind"], link["raw_files"], link["raw_bytes"]) for link in links] == [
        (0, "tokens", 0, 0),
        (1, "corpus", 2, 12),
    ]
    with pytest.raises(InputError, match=r"no manifest\.json"):
        list(lineage(tmp_path))
