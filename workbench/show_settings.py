"""``--print``: every setting of a command, its value, and which layer it came from."""

from __future__ import annotations

from typing import Any

from workbench.config import Loaded, as_dict, walk
from workbench.console import table


def explain(loaded: Loaded[Any]) -> list[tuple[str, Any, str, str]]:
    """Return a row a setting: dotted key, value, origin, doc."""
    rows = []
    for key, field, _ in walk(type(loaded.value)):
        value: Any = loaded.value
        for part in key.split("."):
            value = getattr(value, part)
        rows.append((key, value, loaded.origins[key], str(field.metadata.get("doc", ""))))
    return rows


def as_json(loaded: Loaded[Any]) -> dict[str, Any]:
    """Return settings and the origin of each, for JSON."""
    return {"settings": as_dict(loaded.value), "origins": dict(loaded.origins)}


def print_settings(loaded: Loaded[Any], title: str) -> None:
    """Print settings as a table."""
    rows = [(key, _word(value), *rest) for key, value, *rest in explain(loaded)]
    table(("setting", "value", "from", "what it is"), rows, title=title)


def _word(value: object) -> str:
    """A value as it is written on the command line."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
