from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from corpus.sources.benchmarks import BENCHMARKS, read_benchmarks
from corpus.sources.benchmarks.packed import archives, roots
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


def test_the_splits_that_are_asked_for_are_all_that_is_read(tmp_path: Path) -> None:
    for split in ("dev", "val", "test"):
        (tmp_path / "mmlu" / split).mkdir(parents=True)
        good = "q,1,2,3,4,A\n" if split != "val" else "broken\n"
        (tmp_path / "mmlu" / split / f"arts_{split}.csv").write_text(good, encoding="utf-8")
    found = BENCHMARKS["mmlu"](tmp_path / "mmlu", {"dev", "test"})
    assert [item.split for item in found] == ["dev", "test"]
    with pytest.raises(InputError, match="row 1 has 1 columns"):
        list(BENCHMARKS["mmlu"](tmp_path / "mmlu"))
    lines = [f'{{"text": "t", "code": "c", "task_id": {n}, "test_list": []}}' for n in (1, 11, 511, 601)]
    (tmp_path / "mbpp.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert [item.number for item in BENCHMARKS["mbpp"](tmp_path, {"dev", "val"})] == [1, 511]
    (tmp_path / "train.jsonl").write_text("no JSON", encoding="utf-8")
    (tmp_path / "test.jsonl").write_text('{"question": "q", "answer": "#### 1"}', encoding="utf-8")
    assert [item.answer for item in BENCHMARKS["gsm8k"](tmp_path, {"test"})] == ["1"]


def test_a_file_with_a_missing_column_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "cmmlu" / "data" / "test"
    folder.mkdir(parents=True)
    (folder / "anatomy.csv").write_text(",Question,A,B,C,D,Answer\n0,问,一,二\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2 has 4 columns"):
        list(BENCHMARKS["cmmlu"](tmp_path / "cmmlu"))


def test_columns_in_another_order_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "cmmlu" / "test"
    folder.mkdir(parents=True)
    (folder / "anatomy.csv").write_text(",Question,B,A,C,D,Answer\n0,问,一,二,三,四,A\n", encoding="utf-8")
    with pytest.raises(InputError, match="has the columns ,Question,B,A,C,D,Answer, not ,Question,A,B,C,D,Answer"):
        list(BENCHMARKS["cmmlu"](tmp_path / "cmmlu"))
    (folder / "anatomy.csv").write_text(",Question,A,B,C,D,Answer\n0,问,一,二,三,四,一\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2 has '一' where an answer, A to D, is expected"):
        list(BENCHMARKS["cmmlu"](tmp_path / "cmmlu"))


def test_archives_are_found_in_the_folder_and_beside_it(tmp_path: Path) -> None:
    csv = tmp_path / "anatomy.csv"
    csv.write_text(",Question,A,B,C,D,Answer\n0,问,一,二,三,四,A\n", encoding="utf-8")
    (tmp_path / "inside/cmmlu").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "inside/cmmlu/cmmlu_v1_0_1.zip", "w") as packed:
        packed.write(csv, "test/anatomy.csv")
        packed.writestr("__MACOSX/test/anatomy.csv", "no")
    (tmp_path / "beside").mkdir()
    with tarfile.open(tmp_path / "beside/cmmlu.tar.gz", "w:gz") as tar:
        tar.add(csv, "cmmlu/data/test/anatomy.csv")
    for name in ("inside", "beside"):
        found = [item for root in roots(tmp_path / name, "cmmlu") for item in BENCHMARKS["cmmlu"](root)]
        assert [item.question for item in found[:1]] == ["问"]
        assert [path.name for path in archives(tmp_path / name, "cmmlu")] != []


def test_a_line_that_is_not_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"question": "q", "answer": "#### 1"}\n{"question"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"test\.jsonl:2"):
        list(BENCHMARKS["gsm8k"](tmp_path))
    (tmp_path / "test.jsonl").write_text('{"question": "q"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="has no answer"):
        list(BENCHMARKS["gsm8k"](tmp_path))
