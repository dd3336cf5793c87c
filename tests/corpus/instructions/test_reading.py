"""Containers, places and causes: every record gives rows or a line, whatever file it lies in."""

from __future__ import annotations

import csv
import gzip
import json
import lzma

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.instructions.reading import HEAD, axis_of, detect, prompts, read
from corpus.instructions.rows import Conversation, Faulty, Prompt, Turn, record_of
from workbench.errors import ConfigError, InputError

ALPACA = [{"instruction": f"第{n}问", "input": "", "output": f"第{n}答"} for n in range(3)]


def write(path, records, lines=True, indent=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        "\n".join(json.dumps(r, ensure_ascii=False) for r in records)
        if lines
        else json.dumps(records, ensure_ascii=False, indent=indent)
    )
    path.write_text(text, encoding="utf-8")
    return path


def turns(path, stage="sft"):
    return [[turn.content for turn in row.turns] for row in read(path, stage)]


EXPECTED = [[f"第{n}问", f"第{n}答"] for n in range(3)]


def test_every_container(tmp_path):
    paths = {
        "a.jsonl": [f"a.jsonl:{n}" for n in (1, 2, 3)],
        "lines.json": [f"lines.json:{n}" for n in (1, 2, 3)],
        "array.json": ["array.json:1", "array.json:1[1]", "array.json:1[2]"],
        "pretty.json": ["pretty.json:2", "pretty.json:7", "pretty.json:12"],
        "a.csv": [f"a.csv:{n}" for n in (2, 3, 4)],
        "a.parquet": [f"a.parquet#{n}" for n in (0, 1, 2)],
        "a.jsonl.gz": [f"a.jsonl.gz:{n}" for n in (1, 2, 3)],
        "a.json.xz": [f"a.json.xz:{n}" for n in (1, 2, 3)],
        "gb.jsonl": [f"gb.jsonl:{n}" for n in (1, 2, 3)],
    }
    write(tmp_path / "a.jsonl", ALPACA)
    write(tmp_path / "lines.json", ALPACA)
    write(tmp_path / "array.json", ALPACA, lines=False)
    write(tmp_path / "pretty.json", ALPACA, lines=False, indent=2)
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["instruction", "input", "output"])
        writer.writeheader()
        writer.writerows(ALPACA)
    pl.DataFrame(ALPACA).write_parquet(tmp_path / "a.parquet")
    text = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(text))
    (tmp_path / "gb.jsonl").write_bytes(text.decode().encode("gb18030"))
    for name, places in paths.items():
        rows = list(read(tmp_path / name, "sft"))
        assert [row.id for row in rows] == places
        assert [[turn.content for turn in row.turns] for row in rows] == EXPECTED
        assert {row.source for row in rows} == {name.split(".")[0]}
        assert detect(tmp_path / name).name == "alpaca"
    assert len(list(read(tmp_path, "sft"))) == 3 * len(paths)
    assert len(list(read(tmp_path / "*.json", "sft"))) == 9


def test_messages_in_parquet_and_in_a_cell_of_csv(tmp_path):
    messages = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]
    pl.DataFrame({"messages": [messages]}).write_parquet(tmp_path / "a.parquet")
    assert turns(tmp_path / "a.parquet") == [["问", "答"]]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "messages"], ["1", json.dumps(messages)]])
    assert turns(tmp_path / "a.csv") == [["问", "答"]]


def test_no_record_is_lost_where_the_head_ends(tmp_path):
    records = [{"prompt": f"{n}", "completion": "答"} for n in range(2 * HEAD + 3)]
    reading = read(write(tmp_path / "a.jsonl", records), "sft")
    assert [row.turns[0].content for row in reading] == [r["prompt"] for r in records]
    assert (reading.records, dict(reading.forms)) == (len(records), {"completion": len(records)})


def test_a_bad_record_costs_itself_and_says_where(tmp_path):
    lines = [
        json.dumps(ALPACA[0]),
        '{"instruction": "坏了", "output": "没有结',
        json.dumps({"instruction": "只有问"}),
        "",
        json.dumps({"instruction": "空", "output": ""}),
        json.dumps({"prompt": "别的形式", "completion": "也读"}),
        json.dumps(ALPACA[1]),
        json.dumps(ALPACA[2]),
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    reading = read(path, "sft")
    rows = list(reading)
    faulty = {row.place: row.cause for row in rows if isinstance(row, Faulty)}
    assert faulty["a.jsonl:3"] == "no output (the file is read as alpaca)"
    assert faulty["a.jsonl:5"] == "the answer is empty"
    assert "truncated" in faulty["a.jsonl:2"]
    assert [row.id for row in rows if not isinstance(row, Faulty)] == [
        "a.jsonl:1",
        "a.jsonl:6",
        "a.jsonl:7",
        "a.jsonl:8",
    ]
    assert reading.records == len(rows) == 7
    assert dict(reading.forms) == {"alpaca": 4, "completion": 1}


def test_prompts_need_no_answer(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"question": "问", "answer": ""}, {"question": "再问", "answer": "答"}])
    assert list(prompts(path)) == [
        Prompt("a.jsonl:1", (Turn("user", "问"),), source="a"),
        Prompt("a.jsonl:2", (Turn("user", "再问"),), "答", "a"),
    ]
    assert isinstance(next(iter(read(path, "sft"))), Faulty)


def test_a_folder_of_dialogues_in_files_of_their_own(tmp_path):
    for name in ("1", "2"):
        messages = [{"role": "client", "content": f"问{name}"}, {"role": "counselor", "content": "答"}]
        write(tmp_path / "咨询" / f"{name}.json", messages, lines=False, indent=1)
    rows = list(read(tmp_path / "咨询", "sft"))
    assert rows == [
        Conversation(f"{name}.json:1", (Turn("user", f"问{name}"), Turn("assistant", "答")), "咨询")
        for name in ("1", "2")
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "a Git LFS pointer, not the data; run git lfs pull",
        ),
        (b"PK\x03\x04....", "a zip archive, to be unpacked first"),
        ("白日依山尽，黄河入海流。".encode(), "neither JSON records nor CSV, parquet or Arrow"),
        (
            b'{"text": "a", "meta": {}}',
            r"plain text \(its keys are text, meta\); text without questions is for corpus build",
        ),
        (b'{"a": 1, "b": 2}', r"of no known form: its keys are a, b; rename them to a form's"),
        (b"[1, 2]", "a int, not a record"),
        (b'{"instruction": "a" "output"', "truncated|not JSON"),
        (b'{"prompt": "a"}', r"prompt data \(a prompt without an answer\) do not serve stage=sft; it needs answers"),
    ],
)
def test_a_file_that_is_refused_says_why_in_one_line(tmp_path, content, said):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        list(read(path, "sft"))
    assert "\n" not in str(caught.value)
    write(tmp_path / "b.jsonl", ALPACA)  # beside one that is read it costs a line
    rows = list(read(tmp_path, "sft"))
    assert len(rows) == 4
    assert isinstance(rows[0], Faulty)
    assert rows[0].place == "a.json"
    assert rows[0].cause.endswith("; the file is not read")


def test_a_folder_of_refused_files_is_an_error(tmp_path):
    write(tmp_path / "a.jsonl", ALPACA)
    write(tmp_path / "b.jsonl", ALPACA)
    with pytest.raises(
        InputError, match=r"none of its 2 files is read; a.jsonl: alpaca data .* do not serve stage=dpo"
    ):
        list(read(tmp_path, "dpo"))


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        list(read(tmp_path / "无", "sft"))
    with pytest.raises(ConfigError, match="stage=stf: reads no instruction data; did you mean sft"):
        list(read(write(tmp_path / "a.jsonl", ALPACA), "stf"))


@pytest.mark.parametrize(
    ("path", "axis"),
    [
        ("data/oaast_rm_zh.json", "helpful"),
        ("hh-rlhf/harmless-base/train.jsonl.gz", "harmless"),
        ("hh-rlhf/helpful-base/train.jsonl.gz", "helpful"),
        ("CValues-Comparison/train.jsonl", "harmless"),
        ("truthful_dpo.json", "honest"),
        ("dpo_zh.json", None),
    ],
)
def test_the_axis_is_told_by_the_path(tmp_path, path, axis):
    file = write(tmp_path / path, [{"prompt": "问", "chosen": "好", "rejected": "坏"}])
    assert axis_of(file) == axis
    assert [row.axis for row in read(file, "rm")] == [axis]
    assert [row.axis for row in read(file, "rm", axis="honest")] == ["honest"]


texts = st.text(st.sampled_from('你好，\n"\\/{}[]: aA1\t\u2028🙂'), min_size=1, max_size=20).map(str.strip).filter(bool)


@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=4), lines=st.booleans(), copies=st.integers(1, 3))
@settings(max_examples=60)
def test_what_is_written_as_messages_comes_back(tmp_path_factory, pairs, lines, copies):
    path = tmp_path_factory.mktemp("trip") / "a.json"
    wanted = [turn for question, answer in pairs for turn in (Turn("user", question), Turn("assistant", answer))]
    openai = [{"role": turn.role, "content": turn.content} for turn in wanted]
    write(path, [{"messages": openai}] * copies, lines=lines)
    assert [list(row.turns) for row in read(path, "sft")] == [wanted] * copies
    shared = [{"from": "human" if turn.role == "user" else "gpt", "value": turn.content} for turn in wanted]
    write(path, [{"conversations": shared, "id": 1}] * copies, lines=lines, indent=1)
    assert [list(row.turns) for row in read(path, "sft")] == [wanted] * copies
    history = [list(pair) for pair in pairs[:-1]]
    write(
        path,
        [{"question": pairs[-1][0], "history": history, "chosen": pairs[-1][1], "rejected": "另"}] * copies,
        lines=lines,
    )
    assert [list(row.turns) for row in read(path, "sft")] == [wanted] * copies


def test_the_record_of_a_row():
    assert record_of("a/b.json:3/1>2") == record_of("a/b.json:3/2>3") == "a/b.json:3"
    assert record_of("a/b.json:3[7]/chosen") == "a/b.json:3[7]"
    assert record_of("a/b.parquet#3/1") == "a/b.parquet#3"
    assert record_of("a/b.json:3") == "a/b.json:3"
