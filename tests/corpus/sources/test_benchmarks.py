from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from corpus.sources.benchmarks import BENCHMARKS, read_benchmarks
from workbench.errors import InputError

OFFICIAL = {
    ("mmlu", "dev"): 285, ("mmlu", "val"): 1531, ("mmlu", "test"): 14042,
    ("ceval", "dev"): 260, ("ceval", "val"): 1346, ("ceval", "test"): 12342,
    ("cmmlu", "dev"): 335, ("cmmlu", "test"): 11582,
    ("gsm8k", "train"): 7473, ("gsm8k", "test"): 1319,
    ("math500", "test"): 500, ("humaneval", "test"): 164, ("bbh", "test"): 6511,
    ("mbpp", "dev"): 10, ("mbpp", "test"): 500, ("mbpp", "val"): 90, ("mbpp", "train"): 374,
}  # fmt: skip


def test_counts_of_the_official_files(shared: Path, tmp_path: Path) -> None:
    for archive in sorted((shared / "benchmarks").glob("*.tar.xz")):
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, filter="data")
    items = list(read_benchmarks(tmp_path))
    assert Counter((item.benchmark, item.split) for item in items) == OFFICIAL
    assert len({item.id for item in items}) == len(items)
    for item in items:
        assert item.question.strip()
        if item.choices:
            assert len(item.choices) == 4
            assert item.answer in ("A", "B", "C", "D") or (item.benchmark, item.split) == ("ceval", "test")


def test_a_file_with_a_missing_column_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "cmmlu" / "data" / "test"
    folder.mkdir(parents=True)
    (folder / "anatomy.csv").write_text(",Question,A,B,C,D,Answer\n0,问,一,二\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2 has 4 columns"):
        list(BENCHMARKS["cmmlu"](tmp_path / "cmmlu"))


def test_a_line_that_is_not_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"question": "q", "answer": "#### 1"}\n{"question"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"test\.jsonl:2"):
        list(BENCHMARKS["gsm8k"](tmp_path))
    (tmp_path / "test.jsonl").write_text('{"question": "q"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="has no answer"):
        list(BENCHMARKS["gsm8k"](tmp_path))
