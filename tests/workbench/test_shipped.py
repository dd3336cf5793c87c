"""A bare name is a shipped file, a path the user's own, anything else one line."""

from pathlib import Path

import pytest

from workbench.errors import ConfigError
from workbench.shipped import find, names_in


def test_a_bare_name_is_shipped_and_a_path_is_not_looked_for(tmp_path):
    for name in ("大", "小"):
        (tmp_path / f"{name}.yaml").touch()
    assert names_in(tmp_path) == sorted(["大", "小"])
    assert find(tmp_path, "小", "config=小", "recipe") == tmp_path / "小.yaml"
    for word in ("./小.yaml", "小.yml", "there/小"):
        assert find(tmp_path, word, "config", "recipe") == Path(word)


def test_what_is_not_there_is_one_line(tmp_path):
    (tmp_path / "zh-web.yaml").touch()
    with pytest.raises(
        ConfigError, match=r"^--recipe zh-wep: no such recipe; did you mean zh-web.* name a file\.yaml$"
    ):
        find(tmp_path, "zh-wep", "--recipe zh-wep", "recipe")
