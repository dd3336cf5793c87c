"""YAML files that come with a package — recipes, standards — or lie where the user says: by bare name, or by path."""

from __future__ import annotations

from pathlib import Path

from workbench.command import did_you_mean
from workbench.errors import ConfigError


def names_in(folder: Path) -> list[str]:
    """Return the bare names of the files that a package ships in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find(folder: Path, word: str, place: str, kind: str) -> Path:
    """Return the file that a word names: a bare name is a shipped one, anything else a path.

    Args:
        folder: Of the shipped ones.
        word: As it was given.
        place: Where, for the error line: ``config=tiny``.
        kind: What it is, for the same: ``recipe``.

    Raises:
        ConfigError: If a bare name is none that is shipped.
    """
    if "/" in word or word.endswith((".yaml", ".yml")):
        return Path(word)
    known = names_in(folder)
    if word not in known:
        raise ConfigError(place, f"no such {kind}", f"{did_you_mean(word, known)} or name a file.yaml")
    return folder / f"{word}.yaml"
