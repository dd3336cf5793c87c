from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from workbench.command import Parser, did_you_mean, run
from workbench.console import format_cell, table
from workbench.errors import ConfigError, GateFailed, InputError, OutputError, UserError
from workbench.files import atomic_path, make_folder, read_text, sha256_file, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_left_overs_of_a_crash_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.123.tmp").write_text("half", encoding="utf-8")
    write_text(tmp_path / "a.txt", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with atomic_path(tmp_path / "d") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content, encoding="utf-8")
    assert [file.name for file in (tmp_path / "d").iterdir()] == ["two"]


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="free some space"), atomic_path(tmp_path / "a") as temporary:
        raise OSError(28, "No space left on device", str(temporary))


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(tmp_path / "file" / "below")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf")


def test_did_you_mean() -> None:
    assert did_you_mean("wudoa", ["wudao", "books"]) == "did you mean wudao?"
    assert did_you_mean("zzz", ["b", "a"]) == "choose from: a, b"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a.json", "is empty", "give another"), 2),
        (ConfigError("k", "v", "r"), 2),
        (GateFailed("two of five"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def command(words: Sequence[str]) -> int:
        raise error

    with pytest.raises(SystemExit) as left:
        run(command, [])
    assert left.value.code == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    def command(words: Sequence[str]) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(command, [])


def test_user_errors_are_one_line_even_if_their_parts_are_not() -> None:
    assert str(UserError("a\nb", "c\n\nd", "e")) == "a b: c d; e"


def test_parser_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("corpus")
    parser.add_subparsers(dest="verb", required=True, parser_class=Parser).add_parser("build")
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["biuld"])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert "did you mean build?" in told
    assert told.count("\n") == 1


def test_table_and_cells(capsys: pytest.CaptureFixture[str]) -> None:
    table(("领域", "documents", "share"), [("新闻", 12345, 0.123456), ("评论", None, 1.0)])
    out = capsys.readouterr().out
    assert "12,345" in out
    assert "0.1235" in out
    assert "–" in out
    assert format_cell(1234567.8) == "1,234,568"
    assert format_cell(True) == "yes"


@pytest.mark.parametrize("package", ["corpus", "tokenizer", "train", "eval"])
def test_help_answers_without_heavy_imports(package: str) -> None:
    heavy = ("torch", "transformers", "polars", "numba", "pyarrow", "datasets", "matplotlib")
    code = (
        f"import sys\nfrom {package}.cli import main\nsys.argv = ['x', '--help']\n"
        f"try:\n    main()\nexcept SystemExit as left:\n    assert left.code == 0, left.code\n"
        f"found = [name for name in {heavy!r} if name in sys.modules]\nassert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"a\xff", "is not UTF-8 at byte 1"), (None, "cannot be read")]
)
def test_a_text_that_cannot_be_read_is_one_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_text(tmp_path / "t.txt")


def test_a_text_keeps_its_line_ends(tmp_path):
    (tmp_path / "t.txt").write_bytes("研\r\n墨\r".encode())
    assert read_text(tmp_path / "t.txt") == "研\r\n墨\r"
