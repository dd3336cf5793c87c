from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources import configure
from tests.corpus.sources.reading import read, read_cut
from workbench.errors import ConfigError, InputError

ROWS = [
    {"id": n, "content": f"第{n}篇的正文，写得很长。", "headline": f"题{n}", "quality": n / 10, "label": "好" if n % 2 else "坏",
     "source": "某站", "tags": [1], "info": {"toxicity": {"score": n}}, "when": f"2024-01-{n + 1:02d}T00:00:00"}
    for n in range(28)
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]], *, packed: bool = False) -> Path:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def test_columns_are_guessed_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    found = read("jsonl", tmp_path)
    assert found.texts[3] == "第3篇的正文，写得很长。"
    assert (found.keys[3], found.titles[3], found.domains[3]) == ("a.jsonl#3", "题3", "某站")
    assert found.signals[3] == {"quality": 0.3, "label": "好", "info.toxicity.score": 3.0}
    told = capsys.readouterr().err
    assert "text=content id=id title=headline domain=source" in told
    assert "carried as signals: info.toxicity.score, label, quality" in told
    assert "when" not in told  # a date does not repeat: no gate can ask for one


def test_columns_are_named_and_reach_inside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"data": {"body": "甲"}, "text": "乙", "k": "x/1", "n": 1}])
    found = read("jsonl", tmp_path, text="data.body", id="k", carry=["n"])
    assert (found.texts, found.keys, found.signals) == (["甲"], ["x/1"], [{"n": 1.0}])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": "contant"}, "did you mean content?"),
        ({"carry": "source"}, "the name is one of ours"),
        ({"carry": "tags"}, "neither a number nor a label"),
        ({"carry": "nothing"}, "no such column"),
    ],
)
def test_mistakes_are_told_before_a_record_is_read(tmp_path: Path, options: dict[str, str], said: str) -> None:
    path = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        configure("jsonl", options).files(path)


def test_there_must_be_records_and_options_must_be_known(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="holds no JSON records"):
        configure("jsonl", {}).files(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        configure("jsonl", {}).files(tmp_path / "none")
    with pytest.raises(InputError, match="matches no JSON records"):
        configure("jsonl", {}).files(tmp_path / "*.jsonl")
    with pytest.raises(InputError, match="no column of text can be guessed"):
        configure("jsonl", {}).files(write(tmp_path / "b.jsonl", [{"n": 1}]))
    with pytest.raises(ConfigError, match="did you mean text"):
        configure("jsonl", {"txt": "a"})
    with pytest.raises(ConfigError, match="did you mean jsonl"):
        configure("jsonll", {})


def test_globs_packed_files_and_stable_keys(tmp_path: Path) -> None:
    (tmp_path / "x" / "deep").mkdir(parents=True)
    write(tmp_path / "x" / "deep" / "b.jsonl.gz", [{"text": "乙"}], packed=True)
    write(tmp_path / "x" / "a.jsonl", [{"text": "甲"}])
    assert read("jsonl", tmp_path / "x").keys == ["a.jsonl@0", "deep/b.jsonl@0"]
    assert read("jsonl", tmp_path / "x" / "**" / "*.jsonl*").keys == ["a.jsonl@0", "deep/b.jsonl@0"]
    assert read("jsonl", tmp_path / "x" / "d*").texts == ["乙"]


def test_a_cut_packed_file_keeps_its_whole_records(tmp_path: Path) -> None:
    rows = [{"text": f"{n} " + "字" * (n % 50)} for n in range(3000)]
    path = write(tmp_path / "a.jsonl.gz", rows, packed=True)
    path.write_bytes(path.read_bytes()[:-200])
    found = read("jsonl", path)
    assert 0 < len(found.texts) < 3000
    assert found.texts == [row["text"] for row in rows[: len(found.texts)]]
    assert "broken gz stream" in found.causes[-1]


def test_gb18030_records(tmp_path: Path) -> None:
    text = "这是我们用旧的编码写的一行，里面的字也会有花括号那样的字节：獅、畖、畗。"  # 0x7B and 0x7D inside
    (tmp_path / "a.jsonl").write_bytes((json.dumps({"text": text}, ensure_ascii=False) + "\n").encode("gb18030") * 30)
    assert read("jsonl", tmp_path).texts == [text] * 30


def test_records_without_text_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": "甲"}, {"text": None}, {"text": 3}, {"other": 1}])
    found = read("jsonl", tmp_path)
    assert found.texts == ["甲"]
    assert found.causes == ["no text", "text is int, not text", "no text"]


def test_an_lfs_pointer_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": "甲"}])
    (tmp_path / "b.jsonl").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", encoding="utf-8")
    found = read("jsonl", tmp_path)
    assert found.texts == ["甲"]
    assert "Git LFS pointer" in found.causes[0]


INNER = st.fixed_dictionaries({"from": st.sampled_from(["human", "gpt"]), "value": st.text('甲}{[],:"\\', max_size=8)})
NESTED = st.fixed_dictionaries(
    {"conversations": st.lists(INNER, min_size=2, max_size=3), "text": st.text('乙}{,"\\', max_size=8)}
)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(NESTED, min_size=2, max_size=6),
    form=st.sampled_from(["array", "wrapped", "lines"]),
    cuts=st.lists(st.integers(1, 400), max_size=3),
)
def test_records_that_hold_lists_of_records(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], form: str, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("nested") / "a.json"
    lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    texts = {"array": json.dumps(records), "wrapped": json.dumps({"data": records}, indent=1), "lines": lines}
    path.write_text(texts[form], encoding="utf-8")
    found = read_cut(configure("jsonl", {}), path, cuts) if form == "lines" else read("jsonl", path)
    assert found.texts == [record["text"] for record in records]
    assert found.causes == []


def test_code_in_a_text_does_not_make_a_file_nested(tmp_path: Path) -> None:
    from corpus.sources.jsonl import is_nested

    flat: list[dict[str, Any]] = [{"text": 'x = [{"a": 1}, {"b": 2}]'}, {"text": "乙", "tags": ["a", "b"]}]
    (tmp_path / "flat.json").write_text(json.dumps(flat), encoding="utf-8")
    (tmp_path / "deep.json").write_text(json.dumps([{"text": "甲", "x": {"y": [[{"z": 1}]]}}]), encoding="utf-8")
    assert not is_nested(tmp_path / "flat.json")
    assert is_nested(tmp_path / "deep.json")
    assert read("jsonl", tmp_path / "flat.json").texts == [flat[0]["text"], "乙"]


def test_a_broken_record_of_a_nested_array_costs_one(tmp_path: Path) -> None:
    good = [{"turns": [{"a": 1}, {"a": 2}], "text": name} for name in "甲乙丙"]
    parts = [json.dumps(record, ensure_ascii=False) for record in good]
    parts.insert(1, '{"turns": [{"a": 1}, {"a": }], "text": "坏"}')
    (tmp_path / "a.json").write_text("[" + ",".join(parts) + "]", encoding="utf-8")
    found = read("jsonl", tmp_path / "a.json")
    assert found.texts == ["甲", "乙", "丙"]
    assert len(found.causes) == 1
    (tmp_path / "a.json").write_text(("[" + ",".join(parts) + "]")[:-12], encoding="utf-8")
    assert any("truncated" in cause for cause in read("jsonl", tmp_path / "a.json").causes)
