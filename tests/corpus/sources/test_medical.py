from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.sources.base import Span, Unreadable
from corpus.sources.delimited import read_csv
from tests.corpus.sources.reading import read


@pytest.mark.parametrize(
    ("record", "text", "domain"),
    [
        ({"text": "高血压是一种病。"}, "高血压是一种病。", ""),
        ({"instruction": "问", "input": "", "output": "答"}, "问\n答", ""),
        (
            {"instruction": "问", "input": "补", "output": "答", "history": [["前问", "前答"]]},
            "前问\n前答\n问\n补\n答",
            "",
        ),
        ({"question": "问", "response_chosen": "好", "response_rejected": "差"}, "问\n好", ""),
        ({"question": "问", "answer": "答"}, "问\n答", ""),
        ({"questions": [["问", "又问"]], "answers": ["答"], "label": "内科"}, "问\n答", "内科"),
        ({"data": ["问：头疼", "答：休息"]}, "头疼\n休息", ""),
        ({"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]}, "问\n答", ""),
        ({"instruction": " <user>: 甲 <bot>: 乙 <user>: 丙", "input": "", "output": "丁"}, "甲\n乙\n丙\n丁", ""),
        (
            {
                "name": "肺炎",
                "desc": "肺的炎症。",
                "category": ["疾病", "内科"],
                "symptom": ["咳嗽", "发热"],
                "cost": "",
            },
            "肺炎\n肺的炎症。\nsymptom：咳嗽、发热",
            "疾病,内科",
        ),
    ],
)
def test_forms_of_records(tmp_path: Path, record: dict[str, Any], text: str, domain: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    found = read("medical", tmp_path)
    assert (found.texts, found.domains, found.causes) == ([text], [domain], [])
    assert found.keys == ["a.jsonl@0"]


def test_a_record_of_no_known_form_is_told(tmp_path: Path) -> None:
    rows = [{"text": "甲"}, {"foo": 1}, {"questions": [[]], "answers": ["x"]}, {"text": "乙", "score": 0.5}]
    (tmp_path / "a.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    found = read("medical", tmp_path)
    assert found.texts == ["甲", "乙"]
    assert found.signals == [{}, {"score": 0.5}]
    assert ["known forms" in found.causes[0], "not so formed" in found.causes[1]] == [True, True]


def test_gb18030_dialogues_with_broken_quotes(tmp_path: Path) -> None:
    rows = [
        "department,title,ask,answer",
        "心血管科,能吃吗？,我有高血压，能吃党参吗？,可以的。",
        '内科,"带,逗号","他说""疼""了",好好休息',
        '外科,没有收尾,"引号从这里开始,没有结束',
        "神经科,下一行,还在,不能被吞掉",
        '皮肤科,两行,"第一行',
        '第二行",答',
        "儿科,多了,一个,逗号,在答里",
        "缺栏,只有两个",
    ]
    (tmp_path / "样例.csv").write_bytes(("\r\n".join(rows) + "\r\n").encode("gb18030"))
    found = read("medical", tmp_path)
    assert found.domains == ["心血管科", "内科", "外科", "神经科", "皮肤科", "儿科"]
    assert found.texts[1] == '带,逗号\n他说"疼"了\n好好休息'
    assert found.texts[2] == '没有收尾\n"引号从这里开始\n没有结束'
    assert found.texts[3] == "下一行\n还在\n不能被吞掉"
    assert found.texts[4] == "两行\n第一行\n第二行\n答"
    assert found.texts[5].endswith("一个\n逗号,在答里")
    assert found.causes == ["2 fields where the header has 4"]


CELL = st.text(st.sampled_from('甲乙,"\n 。'), min_size=1, max_size=8).filter(lambda text: bool(text.strip()))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6))
def test_well_formed_csv_is_read_as_csv_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    import csv

    file = tmp_path_factory.mktemp("csv") / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    found = list(read_csv(Span(file, 0, file.stat().st_size)))
    assert not any(isinstance(row, Unreadable) for row in found)
    assert [tuple(row[1].values()) for row in found if not isinstance(row, Unreadable)] == rows


def test_texts_of_pairs_and_of_prose(tmp_path: Path) -> None:
    pairs = "\n\n\n".join(f"问题{n}？\n回答{n}。" for n in range(6)) + "\n"
    (tmp_path / "内科.txt").write_bytes((pairs + "的一是在不了有和人这" * 9).encode("gb18030"))
    (tmp_path / "书.txt").write_text("第一段。\n\n第二段，只有一行。\n", encoding="utf-8")
    found = read("medical", tmp_path)
    assert "问题3？\n回答3。" in found.texts
    assert "第一段。\n\n第二段，只有一行。\n" in found.texts
