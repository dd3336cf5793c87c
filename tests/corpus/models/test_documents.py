from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from corpus.models.documents import Choice, Told, labels_of, read_documents
from workbench.errors import ConfigError, InputError


def read(path: Path, told: Told | None = None, **options: object) -> pl.DataFrame:
    return pl.concat(read_documents(Choice(path, **options), told or Told()))  # type: ignore[arg-type]


def test_plain_text_by_line_paragraph_and_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("一行\n二行\n\n三行\n", encoding="utf-8")
    assert read(tmp_path / "a.txt")["text"].to_list() == ["一行", "二行", "三行"]
    assert read(tmp_path / "a.txt", document="paragraph")["text"].to_list() == ["一行\n二行", "三行"]
    assert read(tmp_path / "a.txt", document="file")["text"].to_list() == ["一行\n二行\n\n三行\n"]
    (tmp_path / "b.txt").write_text("四行\n", encoding="gb18030")
    assert read(tmp_path)["place"].to_list() == ["a.txt@0", "a.txt@7", "a.txt@15", "b.txt@0"]


def test_every_format_gives_the_same_labelled_rows(tmp_path: Path) -> None:
    rows = [("好书，值得读", "positive"), ("送彩金", "negative"), ("没有标签", None), ("两个", "a")]
    frame = pl.DataFrame(rows, schema=["正文", "label"], orient="row")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_csv(tmp_path / "a.csv")
    lines = [f"__label__{label} {text}\n" if label else f"{text}\n" for text, label in rows]
    (tmp_path / "a.txt").write_text("".join(lines), encoding="utf-8")
    for suffix in ("parquet", "jsonl", "csv", "txt"):
        told = Told()
        found = read(tmp_path / f"a.{suffix}", told, labelled=True)
        assert found.select("text", "label").rows() == [row for row in rows if row[1]], suffix
        assert dict(told.unused) == {"no label": 1}
        assert told.documents == 3


def test_labels_are_strings_and_several_are_told(tmp_path: Path) -> None:
    assert labels_of(1) == labels_of(1.0) == labels_of(" 1\n") == labels_of(["1"]) == ["1"]
    assert labels_of(None) == labels_of("") == labels_of([]) == []
    (tmp_path / "a.txt").write_text("__label__a __label__b 两个 标签\n__label__a 一个\n", encoding="utf-8")
    told = Told()
    assert read(tmp_path / "a.txt", told, labelled=True)["label"].to_list() == ["a"]
    assert dict(told.unused) == {"several labels": 1}


def test_conditions(tmp_path: Path, corpus: Path) -> None:
    records = [{"text": "一", "n": 1, "kind": "a"}, {"text": "二", "n": None, "kind": "b"}, {"text": "三", "n": 3}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    assert read(path, where="n > 1")["text"].to_list() == ["三"]
    assert read(path, where="kind in ('a', 'b') and text <> '一'")["text"].to_list() == ["二"]
    news = read(corpus, where="domain = '新闻' and bucket = 'head'")
    kept = pl.read_parquet(corpus / "kept" / "bucket=head" / "*.parquet").filter(domain="新闻")
    assert news["place"].to_list() == kept["id"].to_list()
    assert news["text"].to_list() == kept["text"].to_list()
    for where, found in (
        ("nn > 1", "did you mean n"),
        ("kind", "neither true nor false"),
        ("kind > 3", "cannot be asked"),
        ("n >", "is not SQL"),
        ("max(n) > 1", "single document"),
    ):
        with pytest.raises(ConfigError, match=found):
            read(path, where=where)


def test_what_cannot_be_used_is_counted_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "一"}\n{"text": 5}\n{"text: broken\n{"text": "\\ud800二"}\n', encoding="utf-8")
    told = Told()
    assert read(path, told)["text"].to_list() == ["一", "?二"]
    assert dict(told.unused) == {"no text in text": 1, "unreadable": 1}
    assert told.places["no text in text"] == ["a.jsonl@16"]
    (tmp_path / "b.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"b\.parquet"):
        read(tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    told = Told()
    assert list(read_documents(Choice(tmp_path / "c.jsonl"), told)) == []
    assert "git lfs pull" in told.places["unreadable"][0]


def test_columns_and_paths_that_are_not_there(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "a.csv").write_text("正文,x\n一,二\n", encoding="utf-8")
    with pytest.raises(InputError, match="正闻: no such column; choose from: x, 正文"):
        read(tmp_path / "a.csv", text="正闻")
    with pytest.raises(InputError, match="no column of the label can be guessed"):
        read(tmp_path / "a.csv", labelled=True)
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "none")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "unfinished.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is unfinished"):
        read(tmp_path / "part")
    entry = Choice(corpus).inputs()[0]
    assert entry["path"] == str(corpus)
    assert len(entry["fingerprint"]) == 32
