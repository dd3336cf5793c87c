"""Each figure of the standard beside what was found.

States: met; missed (exit code 3); pending, people have not read all; not run, no classifier was given; short, the
keyword library has fewer terms than asked: a fault of the check and not of the corpus, told and not binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.audit.standard import Standard


def gates(report: Mapping[str, Any], standard: Standard) -> list[dict[str, str]]:
    """Return a row a figure: gate, clause, found, needed, state.

    Args:
        report: ``sources``, ``people``, ``keywords`` and ``classifier`` of an audit.
        standard: The figures.
    """
    out = [_source(one, standard) for one in report["sources"]]
    people, rule = report["people"], standard.people
    found = f"{people['read']:,} of {people['sample']:,} read"
    if people["pass_rate"] is not None:
        found = f"{percent(people['pass_rate'])} pass, {found}"
    needed = f"≥ {percent(rule.min_pass)} of {rule.sample:,}"
    out.append(_row("read by people", rule.clause, found, needed, people["state"]))
    technical = standard.technical
    needed = f"≥ {percent(technical.min_pass)} of {percent(technical.share)}"
    for name, label in (("keywords", "keywords"), ("classifier", "classification model")):
        check = report[name]
        found = "no --classifier given" if check is None else f"{percent(check['pass_rate'])} of {check['sampled']:,}"
        out.append(_row(label, technical.clause, found, needed, "not run" if check is None else check["state"]))
    terms, least = report["keywords"]["terms"], standard.lexicon.min_terms
    state = "met" if terms >= least else "short"
    out.append(_row("size of the keyword library", standard.lexicon.clause, f"{terms:,} terms", f"≥ {least:,}", state))
    return out


def _source(one: Mapping[str, Any], standard: Standard) -> dict[str, str]:
    rule = standard.source
    share = one[rule.of]
    found = "–"
    if share["share"] is not None:
        found = f"{percent(share['share'])} ({share['harmful']:,} of {share['sampled']:,})"
    needed = f"≤ {percent(rule.max_harmful_share)}"
    name = f"harmful content of {one['source']}, as {rule.of}"
    return _row(name, rule.clause, found, needed, "missed" if one["flagged"] else "met")


def _row(gate: str, clause: str, found: str, needed: str, state: str) -> dict[str, str]:
    return {"gate": gate, "clause": clause, "found": found, "needed": needed, "state": state}


def percent(share: float) -> str:
    """Return a share in words: 98 %, 1.821 %."""
    return f"{100 * share:.4g} %"
