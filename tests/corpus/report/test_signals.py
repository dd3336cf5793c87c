from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from corpus.report.signals import measure_signals, position

from ..everything import parquet


def write(folder: Path, **columns: Any) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "part-0.parquet"
    pl.DataFrame(columns, strict=False).write_parquet(path)
    return [path]


def mark(op: str, value: float) -> dict[str, Any]:
    return {"op": op, "value": value, "stage": "rules", "reason": "r", "condition": "c", "alone": True}


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["signal"]: one for one in found}


def test_every_known_value_is_in_a_bin(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    chars = rng.lognormal(6, 2, 5000)
    kept = write(tmp_path / "k", chars=chars[:4000], share=[None, *rng.random(3999)])
    gone = write(tmp_path / "r", chars=chars[4000:], share=[float("inf"), float("nan"), *rng.random(998)])
    found = by_name(measure_signals(kept, gone, {"chars": [mark("<", 1.0)]}))
    for name, one in found.items():
        assert sum(one["kept_counts"]) == one["kept"], name
        assert sum(one["rejected_counts"]) == one["rejected"], name
    assert found["chars"]["scale"] == "log"
    assert (found["share"]["kept"], found["share"]["rejected"], found["share"]["scale"]) == (3999, 998, "linear")


def test_a_threshold_lies_inside_and_parts_kept_from_rejected(tmp_path: Path) -> None:
    kept = write(tmp_path / "k", broken_share=np.linspace(0, 0.01, 2000))
    gone = write(tmp_path / "r", broken_share=[0.3, 0.6, 0.9])
    (one,) = measure_signals(kept, gone, {"broken_share": [mark(">", 0.05)]})
    assert one["low"] <= 0.05 < one["high"]
    at = position(one["low"], one["high"], False, 0.05)
    bins = len(one["kept_counts"])
    assert sum(one["rejected_counts"][: int(at * bins)]) == 0
    assert sum(one["rejected_counts"][int(at * bins) :]) == 3
    assert sum(one["kept_counts"][: int(at * bins) + 1]) == 2000


def test_counts_of_few_values_have_a_bin_each(tmp_path: Path) -> None:
    kept = write(tmp_path / "k", lines=pl.Series([1, 1, 1, 2, 3, 5], dtype=pl.UInt32))
    (one,) = measure_signals(kept, [], {})
    assert one["kept_counts"] == [3, 1, 1, 0, 1]
    assert one["rejected_counts"] == [0] * 5


def test_one_value_alone_has_no_bins(tmp_path: Path) -> None:
    (one,) = measure_signals(write(tmp_path / "k", x=[2.0, 2.0]), [], {})
    assert (one["low"], one["high"], one["kept_counts"]) == (2.0, 2.0, [])


def test_labels_are_counted_and_kinds_are_split(tmp_path: Path) -> None:
    kept = write(tmp_path / "k", lang=["zh", "zh", "en"], boilerplate_kinds=["", "editor,source", "editor"])
    gone = write(tmp_path / "r", lang=["zh", None, None], boilerplate_kinds=["source", "", ""])
    found = by_name(measure_signals(kept, gone, {}))
    assert found["lang"]["values"] == [
        {"value": "zh", "kept": 2, "rejected": 1},
        {"value": "en", "kept": 1, "rejected": 0},
    ]
    counted = {row["value"]: (row["kept"], row["rejected"]) for row in found["boilerplate_kinds"]["values"]}
    assert counted == {"editor": (2, 0), "source": (1, 1)}


def test_a_signal_that_only_later_passes_know_counts_who_came_so_far(everything: Path) -> None:
    report = json.loads((everything / "report.json").read_text(encoding="utf-8"))
    found = by_name(report["signals"])
    kept, gone = parquet(everything / "kept"), parquet(everything / "rejected")
    for name in ("chars", "han_share", "perplexity", "sensitive_score", "near_jaccard"):
        assert found[name]["kept"] == kept[name].drop_nulls().len()
        assert found[name]["rejected"] == gone[name].drop_nulls().len()
    assert found["perplexity"]["known"] < found["chars"]["known"]
    assert found["near_jaccard"]["rejected"] == gone.filter(pl.col("reason") == "near_duplicate").height
    assert [one["reason"] for one in found["chars"]["thresholds"]] == ["short", "digits"]


def test_no_files_no_signals() -> None:
    assert measure_signals([], [], {}) == []


@pytest.mark.parametrize(("value", "at"), [(0, 0), (99, 1), (9, 0.5), (-5, 0), (1e9, 1)])
def test_positions_by_logarithm(value: float, at: float) -> None:
    assert position(0, 99, True, value) == pytest.approx(at)


def test_a_side_without_files_or_without_the_column(tmp_path: Path) -> None:
    kept = write(tmp_path / "k", lang=["zh"], a_kinds=["x,y"], repaired=[True], chars=[3])
    found = by_name(measure_signals(kept, [], {}))
    assert {row["value"] for row in found["a_kinds"]["values"]} == {"x", "y"}
    assert found["repaired"]["values"] == [{"value": "true", "kept": 1, "rejected": 0}]
    found = by_name(measure_signals(kept, write(tmp_path / "r", other=[1.5]), {}))
    assert (found["chars"]["rejected"], found["other"]["rejected"], found["other"]["kept"]) == (0, 1, 0)
