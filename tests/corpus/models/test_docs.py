"""docs/models: its commands are such as the parser takes, and both languages say the same."""

from __future__ import annotations

import re
import shlex

import pytest

from corpus.cli import parser

from ...conftest import ROOT

NAMES = ("models.md", "models.zh-CN.md")


def commands(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_parses(name: str) -> None:
    found = [shlex.split(line) for line in commands(name) if line.startswith("corpus ")]
    assert len(found) > 10
    for _, *words in found:
        parser().parse_args(words)


def test_both_languages_have_the_same_commands_and_figures() -> None:
    english, chinese = (commands(name) for name in NAMES)
    assert english == chinese
    rows = []
    for name in NAMES:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("|") and re.search(r"\|\s*[\d.]", line)]
        rows.append([re.findall(r"(?<![\w-])\.?\d[\d.,]*", line) for line in lines])
    assert rows[0] == rows[1]
    assert len(rows[0]) > 12


def test_every_option_that_is_named_exists() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    code = (ROOT / "corpus" / "cli_models.py").read_text(encoding="utf-8")
    for option in set(re.findall(r"`(--[a-z-]+)", text)):
        assert f'"{option}"' in code or option in ("--positive", "--negative"), option
