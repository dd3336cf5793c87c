from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from workbench.config import Layer, as_dict, at_least, load, parse_assignments, read_yaml, section, setting
from workbench.errors import ConfigError, InputError
from workbench.show_settings import explain


@dataclass(frozen=True)
class Optim:
    lr: float = setting(1e-3, "learning rate", check=at_least(0))
    betas: tuple[float, ...] = setting((0.9, 0.95), "AdamW")


@dataclass(frozen=True)
class Settings:
    data: Path = setting(doc="a folder")
    steps: int = setting(10, "steps", check=at_least(1))
    precision: Literal["bf16", "fp32"] = setting("bf16", "number format")
    limit: int | None = setting(None, "at most so many")
    shuffle: bool = setting(True, "in random order")
    optim: Optim = section(Optim)


def test_precedence_and_origins() -> None:
    loaded = load(
        Settings,
        [Layer("a.yaml", {"data": "x", "steps": 5, "optim": {"lr": "3e-4"}}), Layer("command line", {"steps": "7"})],
    )
    assert loaded.value.steps == 7
    assert loaded.value.optim.lr == 3e-4  # YAML gives a string
    assert loaded.origins["steps"] == "command line"
    assert loaded.origins["optim.lr"] == "a.yaml"
    assert loaded.origins["precision"] == "default"
    assert ("optim.lr", 3e-4, "a.yaml", "learning rate") in explain(loaded)


def test_loaded_settings_are_frozen() -> None:
    value = load(Settings, [Layer("x", {"data": "y"})]).value
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"data": "x", "step": 5}, "did you mean steps?"),
        ({"data": "x", "steps": "fast"}, "a whole number"),
        ({"data": "x", "steps": 2.5}, "a whole number"),
        ({"data": "x", "steps": True}, "a whole number"),
        ({"data": "x", "steps": 0}, "must be at least 1"),
        ({"data": "x", "precision": "bf61"}, "did you mean bf16?"),
        ({"data": "x", "steps": "none"}, "a whole number"),
        ({"data": "x", "shuffle": "perhaps"}, "true or false"),
        ({"data": "x", "optim": {"betas": 3}}, "a list of numbers"),
        ({}, "is not set"),
    ],
)
def test_mistakes_are_told_in_one_line(values: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Settings, [Layer("here", values)])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_of_the_command_line_need_no_quotes() -> None:
    words = parse_assignments(
        ["data=数据/甲,乙=丙", "optim.betas=[0.9,0.99]", "limit=none", "steps=1e3", "shuffle=off"]
    )
    value = load(Settings, [Layer("command line", words)]).value
    assert value.data == Path("数据/甲,乙=丙")
    assert value.optim.betas == (0.9, 0.99)
    assert value.limit is None
    assert value.steps == 1000
    assert value.shuffle is False


def test_zero_is_a_value() -> None:
    assert load(Settings, [Layer("x", {"data": "y", "limit": 0})]).value.limit == 0


def test_assignments_without_equals_or_twice() -> None:
    for words in (["steps"], ["=3"], ["a=1", "a=2"]):
        with pytest.raises(ConfigError):
            parse_assignments(words)


def test_yaml_tells_line_of_damage_and_double_keys(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: 1\nb: [1,\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.yaml:\d"):
        read_yaml(path)
    path.write_text("a: 1\na: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="written twice"):
        read_yaml(path)
    path.write_bytes("a: 中文".encode("gb18030"))
    with pytest.raises(InputError, match="not UTF-8 at byte"):
        read_yaml(path)
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds a list"):
        read_yaml(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")


def test_as_dict_is_plain() -> None:
    value = load(Settings, [Layer("x", {"data": "y"})]).value
    assert as_dict(value) == {
        "data": "y",
        "steps": 10,
        "precision": "bf16",
        "limit": None,
        "shuffle": True,
        "optim": {"lr": 1e-3, "betas": [0.9, 0.95]},
    }
