"""Rows of several sets at once: counts that add up, weights laid out after duplicates are gone."""

from __future__ import annotations

import json

import pytest

from corpus.instructions.gather import gather
from workbench.errors import InputError

LONG = "请用三句话说明研墨的步骤，并指出初学者最容易犯的错误，第{}种。"


def test_counts_add_up_and_weights_follow_cleaning(tmp_path):
    rows = [
        {"prompt": LONG.format(n) * 2, "completion": f"{n}：水少则浓，水多则淡，轻推慢磨。" * (n + 1)} for n in range(6)
    ]
    for name, some in (("甲", [*rows, {"prompt": "空", "completion": ""}]), ("乙", [rows[0], rows[1]])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)), encoding="utf-8")
    found = gather([str(tmp_path / "甲.jsonl"), f"{tmp_path}/乙.jsonl@3"], "sft")
    one, two = found.sets
    assert (one.records, one.rows, one.faulty, one.rows_per_pass) == (7, 6, 1, 6)
    assert (two.records, two.rows, two.faulty, two.rows_per_pass) == (2, 2, 0, 0)  # both are in the first set
    assert len(found.removed) == 2
    assert len(list(found.laid_out())) == len(found.rows) == 6
    assert one.said().endswith("甲.jsonl: 7 records (7 completion), 6 rows, 1 bad")
    alone = gather([f"{tmp_path}/乙.jsonl@3"], "sft")
    assert [row.id for row in alone.laid_out()] == ["乙.jsonl:1"] * 3 + ["乙.jsonl:2"] * 3
    same = gather([f"{tmp_path}/乙.jsonl", f"{tmp_path}/乙.jsonl@3"], "sft")  # the same file again: ids repeat
    assert [one.rows_per_pass for one in same.sets] == [2, 0]
    assert len(list(same.laid_out())) == 2
    twice = gather([f"{tmp_path}/甲.jsonl", f"{tmp_path}/乙.jsonl@3"], "sft", min_jaccard=None)
    assert len(list(twice.laid_out())) == 6 + 6


def test_nothing_left_is_one_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "问", "completion": ""}', encoding="utf-8")
    with pytest.raises(InputError, match="no row is left of 1; the first: the answer is empty"):
        gather([str(tmp_path / "a.jsonl")], "sft")
