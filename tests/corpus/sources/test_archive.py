from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from corpus.sources import archive
from corpus.sources.archive import Member, members
from corpus.sources.base import Skipped, Span, Unreadable


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(path: Path, *suffixes: str) -> tuple[dict[str, bytes], list[str], list[str]]:
    found = list(members(Span(path, 0, path.stat().st_size, path.parent), suffixes))
    data = {one.name: one.data for one in found if isinstance(one, Member)}
    causes = [one.cause for one in found if isinstance(one, Unreadable)]
    return data, causes, [one.cause for one in found if isinstance(one, Skipped)]


def test_archives_in_archives_are_read_as_folders(tmp_path: Path) -> None:
    inner = lzma.compress(tar_of({"1.txt": b"one", "2.txt": b"two"}))
    path = tmp_path / "o.tar.xz"
    path.write_bytes(lzma.compress(tar_of({"sub/inner_data.xz": inner, "plain.txt": b"plain"})))
    data, causes, _ = read(path)
    assert data == {"o/sub/inner_data/1.txt": b"one", "o/sub/inner_data/2.txt": b"two", "o/plain.txt": b"plain"}
    assert causes == []


def test_names_that_would_leave_the_folder_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in" / "evil.tar"
    path.parent.mkdir()
    path.write_bytes(tar_of({"../../out.txt": b"x", "/etc/y.txt": b"y"}))
    data, _, _ = read(path)
    assert sorted(data.values()) == [b"x", b"y"]
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["evil.tar"]
    assert all(name.startswith("evil/") and ".." not in name for name in data)


def test_a_broken_member_costs_that_member(tmp_path: Path) -> None:
    broken = lzma.compress(b"long enough to be cut" * 100)[:-10]
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"1.txt": b"one", "2.txt.xz": broken, "3.txt": b"three"}))
    data, causes, _ = read(path)
    assert list(data) == ["a/1.txt", "a/3.txt"]
    assert len(causes) == 1 and "a/2.txt: broken xz stream" in causes[0]


def test_a_cut_archive_keeps_what_is_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"1.txt": b"one", "2.txt": b"2" * 5000})[:3000])
    data, causes, _ = read(path)
    assert data["a/1.txt"] == b"one"
    assert causes


def test_limits_of_size_and_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "DOCUMENT_BYTES", 1000)
    data = b"deep"
    for level in range(6):
        data = tar_of({f"{level}.tar": data, f"{level}.txt": b"x", "big.txt": b"b" * 2000})
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    found, causes, _ = read(path)
    assert any("nested deeper" in cause for cause in causes)
    assert any("one document of more than" in cause for cause in causes)
    assert len(found) == 4


def test_other_and_hidden_members_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"1.txt": b"one", "x.png": b"png", ".hidden.txt": b"h"}))
    data, _, skipped = read(path, ".txt")
    assert list(data) == ["a/1.txt"]
    assert skipped == ["a member of another kind (.png)", "a hidden member of the archive"]
