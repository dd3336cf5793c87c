"""A mapping of somebody's file, read key by key: each error names the file, the key, what was found and the remedy.

    entry = Checked.root(path)              # a YAML file
    name, points = entry.text("name"), entry.number("points", low=0)
    entry.done()                            # what nobody asked for is a key that does not exist

``workbench.config`` reads flat settings; these files are lists of entries that refer to one another by id.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from eval.bilingual import Text
from workbench.command import did_you_mean
from workbench.config import read_yaml
from workbench.errors import ConfigError

_SHOWN = 60  # characters of a wrong value in an error line


class Checked:
    """One mapping of a file, and where it stands."""

    def __init__(self, file: Path, place: str, values: Mapping[str, Any]) -> None:
        """Remember where the mapping stands.

        Args:
            file: The file it comes from.
            place: Its key in that file, dotted; empty for the file itself.
            values: The mapping; keys that are no text are refused by ``done``.
        """
        self.file, self.place = file, place
        self._values = values
        self._asked: list[str] = []

    @classmethod
    def root(cls, file: Path) -> Checked:
        """Read a YAML file that holds one mapping."""
        return cls(file, "", read_yaml(file))

    def fail(self, key: str, found: str, remedy: str) -> NoReturn:
        """Raise the one line of an error.

        Args:
            key: The key within this mapping; empty for the mapping itself.
            found: What was found there.
            remedy: What to do about it.
        """
        at = ".".join(part for part in (self.place, key) if part)
        raise ConfigError(f"{self.file}: {at}" if at else self.file, found, remedy)

    def has(self, key: str) -> bool:
        """Whether the key is there and is not null; it counts as asked for."""
        self._asked.append(key)
        return self._values.get(key) is not None

    def raw(self, key: str, remedy: str) -> Any:
        """Return a value that must be there, as it stands."""
        if not self.has(key):
            near = difflib.get_close_matches(key, [k for k in self._values if isinstance(k, str)], n=1)
            self.fail(key, "is missing", f"{near[0]} is there: did you mean {key}?" if near else remedy)
        return self._values[key]

    def text(self, key: str, default: str | None = None) -> str:
        """Return one line of text; numbers and dates are taken as they read."""
        if default is not None and not self.has(key):
            return default
        return self._line(key, self.raw(key, "write a text"))

    def words(self, key: str, default: Text | None = None) -> Text:
        """Return a text in two languages: a plain one, or ``{en: …, zh: …}``."""
        if default is not None and not self.has(key):
            return default
        return self.as_words(key, self.raw(key, "write a text, or {en: …, zh: …}"))

    def as_words(self, key: str, value: Any) -> Text:
        """Return a value of this mapping as a text in two languages."""
        if not isinstance(value, Mapping):
            return Text.once(self._line(key, value))
        inner = Checked(self.file, ".".join(p for p in (self.place, key) if p), value)
        en, zh = (inner.text(language) if inner.has(language) else "" for language in ("en", "zh"))
        inner.done()
        if not en and not zh:
            self.fail(key, "holds no text", "write {en: …, zh: …}, or one of the two")
        return Text(en or zh, zh or en)

    def _line(self, key: str, value: Any) -> str:
        if value is None or isinstance(value, bool | list | Mapping):
            self.fail(key, f"{_show(value)} is not a text", "write a text (quote yes, no, true and false)")
        line = " ".join(str(value).split())
        return line or self.fail(key, "is empty", "write a text")

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        if not self.has(key):
            return default
        value = self._values[key]
        return (
            value
            if isinstance(value, bool)
            else self.fail(key, f"{_show(value)} is not true or false", "write yes or no")
        )

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float | int:
        """Return a finite number in [low, high] that must be there."""
        return self.as_number(key, self.raw(key, "write a number"), low, high)

    def as_number(self, key: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float | int:
        """Return a value of this mapping as a finite number in [low, high]."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.fail(key, f"{_show(value)} is not a number", "write a number")
        if not low <= value <= high:
            bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            self.fail(key, f"{value} is out of range", f"write a number of {bounds}")
        return value

    def whole(self, key: str, low: int = 0) -> int | None:
        """Return a whole number of at least ``low``; None if it is not there."""
        if not self.has(key):
            return None
        value = self.number(key, low)
        return (
            value
            if isinstance(value, int)
            else self.fail(key, f"{value} is not a whole number", "write a whole number")
        )

    def choice(self, key: str, known: Collection[str], default: str | None = None) -> str:
        """Return a text that is one of the known ones."""
        value = self.text(key, default)
        return value if value in known else self.fail(key, f"{_show(value)} is not known", did_you_mean(value, known))

    def names(self, key: str, known: Collection[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, of the known ones if these are given; empty if it is not there."""
        if not self.has(key):
            return ()
        values = self._list(key)
        lines = tuple(self._line(f"{key}[{n}]", value) for n, value in enumerate(values))
        for n, line in enumerate(lines):
            if known is not None and line not in known:
                self.fail(f"{key}[{n}]", f"{_show(line)} is not known", did_you_mean(line, known))
        return lines

    def entries(self, key: str, *, required: bool = True, named: str = "id") -> list[Checked]:
        """Return the mappings of a list.

        Args:
            key: The list's key.
            required: Whether the list must be there and hold something.
            named: The key whose value names an entry in errors, beside its number.
        """
        if not self.has(key) and not required:
            return []
        self.raw(key, "write a list of entries")
        values = self._list(key)
        if required and not values:
            self.fail(key, "is empty", "write at least one entry")
        out = []
        for n, value in enumerate(values):
            at = ".".join(p for p in (self.place, f"{key}[{n}]") if p)
            if not isinstance(value, Mapping):
                raise ConfigError(f"{self.file}: {at}", f"{_show(value)} is not an entry", "write key: value lines")
            label = value.get(named)
            out.append(Checked(self.file, f"{at} ({label})" if isinstance(label, str) else at, value))
        return out

    def inner(self, key: str, *, required: bool = True) -> Checked:
        """Return the mapping under a key; an empty one if it is not there and need not be."""
        at = ".".join(p for p in (self.place, key) if p)
        if not self.has(key) and not required:
            return Checked(self.file, at, {})
        value = self.raw(key, "write key: value lines under it")
        if not isinstance(value, Mapping):
            self.fail(key, f"{_show(value)} is not a mapping", "write key: value lines under it")
        return Checked(self.file, at, value)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield every key and value of a mapping whose keys are the user's own."""
        for key, value in self._values.items():
            self._asked.append(key)
            yield str(key), value

    def only(self, known: Collection[str]) -> None:
        """Refuse a key that is none of the known ones."""
        for key in self._values:
            if key not in known:
                self.fail(str(key), "no such key", did_you_mean(str(key), known))

    def done(self) -> None:
        """Refuse the keys that nobody asked for."""
        self.only(dict.fromkeys(self._asked))

    def _list(self, key: str) -> list[Any]:
        value = self._values[key]
        return value if isinstance(value, list) else self.fail(key, f"{_show(value)} is not a list", "write a list")


def unique(entries: list[Checked], key: str = "id") -> None:
    """Refuse two entries of one list with the same id."""
    seen: set[str] = set()
    for entry in entries:
        name = entry.text(key)
        if name in seen:
            entry.fail(key, f"{_show(name)} is there twice", "give each entry an id of its own")
        seen.add(name)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
