"""A part of a corpus is read with the columns asked for, or refused by name."""

from __future__ import annotations

import polars as pl
import pytest

from corpus.kept import read_part
from workbench.errors import InputError


def test_words_are_strings_and_others_come_as_they_are_if_there(tmp_path):
    path = tmp_path / "part-00000.parquet"
    pl.DataFrame({"id": ["a", None], "n": [1, 2], "weight": [0.5, None]}).write_parquet(path)
    rows = read_part(path, ("n", "id"), ("weight", "nowhere"))
    assert rows.to_dict(as_series=False) == {"n": ["1", "2"], "id": ["a", ""], "weight": [0.5, None]}


@pytest.mark.parametrize(("content", "said"), [(None, "is missing"), (b"no parquet", "is not a part of a corpus")])
def test_what_is_no_part_is_refused(tmp_path, content, said):
    path = tmp_path / "part-00000.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_part(path, ("id",))


def test_a_part_that_lacks_a_column_is_refused(tmp_path):
    path = tmp_path / "part-00000.parquet"
    pl.DataFrame({"id": ["a"]}).write_parquet(path)
    with pytest.raises(InputError, match="is not a part of a corpus"):
        read_part(path, ("id", "text"))
