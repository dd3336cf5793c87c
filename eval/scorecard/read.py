"""Read a scorecard from YAML and check it whole: one line an error, with file, key, finding and remedy.

Every reference by id (a score's candidate and criterion, an elimination's rule, a class) is checked, and a scored
candidate must have points on every criterion: a total over some of them would not compare. ``docs/scorecard.md`` shows
the form.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from eval.bilingual import Text
from eval.checked import Checked, unique
from eval.scorecard.card import (
    Candidate,
    Criterion,
    Elimination,
    Evidence,
    Fact,
    Family,
    Placed,
    Score,
    Scorecard,
    Size,
    SizeClass,
)
from workbench.command import did_you_mean
from workbench.errors import ConfigError

DATA = Path(__file__).parent.parent / "data"
SHIPPED = ("medical-2023",)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([MBT]?)")
_UNITS = {"": 1e9, "M": 1e6, "B": 1e9, "T": 1e12}
_YES_NO = {True: Text("yes", "是"), False: Text("no", "否")}


def read_scorecard(name: str, benchmarks: Collection[str]) -> Scorecard:
    """Read a scorecard.

    Args:
        name: A path, or the name of a shipped one, with or without ``.yaml``.
        benchmarks: The ids of the published table's columns, which criteria and claims may name.

    Raises:
        ConfigError: If anything in it is wrong.
        InputError: If the file cannot be read.
    """
    path = Path(name)
    if not path.exists() and name.removesuffix(".yaml") in SHIPPED:
        path = DATA / f"{name.removesuffix('.yaml')}.yaml"
    elif not path.exists() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(name, "no such file and no shipped scorecard", did_you_mean(name, SHIPPED))
    root = Checked.root(path)
    criteria = {entry.id: entry for entry in (_criterion(e, benchmarks) for e in _named(root, "criteria"))}
    fact_names = {e.text("id"): _named_text(e) for e in _named(root, "facts", required=False)}
    classes = {c.id: c for c in (_class(e) for e in _named(root, "classes"))}
    rules = {e.text("id"): _named_text(e) for e in _named(root, "elimination_rules", required=False)}
    families = {f.id: f for f in (_family(e) for e in _named(root, "families", required=False))}
    candidates = {c.id: c for c in (_candidate(e, fact_names, families) for e in _named(root, "candidates"))}
    gone = root.entries("eliminated", required=False, named="candidate")
    unique(gone, "candidate")
    eliminated = {x.candidate: x for x in (_elimination(e, candidates, rules, benchmarks) for e in gone)}
    card = Scorecard(
        name=path.stem,
        title=root.words("title"),
        about=_about(root),
        reference_note=root.words("reference_note") if root.has("reference_note") else None,
        criteria=tuple(criteria.values()),
        facts=fact_names,
        classes=tuple(classes.values()),
        rules=rules,
        families=tuple(families.values()),
        candidates=candidates,
        eliminated=eliminated,
        scores=_scores(root.inner("scores", required=False), candidates, criteria),
        placed=_placed(root, classes, candidates, eliminated),
    )
    root.done()
    _check_places(path, card, classes)
    return card


def _named(root: Checked, key: str, *, required: bool = True) -> list[Checked]:
    entries = root.entries(key, required=required)
    unique(entries)
    return entries


def _named_text(entry: Checked) -> Text:
    text = entry.words("name")
    entry.done()
    return text


def _about(root: Checked) -> tuple[Text, ...]:
    if not root.has("about"):
        return ()
    value = root.raw("about", "write a text")
    values = value if isinstance(value, list) else [value]
    return tuple(root.as_words(f"about[{n}]" if isinstance(value, list) else "about", v) for n, v in enumerate(values))


def _criterion(entry: Checked, benchmarks: Collection[str]) -> Criterion:
    points = entry.number("reference_points", 0) if entry.has("reference_points") else None
    found = Criterion(entry.text("id"), entry.words("name"), points, entry.names("benchmarks", benchmarks))
    entry.done()
    return found


def _class(entry: Checked) -> SizeClass:
    low = _size(entry, "from", entry.raw("from", "")).parameters if entry.has("from") else 0.0
    high = _size(entry, "below", entry.raw("below", "")).parameters if entry.has("below") else float("inf")
    if not low < high:
        entry.fail("below", "is not above from", "write from: the smaller size, below: the larger")
    found = SizeClass(entry.text("id"), entry.words("name"), low, high)
    entry.done()
    return found


def _family(entry: Checked) -> Family:
    members = entry.raw("members", "write a list of models")
    if not isinstance(members, list):
        entry.fail("members", f"{members!r} is not a list", "write a list of models")
    texts = tuple(entry.as_words(f"members[{n}]", value) for n, value in enumerate(members))
    found = Family(entry.text("id"), entry.words("name"), texts)
    entry.done()
    return found


def _candidate(entry: Checked, fact_names: Collection[str], families: Collection[str]) -> Candidate:
    sizes, sizes_cell = _sizes(entry)
    selected, selected_cell = _selected(entry)
    facts = entry.inner("facts", required=False)
    facts.only(fact_names)
    found = Candidate(
        id=entry.text("id"),
        name=entry.words("name"),
        sizes=sizes,
        sizes_cell=sizes_cell,
        selected=selected,
        selected_cell=selected_cell,
        facts={name: _fact(facts, name) for name in fact_names if facts.has(name)},
        family=entry.choice("family", families) if entry.has("family") else None,
        row=entry.text("row") if entry.has("row") else None,
    )
    entry.done()
    return found


def _fact(facts: Checked, key: str) -> Fact:
    raw = facts.raw(key, "write a value")
    if not (isinstance(raw, dict) and _doubtful(raw)):
        return Fact(facts.as_words(key, raw))
    cell = facts.inner(key)
    found = Fact(cell.words("value"), cell.words("corrected"), cell.words("reason"))
    cell.done()
    return found


def _doubtful(raw: Mapping[str, Any]) -> bool:
    return bool({"value", "corrected", "reason"} & raw.keys())


def _sizes(entry: Checked) -> tuple[tuple[Size, ...], Fact]:
    raw = entry.raw("sizes", "write a list such as [7B, 13B]")
    if isinstance(raw, dict):
        cell = entry.inner("sizes")
        right = _size_list(cell, "corrected")
        fact = Fact(cell.words("value"), _joined(right), cell.words("reason"))
        cell.done()
        return right, fact
    right = _size_list(entry, "sizes")
    return right, Fact(_joined(right))


def _size_list(entry: Checked, key: str) -> tuple[Size, ...]:
    raw = entry.raw(key, "write a list such as [7B, 13B]")
    values = raw if isinstance(raw, list) else [raw]
    return tuple(_size(entry, f"{key}[{n}]" if isinstance(raw, list) else key, value) for n, value in enumerate(values))


def _size(entry: Checked, key: str, value: Any) -> Size:
    match = _SIZE.fullmatch(str(value).strip().upper()) if not isinstance(value, bool) else None
    if match is None or not float(match[1]):
        entry.fail(key, f"{value!r} is not a number of parameters", "write 7B, 560M or 1.8B")
    return Size(f"{match[1]}{match[2] or 'B'}", float(match[1]) * _UNITS[match[2]])


def _joined(sizes: tuple[Size, ...]) -> Text:
    return Text.once(", ".join(size.text for size in sizes))


def _selected(entry: Checked) -> tuple[bool, Fact]:
    if entry.has("selected") and isinstance(entry.raw("selected", ""), dict):
        cell = entry.inner("selected")
        value, now = (cell.flag(key, default=False) for key in ("value", "corrected"))
        fact = Fact(_YES_NO[value], _YES_NO[now], cell.words("reason"))
        cell.done()
        return now, fact
    now = entry.flag("selected", default=False)
    return now, Fact(_YES_NO[now])


def _elimination(
    entry: Checked, candidates: Collection[str], rules: Collection[str], benchmarks: Collection[str]
) -> Elimination:
    evidence = None
    if entry.has("evidence"):
        cell = entry.inner("evidence")
        evidence = Evidence(cell.names("benchmarks", benchmarks), cell.names("below", candidates))
        cell.done()
    who, rule = entry.choice("candidate", candidates), entry.choice("rule", rules)
    found = Elimination(who, rule, entry.words("reason"), evidence)
    entry.done()
    return found


def _scores(
    scores: Checked, candidates: Mapping[str, Candidate], criteria: Mapping[str, Criterion]
) -> dict[str, dict[str, Score]]:
    scores.only(candidates)
    out: dict[str, dict[str, Score]] = {}
    for name, _ in scores.items():
        points = scores.inner(name)
        points.only(criteria)
        out[name] = {}
        for criterion in criteria:
            raw = points.raw(criterion, "write its points: every scored candidate has points on every criterion")
            if isinstance(raw, dict):
                cell = points.inner(criterion)
                reason = cell.words("reason") if cell.has("reason") else None
                out[name][criterion] = Score(cell.number("points", 0), reason)
                cell.done()
            else:
                out[name][criterion] = Score(points.as_number(criterion, raw, 0), None)
    return out


def _placed(
    root: Checked, classes: Collection[str], candidates: Collection[str], eliminated: Collection[str]
) -> dict[str, tuple[Placed, ...]]:
    out: dict[str, tuple[Placed, ...]] = {}
    places = root.inner("placed", required=False)
    places.only(classes)
    for name, _ in places.items():
        entries = places.entries(name, named="candidate")
        unique(entries, "candidate")
        found = []
        for entry in entries:
            who = entry.choice("candidate", candidates)
            if who in eliminated:
                entry.fail("candidate", f"{who} is eliminated", "take it out of placed, or out of eliminated")
            found.append(Placed(who, entry.words("reason")))
            entry.done()
        out[name] = tuple(found)
    return out


def _check_places(path: Path, card: Scorecard, classes: Mapping[str, SizeClass]) -> None:
    for name, places in card.placed.items():
        for placed in places:
            if card.size_in(placed.candidate, classes[name]) is None:
                sizes = card.candidates[placed.candidate].sizes_cell.now.en
                raise ConfigError(
                    f"{path}: placed.{name}",
                    f"{placed.candidate} has no size of that class ({sizes})",
                    "place it in a class that it has a size of, or mend its sizes",
                )
