"""The README is tested against what is there: its tree, its commands, its two languages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")}
PACKAGES = ("workbench", "corpus", "tokenizer", "train", "eval")


def block(text: str, first: str) -> str:
    """Return the fenced block that begins with a line."""
    found = [b for b in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) if b.startswith(first)]
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("name", TEXTS)
def test_the_tree_is_what_is_there(name: str) -> None:
    tree = block(TEXTS[name], "workbench/")
    folders = re.findall(r"^(\w+)/", tree, re.MULTILINE)
    there = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    assert sorted(folders) == [
        folder for folder in there if folder not in ("data", "build") and "egg-info" not in folder
    ]
    for part in re.split(r"^(?=\w+/)", tree, flags=re.MULTILINE):
        folder = part.partition("/")[0]
        if folder in PACKAGES[1:]:
            inside = re.sub(r"[（(][^（()）]*[)）]", "", part.partition("/")[2])
            for word in re.findall(r"[a-z_]+/?", inside):
                path = ROOT / folder / word
                assert path.is_dir() or path.with_suffix(".py").is_file() or word in ("and",), f"{folder}: {word}"


def test_both_languages_show_the_same_commands() -> None:
    def commands(text: str) -> list[str]:
        return re.findall(
            r"(?:make \w+|(?:corpus|tokenizer|train|evaluate) [\w.=-]+)",
            "\n".join(re.findall(r"`[^`\n]+`|```sh.*?```", text, re.DOTALL)),
        )

    assert commands(TEXTS["README.md"]) == commands(TEXTS["README.zh-CN.md"])


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_commands_that_are_named_exist(package: str) -> None:
    name = {"eval": "evaluate"}.get(package, package)
    done = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True, check=True)
    for verb in set(re.findall(rf"^(?:\| `)?{name} ([a-z]+)\b(?!=)", TEXTS["README.md"], re.MULTILINE)):
        assert re.search(rf"\b{verb}\b", done.stdout), f"{name} {verb} is not in its --help"


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z-]+)", TEXTS["README.md"])):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_no_file_is_over_500_kb_and_none_names_a_machine() -> None:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size <= 500_000, name
            if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".html", ".css"):
                text = path.read_text(encoding="utf-8")
                assert "/work" + "/" not in text, name
                assert "/root" + "/" not in text, name


def test_python_files_of_the_packages_say_what_they_are() -> None:
    for package in PACKAGES:
        for path in Path(ROOT / package).rglob("*.py"):
            if path.name != "__main__.py":
                assert path.read_text(encoding="utf-8").lstrip().startswith('"""'), path
