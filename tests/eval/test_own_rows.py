"""A run's scores.json as a row: what is taken, what is said of the rest, and what is refused."""

import json

import pytest

from eval.own_rows import own_row
from eval.published import published
from workbench.errors import ConfigError, InputError

COLUMNS = published().benchmarks


def run(folder, scores):
    folder.mkdir(exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores, ensure_ascii=False), encoding="utf-8")
    return folder


def test_a_whole_row(tmp_path):
    task = {"value": 46.8, "shots": 5, "protocol": "official", "n": 14042, "stderr": 0.4, "split": "test"}
    scores = {"model": "研墨", "kind": "base", "tasks": {"mmlu": {**task, "macro": 45.9}}, "seconds": 3}
    found = own_row(run(tmp_path / "r", scores), COLUMNS)
    assert found.remarks == ()
    assert (found.row.model, found.row.origin) == ("研墨", "own")
    figure = found.row.figures["mmlu"]
    assert (figure.value, figure.kind, figure.shots, figure.protocol) == (46.8, "base", 5, "official")
    assert (figure.items, figure.stderr, figure.split, figure.differs) == (14042, 0.4, "test", ())
    assert figure.source.endswith("scores.json")
    assert own_row(tmp_path / "r/scores.json", COLUMNS).row == found.row


def test_names_are_read_as_they_are_written_elsewhere_and_math500_is_not_math(tmp_path):
    tasks = {"C-Eval": {"value": 1.5}, "gsm_8k": {"value": 2.5}, "math500": {"value": 3.5}, "medical": {"value": 4.5}}
    found = own_row(run(tmp_path / "r", {"model": "m", "kind": "base", "tasks": tasks}), COLUMNS)
    assert {b: figure.value for b, figure in found.row.figures.items()} == {"ceval": 1.5, "gsm8k": 2.5}
    assert len(found.remarks) == 1
    assert found.remarks[0].endswith("left out: math500, medical")


def test_what_is_not_stated(tmp_path):
    folder = run(tmp_path / "r", {"model": "m", "tasks": {"mmlu": {"value": 0.5}}})
    found = own_row(folder, COLUMNS)
    figure = found.row.figures["mmlu"]
    assert (figure.kind, figure.shots, figure.protocol) == (None, None, "not stated")
    assert "kind not stated" in found.remarks[0]
    assert "--kind" in found.remarks[0]
    assert "percentages are expected" in found.remarks[1]
    assert own_row(folder, COLUMNS, kind="chat").row.figures["mmlu"].kind == "chat"
    stated = run(tmp_path / "s", {"model": "m", "kind": "base", "tasks": {"mmlu": {"value": 5}}})
    assert own_row(stated, COLUMNS, kind="chat").row.figures["mmlu"].kind == "base"  # the file's word goes first


def test_part_of_the_items_or_another_format_sets_a_figure_apart(tmp_path):
    tasks = {"mmlu": {"value": 5, "shots": 5, "limit": 1200}, "ceval": {"value": 5, "shots": 5, "format": "cf"}}
    figures = own_row(run(tmp_path / "r", {"model": "m", "kind": "base", "tasks": tasks}), COLUMNS).row.figures
    assert [t.en for t in figures["mmlu"].differs] == ["1,200 items only"]
    assert [t.en for t in figures["ceval"].differs] == ["format cf"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"tasks": {"mmlu": {"value": 5}}}, "model: is missing"),
        ({"modle": "m", "tasks": {"mmlu": {"value": 5}}}, "model: is missing; modle is there: did you mean model?"),
        ({"model": "m"}, "tasks: is missing"),
        ({"model": "m", "tasks": []}, "tasks: [] is not a mapping"),
        ({"model": "m", "tasks": {}}, "tasks: names no benchmark of the table; the table's are mmlu, ceval"),
        ({"model": "m", "tasks": {"mmlu": 46.8}}, "tasks.mmlu: 46.8 is not a mapping"),
        ({"model": "m", "tasks": {"mmlu": {"acc": 5}}}, "tasks.mmlu.value: is missing"),
        ({"model": "m", "tasks": {"mmlu": {"value": "46.8"}}}, "tasks.mmlu.value: '46.8' is not a number"),
        ({"model": "m", "tasks": {"mmlu": {"value": True}}}, "tasks.mmlu.value: True is not a number"),
        ({"model": "m", "tasks": {"mmlu": {"value": float("nan")}}}, "tasks.mmlu.value: nan is not a number"),
        ({"model": "m", "tasks": {"mmlu": {"value": 468}}}, "tasks.mmlu.value: 468 is out of range; write a number"),
        ({"model": "m", "tasks": {"mmlu": {"value": 5, "shots": -1}}}, "tasks.mmlu.shots: -1 is out of range"),
        ({"model": "m", "tasks": {"mmlu": {"value": 5, "shots": 2.5}}}, "tasks.mmlu.shots: 2.5 is not a whole number"),
        ({"model": "m", "kind": "bas", "tasks": {"mmlu": {"value": 5}}}, "kind: 'bas' is not known; did you mean base"),
        ({"model": "m", "tasks": {"mmlu": {"value": 5}, "MMLU": {"value": 6}}}, "tasks.MMLU: is MMLU a second time"),
    ],
)
def test_a_wrong_value_is_one_line(tmp_path, scores, said):
    with pytest.raises(ConfigError) as caught:
        own_row(run(tmp_path / "r", scores), COLUMNS)
    assert f"scores.json: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "gbk.json").write_bytes('{"model": "研"}'.encode("gbk"))
    (tmp_path / "half.json").write_text('{"model": "m",\n "tasks"', encoding="utf-8")
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    for name, said in (
        ("nowhere", "cannot be read (No such file or directory); name a run of evaluate"),
        ("gbk.json", "is not UTF-8 at byte"),
        ("half.json", "half.json:2: is not JSON"),
        ("deep.json", "is not JSON"),
        ("list.json", "holds a list, not scores"),
    ):
        with pytest.raises(InputError) as caught:
            own_row(tmp_path / name, COLUMNS)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
