"""Weights, short names, and sets that hold each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.instructions.rows import Conversation, Faulty, Turn
from corpus.instructions.sets import Given, contained, copies, find, known_sets, mix, name_of, parse, readings
from workbench.errors import ConfigError, InputError


def test_a_weight_follows_the_last_at():
    assert parse("数据/a.json@2") == Given("数据/a.json", 2.0)
    assert parse("a@b.json") == Given("a@b.json")
    assert parse("a@b@0.5") == Given("a@b", 0.5)
    assert parse("alpaca-zh") == Given("alpaca-zh", 1.0)
    for word in ("a@0", "a@101"):
        with pytest.raises(ConfigError, match=r"is not in \(0, 100\]; 1 is each row once"):
            parse(word)


def test_a_row_is_laid_out_as_often_as_its_weight_says(tmp_path):
    for name in ("甲", "乙"):
        lines = [json.dumps({"prompt": f"{name}{n}", "completion": "答"}) for n in range(400)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(["坏", *lines]), encoding="utf-8")
    givens = [parse(f"{tmp_path}/甲.jsonl@2"), parse(f"{tmp_path}/乙.jsonl@0.25")]
    rows = list(mix(readings(givens, "sft")))
    assert sum(isinstance(row, Faulty) for row in rows) == 2  # told once, whatever the weight
    by = {name: [row for row in rows if not isinstance(row, Faulty) and row.source == name] for name in ("甲", "乙")}
    assert len(by["甲"]) == 800
    assert len({row.id for row in by["甲"]}) == 400
    assert 70 <= len(by["乙"]) == len({row.id for row in by["乙"]}) <= 130
    assert rows == list(mix(readings(givens, "sft")))  # the same ones every time


def test_files_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("甲", "乙"):
        Path(name).mkdir()
        Path(name, "a.json").write_text('{"prompt": "问", "completion": "答"}\n坏', encoding="utf-8")
    rows = list(mix(readings([parse("甲/a.json"), parse("乙/a.json@2")], "sft")))
    assert [row.place if isinstance(row, Faulty) else row.id for row in rows] == [
        *("甲/a.json:1", "甲/a.json:2", "乙/a.json:1", "乙/a.json:1", "乙/a.json:2")
    ]
    assert {row.source for row in rows if not isinstance(row, Faulty)} == {"甲/a.json", "乙/a.json"}


def test_the_rows_of_one_record_stay_together():
    rows = [
        Conversation(f"a.json:{n}/{part}", (Turn("user", "问"),), "集") for n in range(50) for part in ("1>2", "1>3")
    ]
    taken = [copies(row, 0.5) for row in rows]
    assert taken[::2] == taken[1::2]
    assert 10 < sum(taken[::2]) < 40


def test_every_known_set_says_its_size_and_who_says_so():
    assert list(known_sets()) == ["belle-0.5m", "belle-1m", "alpaca", "alpaca-zh", "guanaco-belle", "medical"]
    for one in known_sets().values():
        assert one.repositories["hf"].count("/") == 1
        assert one.stated > 0
        assert one.said_by
        assert set(one.contains) <= set(known_sets())


def test_a_set_within_another_is_told():
    (said,) = contained([parse("guanaco-belle"), parse("belle-0.5m@2")])
    assert said.startswith("guanaco-belle contains belle-0.5m, so its rows count twice (README of")
    assert contained([parse("guanaco-belle"), parse("belle-1m")]) == []
    assert contained([parse("x/guanaco_belle_merge_v1.0/merge.json"), parse("data/BelleGroup/train_0.5M_CN")])


def test_a_path_is_known_by_its_repository():
    assert name_of("data/hub/hf/shibing624/medical") == "medical"
    assert name_of("data/medical/a.json") is None
    assert name_of("old/train_1M_CN/a.json") == "belle-1m"


def test_a_word_that_is_neither_path_nor_name(tmp_path):
    with pytest.raises(
        InputError, match=r"belle-0\.5: neither a path nor a set's short name; did you mean belle-0\.5m\?"
    ):
        find(parse("belle-0.5"), "sft")
    with pytest.raises(InputError, match="alpaca-zh on modelscope: its repository is not known"):
        find(parse("alpaca-zh"), "sft", "modelscope", tmp_path)


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("alpaca").mkdir()
    assert find(parse("alpaca"), "sft") == (Path("alpaca"), None)
