"""The figures of a standard: what is asked of a source, of the people who read, of keywords and classifiers.

A standard is data, a YAML file; ``tc260-003`` is shipped. Each figure names its clause, so that the report can too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.config import Layer, at_least, between, load, read_yaml, section, setting
from workbench.shipped import find, names_in

SHIPPED = Path(__file__).parent.parent / "report" / "standards"


@dataclass(frozen=True)
class SourceRule:
    """How much harmful content a source may have."""

    clause: str = setting("", "the clause that asks for it")
    max_harmful_share: float = setting(0.05, "share of a source's documents, above which it fails", check=between(0, 1))
    of: Literal["collected", "kept"] = setting("collected", "of all that was read, or of what is left")


@dataclass(frozen=True)
class PeopleRule:
    """How much people must read, and how much of it must pass."""

    clause: str = setting("", "the clause that asks for it")
    sample: int = setting(4000, "documents that people read", check=at_least(1))
    min_pass: float = setting(0.96, "share of them that must pass", check=between(0, 1))


@dataclass(frozen=True)
class TechnicalRule:
    """How much keywords and classifiers look at, and how much of it must pass."""

    clause: str = setting("", "the clause that asks for it")
    share: float = setting(0.1, "share of each source's documents", check=between(0, 1))
    min_pass: float = setting(0.98, "share of them that must pass", check=between(0, 1))
    keyword_score: float = setting(0.5, "sensitive score from which a document fails", check=at_least(0))
    classifier_probability: float = setting(0.5, "probability from which a document fails", check=between(0, 1))


@dataclass(frozen=True)
class LexiconRule:
    """How large the keyword library must be."""

    clause: str = setting("", "the clause that asks for it")
    min_terms: int = setting(10_000, "terms", check=at_least(0))


@dataclass(frozen=True)
class Standard:
    """A standard by which a corpus is audited."""

    harmful: Mapping[str, str] = setting(doc="categories that are harmful, and the standard's group of each")
    name: str = setting("", "short name")
    title: str = setting("", "its title")
    about: str = setting("", "the title in English")
    source: SourceRule = section(SourceRule)
    people: PeopleRule = section(PeopleRule)
    technical: TechnicalRule = section(TechnicalRule)
    lexicon: LexiconRule = section(LexiconRule)
    told: tuple[str, ...] = setting((), "categories that are counted and are not harmful by the standard")


def shipped() -> list[str]:
    """Return the names of the standards that come with the package."""
    return names_in(SHIPPED)


def load_standard(name: str) -> Standard:
    """Read a standard by name or path.

    Raises:
        ConfigError: If there is none of that name, or a figure is unknown or impossible.
        InputError: If the file cannot be read.
    """
    path = find(SHIPPED, name, f"--standard {name}", "standard")
    return load(Standard, [Layer(path.name, read_yaml(path))]).value
