from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.cli import command
from corpus.models.labels import Given, estimates
from corpus.models.strata import allocate, inert
from workbench.errors import ConfigError, InputError, OutputError


def export(corpus: Path, out: Path, *words: object) -> list[dict[str, Any]]:
    assert command(["classifier", "label", "export", str(corpus), "--out", str(out), *map(str, words)]) == 0
    if out.suffix == ".csv":
        with out.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def load(corpus: Path, out: Path, *words: object) -> dict[str, Any]:
    command(["classifier", "label", "import", *map(str, words), "--corpus", str(corpus), "--out", str(out)])
    record: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    return record


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 200))
def test_the_sample_is_shared_out_evenly(sizes: list[int], more: int) -> None:
    n = len(sizes) + more
    taken = allocate(sizes, n)
    assert sum(taken) == min(n, sum(sizes))
    assert all(1 <= some <= size for some, size in zip(taken, sizes, strict=True))
    open_ones = [some for some, size in zip(taken, sizes, strict=True) if some < size]
    if open_ones:  # whoever has fewer than another has no more to give
        assert max(open_ones) - min(open_ones) <= 1
        assert max(taken) <= max(open_ones) + 1 or max(taken) <= min(open_ones)


def test_a_sample_of_each_stratum_with_its_size(tmp_path: Path, corpus: Path) -> None:
    rows = export(corpus, tmp_path / "a.jsonl", "--n", 60)
    kept = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    sizes = {f"{domain} · {bucket}": n for domain, bucket, n in kept.group_by("domain", "bucket").len().iter_rows()}
    assert len(sizes) == 6
    assert len(rows) == len({row["id"] for row in rows}) == 60
    texts = dict(kept.select("id", "text").iter_rows())
    for row in rows:
        assert row["label"] == ""
        assert row["text"] == " ".join(texts[row["id"]].split())[:300].strip()
        assert row["stratum"] == f"{row['domain']} · {row['bucket']}"
        assert (row["stratum_documents"], row["stratum_sample"]) == (sizes[row["stratum"]], 10)
    assert len({row["stratum"] for row in rows[:12]}) > 3  # the strata are mixed
    table = export(corpus, tmp_path / "a.csv", "--n", 60)
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfid,label,text,domain,bucket")


def test_the_seed_and_the_condition_choose(tmp_path: Path, corpus: Path) -> None:
    def ids(name: str, *words: object) -> set[str]:
        return {row["id"] for row in export(corpus, tmp_path / name, "--n", 30, "--by", "domain", *words)}

    one = ids("a.jsonl")
    assert ids("b.jsonl") == one
    assert len(ids("c.jsonl", "--seed", 1) & one) < 20
    few = export(
        corpus, tmp_path / "d.jsonl", "--n", 500, "--by", "bucket", "--where", "domain = '新闻' and chars > 100"
    )
    assert {row["bucket"] for row in few} <= {"head", "middle", "tail"}
    assert len(few) == sum({row["stratum"]: row["stratum_documents"] for row in few}.values()) < 500


def test_what_a_table_program_would_run_is_text() -> None:
    assert [inert(cell) for cell in ("=1+1", "@x", "好", "")] == ["'=1+1", "'@x", "好", ""]


def test_export_mistakes(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "a.jsonl").write_text("labels of three weeks", encoding="utf-8")
    for out, words, error, found in (
        ("a.jsonl", ["--n", 10], OutputError, "perhaps with labels"),
        ("b.txt", ["--n", 10], ConfigError, "neither .jsonl nor .csv"),
        ("b.csv", ["--n", 5], ConfigError, "6 strata"),
        ("b.csv", ["--n", 50, "--by", "domian"], ConfigError, "did you mean domain"),
        ("b.csv", ["--n", 50, "--where", "chars > 1000000"], InputError, "no document satisfies"),
    ):
        with pytest.raises(error, match=found):
            export(corpus, tmp_path / out, *words)
    with pytest.raises(InputError, match="is no built corpus"):
        export(tmp_path, tmp_path / "b.csv", "--n", 5)
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == "labels of three weeks"
    assert not (tmp_path / "b.csv").exists()


def test_every_row_is_used_or_told(tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = export(corpus, tmp_path / "a.jsonl", "--n", 40)
    for n, row in enumerate(rows):
        row["label"] = "广告" if n % 4 == 0 else " 正文\n"
    rows[0]["label"] = ""
    rows[1]["id"] = "wudao/none"
    rows[2]["label"] = "正闻"
    second = [{"id": row["id"], "label": row["label"]} for row in rows[10:14]]
    second[0]["label"] = "不同"
    second.append({"id": "", "label": "正文"})
    first = write(tmp_path / "one.jsonl", rows)
    write(tmp_path / "two.jsonl", second)
    (tmp_path / "two.jsonl").open("ab").write(b'{"id": broken\n')
    record = load(corpus, tmp_path / "out.parquet", first, tmp_path / "two.jsonl", "--labels", "正文,广告,不同")
    said = capsys.readouterr()
    found = record["results"]
    why = [one["why"] for one in found["problems"]]
    assert sorted(why) == sorted(
        [
            "empty label",
            "id not in the corpus",
            "label not asked for",
            "labels disagree",
            "labels disagree",
            "no id",
            "unreadable",
        ]
    )
    for one in found["problems"]:
        assert one["why"] in said.err
    assert found["rows"] == 46 == found["documents"] + found["repeated"] + len(found["problems"])
    assert (found["documents"], found["repeated"]) == (36, 3)
    assert found["labelled_more_than_once"] == {"documents": 4, "agree": 3}
    made = pl.read_parquet(tmp_path / "out.parquet")
    kept = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    assert made["text"].to_list() == made.join(kept, on="id", maintain_order="left")["text_right"].to_list()
    assert rows[10]["id"] not in set(made["id"])
    assert found["labels"] == dict(made["label"].value_counts().iter_rows())
    assert set(found["labels"]) == {"正文", "广告"}
    # and classifier train reads it as it is
    words = ["--held-out-share", "0.4", "--epochs", "1", "--out", str(tmp_path / "m.bin")]
    assert command(["classifier", "train", str(tmp_path / "out.parquet"), *words]) == 0


def test_a_table_comes_back_as_the_lines_do(tmp_path: Path, corpus: Path) -> None:
    results = []
    for suffix in ("csv", "jsonl"):
        rows = export(corpus, tmp_path / f"a.{suffix}", "--n", 30)
        for row in rows:
            row["label"] = row["domain"]
        path = write(tmp_path / "done.jsonl", rows)
        if suffix == "csv":
            path = tmp_path / "done.csv"
            pl.DataFrame(rows).write_csv(path, include_bom=True)
        record = load(corpus, tmp_path / f"{suffix}.parquet", path)
        results.append((record["results"], pl.read_parquet(tmp_path / f"{suffix}.parquet").rows()))
    assert results[0] == results[1]
    shares = {label: one["share"] for label, one in results[0][0]["estimates"]["labels"].items()}
    kept = pl.read_parquet(corpus / "kept" / "*" / "*.parquet", hive_partitioning=False)
    assert shares["新闻"] == pytest.approx(len(kept.filter(domain="新闻")) / len(kept))  # each stratum is of one domain


def test_estimates_by_hand() -> None:
    rows = [Given("", str(n), "ad" if n < 3 else "ok", "one", 80) for n in range(10)]
    rows += [Given("", str(n), "ad" if n < 14 else "ok", "two", 20) for n in range(10, 15)]
    found = estimates(rows)
    assert found is not None
    assert found["labels"]["ad"]["share"] == pytest.approx(0.8 * 0.3 + 0.2 * 0.8)
    variance = 0.64 * (1 - 10 / 80) * 0.3 * 0.7 / 9 + 0.04 * (1 - 5 / 20) * 0.8 * 0.2 / 4
    assert found["labels"]["ad"]["standard_error"] == pytest.approx(math.sqrt(variance))
    assert found["labels"]["ok"]["share"] == pytest.approx(1 - found["labels"]["ad"]["share"])
    lone = estimates([*rows, Given("", "x", "ok", "three", 5)])
    assert lone is not None
    assert lone["labels"]["ok"]["standard_error"] is None
    assert estimates([*rows, Given("", "x", "ok", None, None)]) is None


def test_import_mistakes(tmp_path: Path, corpus: Path) -> None:
    rows = export(corpus, tmp_path / "a.jsonl", "--n", 12)
    with pytest.raises(InputError, match="none of its labels can be used"):
        load(corpus, tmp_path / "out.parquet", tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="no such file"):
        load(corpus, tmp_path / "out.parquet", tmp_path / "b.jsonl")
    write(tmp_path / "c.jsonl", [{"id": row["id"], "lable": "x"} for row in rows])
    with pytest.raises(InputError, match="label: no such column; did you mean lable"):
        load(corpus, tmp_path / "out.parquet", tmp_path / "c.jsonl")
    with pytest.raises(OutputError, match=r"does not end in \.parquet"):
        load(corpus, tmp_path / "out.csv", tmp_path / "a.jsonl")
    assert not (tmp_path / "out.parquet").exists()
