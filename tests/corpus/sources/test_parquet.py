from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from corpus.sources import Span, configure, plan
from tests.corpus.sources.reading import Read, read
from workbench.errors import InputError


def table(rows: int) -> pa.Table:
    return pa.table(
        {
            "id": list(range(rows)),
            "text": [f"第{n}篇。" for n in range(rows)],
            "score": [None if n == 1 else n / 2 for n in range(rows)],
            "kind": pa.array(["a" if n % 2 else "b" for n in range(rows)]).dictionary_encode(),
            "info": [{"quality": n, "url": f"http://example.org/{n}" + "x" * 80} for n in range(rows)],
        }
    )


def test_the_hubs_layout(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    parquet.write_table(table(30), folder / "train-00000-of-00002.parquet", row_group_size=7)
    parquet.write_table(table(3), folder / "train-00001-of-00002.parquet")
    found = read("parquet", tmp_path)
    assert len(found.texts) == 33
    assert found.keys[30] == "data/train-00001-of-00002.parquet#0"
    assert found.signals[1] == {"kind": "a", "info.quality": 1.0}
    assert found.signals[2] == {"score": 1.0, "kind": "b", "info.quality": 2.0}
    assert len(set(found.keys)) == 33


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 60), group=st.integers(1, 20), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_any_cut_between_row_groups_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, cuts: list[int]
) -> None:
    file = tmp_path_factory.mktemp("parquet") / "a.parquet"
    parquet.write_table(table(rows), file, row_group_size=group)
    groups = -(-rows // group)
    edges = [0, *sorted(cut for cut in cuts if cut < groups), groups]
    source, found = configure("parquet", {}), Read()
    for start, end in zip(edges, edges[1:], strict=False):
        for chunk in source.read(Span(file, start, end, file.parent)):
            found.add(chunk)
    assert found.texts == [f"第{n}篇。" for n in range(rows)]
    assert found.keys == [f"a.parquet#{n}" for n in range(rows)]


def test_row_groups_are_spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.sources.parquet.SPAN_BYTES", 1000)
    parquet.write_table(table(200), tmp_path / "a.parquet", row_group_size=20)
    spans = plan(configure("parquet", {}), tmp_path)
    assert len(spans) > 3
    assert [span.end for span in spans[:-1]] == [span.start for span in spans[1:]]


@pytest.mark.parametrize("form", ["stream", "file"])
def test_a_datasets_folder(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    rows = table(25)
    with make(folder / "data-00000-of-00001.arrow", rows.schema) as writer:
        for batch in rows.to_batches(max_chunksize=10):
            writer.write_batch(batch)
    (folder / "cache-123.arrow").write_bytes(b"not data")
    (folder / "dataset_info.json").write_text("{}", encoding="utf-8")
    (folder / "state.json").write_text("{}", encoding="utf-8")
    found = read("parquet", tmp_path)
    assert found.texts == [f"第{n}篇。" for n in range(25)]
    assert found.causes == []


def test_save_to_disk_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["甲", "乙"], "n": [1, 2]}).save_to_disk(tmp_path / "set")
    found = read("parquet", tmp_path / "set")
    assert found.texts == ["甲", "乙"]
    assert found.signals == [{"n": 1.0}, {"n": 2.0}]


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    rows = pa.table({"text": [f"{n}:" + "字" * 400 for n in range(60)]})
    parquet.write_table(rows, file, row_group_size=20, compression="zstd", use_dictionary=False)
    data = bytearray(file.read_bytes())
    column = parquet.read_metadata(file).row_group(1).column(0)
    for n in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size):
        data[n] = 0xFF
    file.write_bytes(bytes(data))
    found = read("parquet", file)
    assert [int(text.split(":")[0]) for text in found.texts] == [*range(20), *range(40, 60)]
    assert any("rows 20 to 39 are broken" in cause for cause in found.causes)


def test_files_that_are_no_tables_and_columns_that_are_not_there(tmp_path: Path) -> None:
    parquet.write_table(table(3), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "c.parquet").write_bytes(b"")
    found = read("parquet", tmp_path)
    assert len(found.texts) == 3
    assert len(found.causes) == 2
    with pytest.raises(InputError, match="did you mean text"):
        configure("parquet", {"text": "txt"}).files(tmp_path)
