from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from corpus.report.joined import QUANTILES, join_buckets

from ..everything import parquet


def write(path: Path, **columns: object) -> list[Path]:
    pl.DataFrame(columns).write_parquet(path)
    return [path]


def test_cells_and_quantiles_within_language(tmp_path: Path) -> None:
    zh, en = [n / 100 for n in range(100)], [1 + n / 10 for n in range(10)]
    files = write(
        tmp_path / "a.parquet",
        lang=["zh"] * 100 + ["en"] * 10 + ["zh"],
        bucket=["head"] * 50 + ["tail"] * 50 + ["middle"] * 10 + ["head"],
        quality=[*zh, *en, None],
        chars=[10] * 111,
    )
    found = join_buckets(files)
    assert found is not None
    cells = {(cell["bucket"], cell["quantile"]): cell["documents"] for cell in found["cells"]}
    assert len(cells) == 3 * QUANTILES
    assert [cells["middle", q] for q in range(1, 6)] == [2] * 5  # en: its own quantiles, though above all of zh's
    assert [cells["head", q] for q in range(1, 6)] == [20, 20, 10, 0, 0]
    assert [cells["tail", q] for q in range(1, 6)] == [0, 0, 10, 20, 20]
    assert found["unknown"] == 1
    assert [row["lang"] for row in found["begins"]] == ["zh", "en"]
    assert sum(cell["chars"] for cell in found["cells"]) == 1100


def test_the_named_beginnings_select_the_cells(everything: Path) -> None:
    joined = json.loads((everything / "report.json").read_text(encoding="utf-8"))["joined"]
    kept = parquet(everything / "kept")
    assert sum(cell["documents"] for cell in joined["cells"]) + joined["unknown"] == len(kept)
    (begins,) = [row for row in joined["begins"] if row["lang"] == "zh"]
    upper = kept.filter((pl.col("lang") == "zh") & (pl.col("bucket") == "head") & (pl.col("quality") >= begins["q4"]))
    others = [row["lang"] for row in joined["begins"] if row["lang"] != "zh"]
    said = sum(c["documents"] for c in joined["cells"] if c["bucket"] == "head" and c["quantile"] >= 4)
    assert len(upper) <= said <= len(upper) + kept.filter(pl.col("lang").is_in(others)).height


def test_without_a_score_there_is_no_table(tmp_path: Path) -> None:
    assert join_buckets([]) is None
    assert join_buckets(write(tmp_path / "a.parquet", lang=["zh"], bucket=["head"], chars=[1])) is None
    none = pl.Series([None], dtype=pl.Float32)
    assert join_buckets(write(tmp_path / "b.parquet", lang=["zh"], bucket=["head"], chars=[1], quality=none)) is None
