"""Frozen typed configuration: the class is the only place a default lives.

A configuration is a frozen dataclass whose fields are made with ``setting(default, doc, …)``; a field may itself be
such a class, and its keys are then dotted (``optim.lr``). ``load`` lays layers over the defaults — a file, then the
command line — and remembers which layer gave each value. What is loaded is what runs: nothing changes it afterwards.

Words of the command line are read by the type of the field, so ``lr=3e-4``, ``path=数据/a,b=c`` and
``betas=[0.9,0.95]`` work unquoted, and YAML's habit of reading ``3e-4`` as a string does no harm.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import yaml

from workbench.command import did_you_mean
from workbench.errors import ConfigError, InputError

T = TypeVar("T")
Check = Callable[[Any], str | None]  # returns what is wrong, or None


def setting(default: Any = dataclasses.MISSING, doc: str = "", *, check: Check | None = None) -> Any:
    """Declare a field: its default (none: it must be given), what it means with its unit, and its check.

    Args:
        default: The default; lists and mappings must be given as tuples or factories' results that are immutable.
        doc: One line for ``--print`` and ``--help``.
        check: Returns what is wrong with a value, None if nothing.
    """
    return dataclasses.field(default=default, metadata={"doc": doc, "check": check})


def section(cls: type[T], doc: str = "") -> T:
    """Declare a field that is itself a configuration."""
    return dataclasses.field(default_factory=cls, metadata={"doc": doc, "check": None})


def at_least(low: float) -> Check:
    """Return a check that a number is not below ``low``."""
    return lambda value: None if value >= low else f"must be at least {low}"


def between(low: float, high: float) -> Check:
    """Return a check that a number lies in [low, high]."""
    return lambda value: None if low <= value <= high else f"must be between {low} and {high}"


@dataclass(frozen=True)
class Layer:
    """Values from one place; keys may be nested or dotted."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A configuration, and for each dotted key where its value came from."""

    value: T
    origins: Mapping[str, str]


def load(cls: type[T], layers: Sequence[Layer]) -> Loaded[T]:
    """Build a configuration from layers, later ones winning.

    Args:
        cls: A frozen dataclass made of ``setting`` and ``section`` fields.
        layers: From weakest to strongest.

    Returns:
        The configuration, and the origin of each value (``default`` where no layer gave one).

    Raises:
        ConfigError: For an unknown key, a value of the wrong type, a failed check, or a missing value.
    """
    known = {key: field for key, field, _ in walk(cls)}
    given: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        for key, value in _flatten(layer.values, known):
            if key not in known:
                raise ConfigError(f"{layer.origin}: {key}", "no such setting", did_you_mean(key, known))
            given[key] = (value, layer.origin)
    origins = {key: given[key][1] if key in given else "default" for key in known}
    return Loaded(_build(cls, "", given), origins)


def walk(cls: type[Any], prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Yield each setting of a class and its sections: dotted key, field, type."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from walk(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, kind


def _flatten(values: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in known:
            yield from _flatten(value, known, f"{key}.")
        else:
            yield key, value


def _build(cls: type[T], prefix: str, given: Mapping[str, tuple[Any, str]]) -> T:
    hints = typing.get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        key, kind = f"{prefix}{field.name}", hints[field.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            arguments[field.name] = _build(kind, f"{key}.", given)
        elif key in given:
            raw, origin = given[key]
            value = convert(raw, kind, f"{origin}: {key}")
            check = field.metadata.get("check")
            wrong = check(value) if check and value is not None else None
            if wrong:
                raise ConfigError(f"{origin}: {key}", f"{raw!r} {wrong}", field.metadata.get("doc") or "see the docs")
            arguments[field.name] = value
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(key, "is not set and has no default", field.metadata.get("doc") or "give a value")
    return cls(**arguments)


def convert(raw: Any, kind: Any, place: str) -> Any:
    """Return a raw value (of YAML or of the command line) as the type of its field.

    Args:
        raw: A string, number, boolean, list, mapping or None.
        kind: bool, int, float, str, Path, Literal, X | None, tuple[X, ...], Mapping[str, X] or Any.
        place: Where the value stands, for the error line.

    Raises:
        ConfigError: If the value is not of that type.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any:
        return raw
    if origin in (Union, types.UnionType):
        if raw is None or (isinstance(raw, str) and raw.lower() in ("none", "null", "off")):
            if type(None) in inside:
                return None
            raise ConfigError(place, "is none", f"give {describe(kind)}")
        choices = [k for k in inside if k is not type(None)]
        for n, choice in enumerate(choices):
            try:
                return convert(raw, choice, place)
            except ConfigError:
                if n == len(choices) - 1:
                    raise
    if origin is Literal:
        for choice in inside:
            if raw == choice or str(raw) == str(choice):
                return choice
        raise ConfigError(place, f"{raw!r} is none of its choices", did_you_mean(str(raw), map(str, inside)))
    if origin is tuple:
        if isinstance(raw, str):
            raw = _inline_list(raw)
        if not isinstance(raw, list | tuple):
            raise ConfigError(place, f"{raw!r} is not a list", f"give {describe(kind)}")
        return tuple(convert(item, inside[0], place) for item in raw)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if isinstance(raw, str):
            raw = yaml.safe_load(raw)
        if not isinstance(raw, Mapping):
            raise ConfigError(place, f"{raw!r} is not a mapping", f"give {describe(kind)}")
        return {str(key): convert(item, inside[1], f"{place}.{key}") for key, item in raw.items()}
    return _scalar(raw, kind, place)


def _scalar(raw: Any, kind: Any, place: str) -> Any:
    wrong = ConfigError(place, f"{raw!r} is not {describe(kind)}", f"give {describe(kind)}")
    if kind is bool:
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in words:
            return words[raw.lower()]
        raise wrong
    if kind in (int, float):
        if isinstance(raw, bool):
            raise wrong
        try:
            number = float(raw)
        except (TypeError, ValueError):
            raise wrong from None
        if kind is float:
            return number
        if isinstance(raw, int):
            return raw
        if not number.is_integer():  # 1e6 and 2.0 are integers, 2.5 and nan are not
            raise wrong
        return int(number)
    if kind in (str, Path):
        if isinstance(raw, str | int | float | Path) and not isinstance(raw, bool):
            return kind(raw)
        raise wrong
    raise TypeError(f"no reader for settings of type {kind}")


def _inline_list(text: str) -> list[Any]:
    text = text.strip()
    if text.startswith("["):
        value = yaml.safe_load(text)
        return value if isinstance(value, list) else [value]
    return [part.strip() for part in text.split(",")] if text else []


def describe(kind: Any) -> str:
    """Return a type in words, for error lines and ``--print``."""
    origin, inside = get_origin(kind), get_args(kind)
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
    if kind in names:
        return names[kind]
    if origin in (Union, types.UnionType):
        parts = [describe(k) for k in inside if k is not type(None)]
        return " or ".join(parts) + (", or none" if type(None) in inside else "")
    if origin is Literal:
        return " | ".join(map(str, inside))
    if origin is tuple:
        return f"a list of {describe(inside[0]).removeprefix('a ')}s"
    return str(kind)


def parse_assignments(words: Sequence[str]) -> dict[str, str]:
    """Split ``key=value`` words at their first ``=``.

    Raises:
        ConfigError: If a word has no ``=``, or a key comes twice.
    """
    out: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(word, "is not key=value", "write settings as key=value")
        if key in out:
            raise ConfigError(key, "is given twice on the command line", "keep one of them")
        out[key] = value
    return out


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key written twice (the standard loader keeps the last in silence)."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise ConfigError(f"{key_node.start_mark.name}:{line}: {key}", "is written twice", "keep one of them")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: If the file is not there, is not UTF-8 or is not YAML.
        ConfigError: If it holds no mapping, or a key twice.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            value = yaml.load(stream, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a YAML file that exists") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else path
        raise InputError(place, f"is not YAML ({getattr(error, 'problem', error)})", "mend that line") from error
    if not isinstance(value, dict):
        raise ConfigError(path, f"holds a {type(value).__name__}, not settings", "write key: value lines")
    return value


def as_dict(value: Any) -> dict[str, Any]:
    """Return a configuration as plain values, for a manifest."""

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return {f.name: plain(getattr(item, f.name)) for f in dataclasses.fields(item)}
        if isinstance(item, Mapping):
            return {str(k): plain(v) for k, v in item.items()}
        if isinstance(item, list | tuple):
            return [plain(v) for v in item]
        return str(item) if isinstance(item, Path) else item

    out = plain(value)
    assert isinstance(out, dict)
    return out
