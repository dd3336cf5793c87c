from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest

from corpus.sources.benchmarks import read_benchmarks
from corpus.stages.decontaminate import Decontaminate
from workbench.errors import InputError

from ..made import prose

LONG = (
    "某工厂甲车间有工人三十二人，乙车间有工人二十八人，如果从甲车间调出若干人到乙车间，使两个车间人数相等，应调出多少人"
)
ENGLISH = (
    "A farmer has seventeen sheep and sells all but nine of them at the spring market near the old bridge before noon"
)
SHORT = "地球到月球的平均距离"


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Decontaminate, Path]:
    folder = tmp_path / "benchmarks" / "gsm8k"
    folder.mkdir(parents=True)
    questions = [
        LONG,
        ENGLISH,
        SHORT,
        "太短了",
        "下列说法中正确的是哪一个选项请选择：一",
        "下列说法中正确的是哪一个选项请选择：二",
    ]
    lines = [json.dumps({"question": q, "answer": "x #### 2"}, ensure_ascii=False) for q in questions]
    (folder / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    desk = tmp_path / "desk"
    desk.mkdir()
    made = Decontaminate(benchmarks=tmp_path / "benchmarks")
    made.prepare(None, desk)  # type: ignore[arg-type]
    return made, desk


def found(stage: tuple[Decontaminate, Path], text: str) -> str | None:
    made, desk = stage
    batch = pl.DataFrame({"text": [prose(random.Random(1)), text]})
    out = made.mark(batch, desk)
    assert out["benchmark_item"][0] is None
    value = out["benchmark_item"][1]
    return None if value is None else str(value)


def test_an_item_is_found_restyled_and_named(stage: tuple[Decontaminate, Path]) -> None:
    padding = prose(random.Random(2))
    assert found(stage, padding + LONG + padding) == "gsm8k/all/test/0"
    assert found(stage, padding + LONG.replace("，", " ") + padding) == "gsm8k/all/test/0"
    assert found(stage, f"Q: {ENGLISH.upper().replace(' ', '  ')}?") == "gsm8k/all/test/1"
    assert found(stage, f"问：{SHORT}？") == "gsm8k/all/test/2"


def test_part_of_an_item_or_a_common_phrase_is_not_the_item(stage: tuple[Decontaminate, Path]) -> None:
    assert found(stage, LONG[:24]) is None
    assert found(stage, "地球到月球的距离") is None
    assert found(stage, "太短了") is None
    assert found(stage, prose(random.Random(3), 60)) is None


def test_without_benchmarks_nothing_is_looked_for(tmp_path: Path) -> None:
    out = Decontaminate().mark(pl.DataFrame({"text": [LONG]}), tmp_path)
    assert out["benchmark_item"].null_count() == 1


def test_a_folder_without_benchmarks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        list(read_benchmarks(tmp_path / "none"))
    with pytest.raises(InputError, match="holds no benchmark"):
        list(read_benchmarks(tmp_path))
