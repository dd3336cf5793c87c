"""Where each source comes from and under which licence: what its owner declares, never guessed.

``--origin FILE.yaml`` names the sources:

    wudao: {origin: BAAI WuDaoCorpora 2.0, kind: open, licence: …, evidence: contracts/wudao.pdf}

or a file ``origin.yaml`` with those keys lies in the source's own folder. What neither says is "not stated". The kinds
are those that the standard asks proof for: open (开源, the licence), own (自采, the record of collection), commercial
(商业, the contract), users (使用者输入, their consent).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.command import did_you_mean
from workbench.config import Layer, load, read_yaml, setting
from workbench.errors import ConfigError

FILE = "origin.yaml"
NOT_STATED = "not stated 未说明"
PROOF = {"open": "licence", "own": "evidence", "commercial": "evidence", "users": "evidence"}  # by 5.1 c)


@dataclass(frozen=True)
class Origin:
    """What is declared of a source."""

    origin: str | None = setting(None, "where the text comes from")
    kind: Literal["open", "own", "commercial", "users"] | None = setting(
        None, "open | own | commercial | users: how it was come by"
    )
    licence: str | None = setting(None, "the licence or authorisation")
    evidence: str | None = setting(None, "the contract, record of collection or consent: a file, number or address")
    collected: str | None = setting(None, "when it was collected")
    note: str | None = setting(None, "anything else")


def origins_of(sources: Sequence[str], inputs: Sequence[Mapping[str, Any]], file: Path | None) -> dict[str, Any]:
    """Return what is declared of each source.

    Args:
        sources: The sources of a corpus.
        inputs: Its manifest's inputs: source, path.
        file: ``--origin``, or None.

    Returns:
        By source: the fields of ``Origin``, "not stated" where nothing is said; ``stated_in``, the files that say it;
        ``lacks``, what the standard asks for such a source and is not stated.

    Raises:
        ConfigError: If the file names a source that the corpus does not have, or a key that there is not.
        InputError: If a file cannot be read.
    """
    declared = read_yaml(file) if file else {}
    for name in declared:
        if name not in sources:
            raise ConfigError(f"{file}: {name}", "the corpus has no such source", did_you_mean(str(name), sources))
    return {source: _origin_of(source, inputs, declared, file) for source in sources}


def _origin_of(
    source: str, inputs: Sequence[Mapping[str, Any]], declared: Mapping[str, Any], file: Path | None
) -> dict[str, Any]:
    folders = sorted({str(Path(entry["path"]).parent) for entry in inputs if entry.get("source") == source})
    around = [os.path.commonpath(folders)] if folders else []  # what was named by --src, if its files lie deeper
    places = [Path(folder) / FILE for folder in dict.fromkeys([*around, *folders])]
    near = [place for place in places if place.is_file()]
    layers = [Layer(str(path), read_yaml(path)) for path in near]
    if source in declared:
        if not isinstance(declared[source], dict):
            remedy = f"write {source}: {{origin: …, licence: …}}"
            raise ConfigError(f"{file}: {source}", f"{declared[source]!r} is no mapping", remedy)
        layers.append(Layer(f"{file}: {source}", declared[source]))
    found = load(Origin, layers)
    said = {name: value for name, value in asdict(found.value).items() if value is not None}
    wanted = ["origin", "kind", PROOF.get(said.get("kind", ""), "licence")]
    return {
        **dict.fromkeys(asdict(found.value), NOT_STATED),
        **said,
        "stated_in": sorted({origin for origin in found.origins.values() if origin != "default"}),
        "lacks": [name for name in wanted if name not in said],
    }
