"""The audit of a corpus by a standard: ``corpus audit DIR --standard tc260-003``, what a team files with its regulator.

    origin     where each source comes from and under which licence, as declared
    machines   a tenth of each source, kept and rejected: harmful content by category; of the kept, what passes
    people     a seeded sample laid out to be read (sample.csv, sample-1.html …); --verdicts reads it back
    gates      each figure of the standard beside what was found: met, missed, pending or not run

It writes ``audit.json`` and ``audit.html`` into ``DIR/audit``; a missed figure is exit code 3. The sample, once
somebody has written verdicts into it, is never written over. Cost: about 3 CPU-seconds for 50 MB of text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from corpus.audit.checks import Check, Keywords, classify, interval, keywords_of
from corpus.audit.gates import gates
from corpus.audit.origin import origins_of
from corpus.audit.sample import LABELS, a_number, a_share, index_of, texts_of
from corpus.audit.standard import Standard, load_standard
from corpus.audit.verdicts import has_verdicts, judged, read_verdicts, write_sample
from corpus.report.audit_page import audit_page, sample_pages
from corpus.rows import MADE_BY
from workbench import manifest
from workbench.console import emit_json, note, table
from workbench.errors import ConfigError, GateFailed, InputError
from workbench.files import make_folder, remove, write_json, write_text

SAMPLE = "sample.csv"


@dataclass(frozen=True)
class Request:
    """What an audit is asked."""

    corpus: Path
    standard: str = "tc260-003"
    origin: Path | None = None  # --origin FILE.yaml
    sensitive: Path | None = None  # --sensitive DIR: word lists instead of the build's
    classifier: Path | None = None  # a fastText model
    harmful_labels: tuple[str, ...] = ()
    verdicts: Path | None = None  # the sample, filled in
    seed: int = 0
    out: Path | None = None  # default: <corpus>/audit


def audit(request: Request) -> dict[str, Any]:
    """Audit a corpus and write what was found.

    Returns:
        What ``audit.json`` holds.

    Raises:
        UserError: For a folder that is no corpus, a standard, origin, word list, model or verdict that is wrong.
    """
    clock = time.process_time()
    corpus = request.corpus
    if not 0 <= request.seed < 1 << 64:
        raise ConfigError(f"--seed {request.seed}", "is no 64-bit number", "give one from 0 on")
    made = manifest.read(corpus, "corpus", MADE_BY)
    standard = load_standard(request.standard)
    kept, gone = sorted((corpus / "kept").rglob("*.parquet")), sorted((corpus / "rejected").glob("*.parquet"))
    if not kept:
        raise InputError(corpus, "has no kept document", "audit a corpus that has some")
    out = make_folder(request.out or corpus / "audit")
    index, index_gone = index_of(kept, request.seed), index_of(gone, request.seed)
    sources = sorted({*index["source"], *index_gone["source"]})
    origins = origins_of(sources, made.inputs, request.origin)
    people = a_number(index, standard.people.sample)
    documents = pl.concat(list(texts_of(kept, people, [*LABELS, "text"]))).sort("key", "id").to_dicts()
    _lay_out(out, documents, request)
    verdicts = read_verdicts(request.verdicts, people["id"].to_list()) if request.verdicts else {}
    keywords = keywords_of(corpus, made.config, request.sensitive, kept, out / "keywords")
    chosen = a_share(index, standard.technical.share)
    of_kept = keywords.check(kept, chosen, standard)
    of_gone = keywords.check(gone, a_share(index_gone, standard.technical.share), standard)
    counted = {"kept": dict(index["source"].value_counts().iter_rows())}
    counted["rejected"] = dict(index_gone["source"].value_counts().iter_rows())
    report: dict[str, Any] = {
        "standard": asdict(standard),
        "corpus": str(corpus),
        "fingerprint": made.fingerprint,
        "recipe": made.config["name"],
        "seed": request.seed,
        "sources": [_source(name, origins[name], counted, of_kept, of_gone, standard) for name in sources],
        "keywords": _keywords(keywords, of_kept, standard),
        "classifier": None,
        "people": judged(verdicts, dict(people.select("id", "source").iter_rows()), standard.people.min_pass),
    }
    if request.classifier is not None:
        found, labels = classify(request.classifier, request.harmful_labels, kept, chosen, standard)
        report["classifier"] = {
            "model": str(request.classifier),
            "harmful_labels": list(labels),
            **_passes(found, standard),
        }
    report["people"]["asked"] = standard.people.sample
    report["people"]["table"] = str(request.verdicts or out / SAMPLE)
    report["gates"] = gates(report, standard)
    report["cpu_seconds"] = round(time.process_time() - clock, 3)
    write_json(out / "audit.json", report)
    write_text(out / "audit.html", audit_page(report, len(_pages(out))))
    return report


def _lay_out(out: Path, documents: Sequence[Mapping[str, Any]], request: Request) -> None:
    """Write the sample as a table and as pages, unless the table holds somebody's verdicts."""
    path = out / SAMPLE
    if path.is_file() and has_verdicts(path):
        try:
            read_verdicts(path, [str(one["id"]) for one in documents])
        except InputError as error:
            remedy = "move it away, or name another --out"
            raise InputError(
                path, f"holds verdicts of another sample ({error.place}: {error.found})", remedy
            ) from error
        if request.verdicts is None:
            note(f"{path} holds verdicts and stays as it is; read them with --verdicts {path}")
    elif request.verdicts is None or request.verdicts.resolve() != path.resolve():
        write_sample(path, documents)
    for page in _pages(out):
        remove(page)
    for number, html in enumerate(sample_pages(documents), 1):
        write_text(out / f"sample-{number}.html", html)


def _pages(out: Path) -> list[Path]:
    return sorted(out.glob("sample-*.html"))


def _share(part: int, whole: int) -> dict[str, Any]:
    low, high = interval(part, whole)
    return {"sampled": whole, "harmful": part, "share": part / whole if whole else None, "low": low, "high": high}


def _source(
    name: str,
    origin: Mapping[str, Any],
    counted: Mapping[str, Mapping[str, int]],
    kept: Check,
    gone: Check,
    standard: Standard,
) -> dict[str, Any]:
    """Return what is known of a source: what is declared, and the share of harmful content, collected and kept."""
    both: list[Mapping[str, int]] = [side.categories.get(name, {}) for side in (kept, gone)]
    found = sorted({category for side in both for category in side})
    known = [*standard.harmful, *standard.told]  # lists of one's own may have other names: they count as harmful
    order = [name for name in known if name in found] + [name for name in found if name not in known]
    categories = {category: sum(side.get(category, 0) for side in both) for category in order}
    shares = {
        "collected": _share(kept.failed[name] + gone.failed[name], kept.sampled[name] + gone.sampled[name]),
        "kept": _share(kept.failed[name], kept.sampled[name]),
    }
    judged_share = shares[standard.source.of]["share"] or 0.0
    return {
        "source": name,
        "origin": dict(origin),
        "documents": {side: counts.get(name, 0) for side, counts in counted.items()},
        **shares,
        "categories": categories,
        "kept_categories": dict(both[0]),
        "flagged": judged_share > standard.source.max_harmful_share,
    }


def _passes(found: Check, standard: Standard) -> dict[str, Any]:
    """Return how much of the sample passes."""
    sampled, failed = found.sampled.total(), found.failed.total()
    rate = (sampled - failed) / sampled if sampled else None
    low, high = interval(sampled - failed, sampled)
    by_source = {s: {"sampled": found.sampled[s], "failed": found.failed[s]} for s in sorted(found.sampled)}
    state = "met" if rate is not None and rate >= standard.technical.min_pass else "missed"
    return {
        "sampled": sampled,
        "failed": failed,
        "pass_rate": rate,
        "low": low,
        "high": high,
        "by_source": by_source,
        "worst": found.worst,
        "state": state,
    }


def _keywords(keywords: Keywords, found: Check, standard: Standard) -> dict[str, Any]:
    terms = keywords.terms
    return {
        "library": keywords.origin,
        "terms": sum(terms.values()),
        "terms_by_category": terms,
        "without_terms": [name for name in standard.harmful if name not in terms],
        "any_hit": found.hit.total(),
        **_passes(found, standard),
    }


def run(request: Request, *, as_json: bool) -> None:
    """Audit, print the gates, and fail if one was missed.

    Raises:
        GateFailed: If a figure of the standard was missed.
        UserError: As ``audit``.
    """
    report = audit(request)
    out = request.out or request.corpus / "audit"
    if as_json:
        emit_json(report)
    else:
        columns = ("gate", "clause", "found", "needed", "state")
        rows = [tuple(gate[name] for name in columns) for gate in report["gates"]]
        table(columns, rows, f"{request.corpus} · {report['standard']['name']} · {out}/audit.html")
        lacks = {one["source"]: ", ".join(one["origin"]["lacks"]) for one in report["sources"]}
        lacking = "; ".join(f"{name} ({what})" for name, what in lacks.items() if what)
        if lacking:
            print(f"not stated: {lacking}. Declare it: --origin FILE.yaml, or origin.yaml in the source's folder")
        if report["people"]["state"] == "pending":
            print(
                f"{report['people']['sample']:,} documents to read: fill {out / SAMPLE}, then --verdicts {out / SAMPLE}"
            )
    missed = [
        f"{gate['gate']}: {gate['found']}, {gate['needed']}" for gate in report["gates"] if gate["state"] == "missed"
    ]
    if missed:
        raise GateFailed(f"{request.corpus} misses {report['standard']['name']}: {'; '.join(missed)}")
