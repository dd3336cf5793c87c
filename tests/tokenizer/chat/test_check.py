"""``train data check`` as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest

from tests.tokenizer.conftest import train_model
from tokenizer.export import export
from tokenizer.model import read_model
from train.cli import command
from workbench.errors import ConfigError, InputError


@pytest.fixture(scope="module")
def tok(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tok")
    export(read_model(train_model(folder / "tokenizer.model")), folder, specials=())
    return folder


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "问答.jsonl"
    rows = [{"instruction": f"医生在山上做第{n}件事？", "input": "", "output": f"看病{n}次。"} for n in range(20)]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, rows[3]]]
    lines[5] = "{坏"
    lines[7] = json.dumps({"instruction": "空", "output": ""})
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(capsys, *words):
    assert command(["data", "check", *map(str, words)]) == 0
    return capsys.readouterr()


def test_what_it_shows(capsys, data, tok):
    shown = run(capsys, data, "--stage", "sft", "--tokenizer", tok, "--n", 2, "--window", 20).out
    assert "stage=sft" in shown
    assert "alpaca" in shown
    assert "⟦看病0次。</s>⟧" in shown
    assert shown.count("⟦") == shown.count("⟧") == 3  # two samples and the legend
    assert "问答.jsonl:6" in shown
    assert re.search(r"问答\.jsonl:8 +the answer is empty", shown)
    assert "duplicate 1; contaminated 0 (not looked for" in shown
    assert "\x1b" not in shown  # no terminal, no colours


def test_the_same_as_json(capsys, data, tok):
    found = json.loads(run(capsys, data, "--stage", "sft", "--tokenizer", tok, "--json").out)
    (one,) = found["sets"]
    assert (one["forms"], one["records"], one["rows"], one["faulty"]) == ({"alpaca": 20}, 21, 19, 2)
    assert found["template"] == "ziya"
    assert found["unit"] == "tokens"
    assert [bad["place"] for bad in found["faulty"]] == ["问答.jsonl:6", "问答.jsonl:8"]
    assert [(gone["id"], gone["of"]) for gone in found["removed"]] == [("问答.jsonl:21", "问答: 问答.jsonl:4")]
    assert len(found["samples"]) == 5
    for sample in found["samples"]:
        bearing = [text for text, bears in sample["pieces"] if bears]
        assert len(bearing) == 1
        assert bearing[0].startswith("看病")
        assert bearing[0].endswith("次。</s>")
    assert found["lengths"]["0%"] <= found["lengths"]["50%"] <= found["lengths"]["100%"]


def test_pairs_show_both_sides_and_their_axis(capsys, tmp_path):
    path = tmp_path / "oaast.json"
    path.write_text(json.dumps([{"instruction": "问", "input": "", "output": ["好", "中", "坏"]}], ensure_ascii=False))
    shown = run(capsys, path, "--stage", "rm", "--n", 1).out
    assert "oaast.json:1/1>2 chosen\n<s><human>问<bot>⟦好</s>⟧" in shown
    assert "oaast.json:1/1>2 rejected\n<s><human>问<bot>⟦中</s>⟧" in shown
    assert " helpful        3" in shown
    assert "characters a sequence (6 of them)" in shown


def test_a_template_without_tools_makes_tool_rows_bad(capsys, tmp_path):
    path = tmp_path / "a.jsonl"
    turns = [("human", "问"), ("function_call", '{"name": "f", "arguments": {}}'), ("observation", "1"), ("gpt", "一")]
    rows = [
        {"conversations": [{"from": role, "value": text} for role, text in some]}
        for some in (turns, turns[:1] + turns[3:])
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    shown = run(capsys, path, "--stage", "sft").out
    assert "a.jsonl:1   template ziya: has no place for a turn of role call; take template=qwen or chatml" in shown
    found = json.loads(run(capsys, path, "--stage", "sft", "--template", "qwen", "--json").out)
    assert found["faulty"] == []
    assert sum(bears for _, bears in found["samples"][0]["pieces"]) == 2


def test_a_template_whose_marks_are_no_tokens_is_warned_of(capsys, data, tok):
    said = run(capsys, data, "--stage", "sft", "--tokenizer", tok, "--template", "qwen").err
    assert (
        "warning: template qwen: <|im_start|>, <|im_end|> is no token of this tokenizer, so it is cut like any text"
        in said
    )


def test_the_window_is_counted(capsys, data, tok):
    found = json.loads(run(capsys, data, "--stage", "sft", "--tokenizer", tok, "--window", 12, "--json").out)
    assert found["fitted"]["too long"] == found["longer"]["12"] > 0
    assert sum(found["fitted"].values()) == found["rows"]


def test_mistakes_are_one_line(tmp_path, data):
    with pytest.raises(ConfigError, match="data chek: no such command; did you mean train data check"):
        command(["data", "chek"])
    with pytest.raises(ConfigError, match="stage=stf: reads no instruction data; did you mean sft"):
        command(["data", "check", str(data), "--stage", "stf"])
    with pytest.raises(InputError, match=r"问答\.jsonl: alpaca data .* do not serve stage=dpo; it needs two answers"):
        command(["data", "check", str(data), "--stage", "dpo"])
    (tmp_path / "空.jsonl").write_text('{"prompt": "问", "completion": ""}')
    with pytest.raises(InputError, match="no row is left of 1; the first: the answer is empty"):
        command(["data", "check", str(tmp_path / "空.jsonl"), "--stage", "sft"])


def test_help_is_fast():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "train", "data", "check", "--help"], capture_output=True, text=True, check=True
    )
    assert "--stage" in done.stdout
    assert time.monotonic() - started < 3  # 0.2 s on a quiet machine; this one may be busy


def test_containing_sets_are_warned_of(capsys, tmp_path):
    for folder in ("guanaco_belle_merge_v1.0", "train_0.5M_CN"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(json.dumps({"instruction": f"问{folder}", "output": "答"}))
    shown = run(capsys, tmp_path / "guanaco_belle_merge_v1.0", f"{tmp_path}/train_0.5M_CN@2", "--stage", "sft")
    assert "warning: guanaco-belle contains belle-0.5m, so its rows count twice" in shown.err
    assert "519,255 rows stated by" in shown.err
