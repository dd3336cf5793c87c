"""Labels come back: ``corpus classifier label import`` checks them and joins them to the whole texts.

Every row of the files is either used or told with its place: an id the corpus does not have, an empty label, a label
that was not asked for, an id whose labels disagree (none of them is used). Labels that agree count once. If the rows
still have their strata's sizes, the share of each label in the corpus is estimated: the mean over strata, weighted by
their documents, with its standard error (stratified sampling without replacement; Cochran 1977, chapter 5).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from corpus.models.documents import labels_of
from corpus.models.record import LABELS_KIND, made_before, write_record
from corpus.models.rows import SUFFIXES, columns_in, read_rows
from corpus.models.strata import kept_files, texts_of
from corpus.sources.base import Unreadable
from corpus.sources.find import has_suffix
from workbench import manifest
from workbench.command import did_you_mean
from workbench.console import note, table
from workbench.errors import InputError, OutputError
from workbench.files import atomic_path

SHOWN = 5  # problems of a kind that are told; all are in the record
CARRIED = ("source", "domain", "lang", "bucket")


@dataclass(frozen=True)
class Problem:
    """A row that is not used."""

    why: str
    place: str
    id: str
    label: str


@dataclass(frozen=True)
class Given:
    """A label as it stands in a file."""

    place: str
    id: str
    label: str
    stratum: str | None
    stratum_documents: int | None


def import_labels(
    files: Sequence[Path], corpus: Path, out: Path, labels: Sequence[str] = (), *, overwrite: bool = False
) -> dict[str, Any]:
    """Check labels and write them with their texts, as ``corpus classifier train`` reads them.

    Args:
        files: What ``label export`` wrote, with labels filled in; several people's files may name the same documents.
        corpus: The corpus it was drawn from.
        out: The parquet file: id, text, label, source, domain, lang, bucket, stratum, stratum_documents.
        labels: The labels that there may be; none: any.
        overwrite: Whether labels imported from other files may be replaced.

    Returns:
        The record.

    Raises:
        InputError: If a file has no ids or labels, or no label can be used.
        OutputError: If the output is there already, or cannot be written.
    """
    if out.suffix != ".parquet":
        raise OutputError(out, "does not end in .parquet", "name a .parquet file with --out")
    parts = kept_files(corpus)
    for file in files:
        if not file.is_file():
            raise InputError(file, "no such file", "name what label export wrote, with labels filled in")
    inputs = [manifest.describe_file(file) for file in (*files, corpus / manifest.NAME)]
    config = {"labels": list(labels)}
    mark = manifest.fingerprint(LABELS_KIND, config, [entry["sha256"] for entry in inputs])
    if (known := made_before(out, LABELS_KIND, mark, overwrite=overwrite)) is not None:
        return known
    problems: list[Problem] = []
    given = [one for file in files for one in _read(file, problems)]
    found = texts_of(parts, pl.Series("id", [one.id for one in given], dtype=pl.String), ["text", *CARRIED])
    agreed, twice = _agreed(given, set(found["id"]), labels, problems)
    _tell(problems)
    if not agreed:
        raise InputError(files[0], "none of its labels can be used", "fill the column label, and name the right corpus")
    rows = pl.DataFrame([asdict(one) for one in agreed], infer_schema_length=None).drop("place")
    rows = rows.join(found, on="id", how="left", maintain_order="left").select(
        "id", "text", "label", *CARRIED, pl.col("stratum").cast(pl.String), pl.col("stratum_documents").cast(pl.Int64)
    )
    with atomic_path(out) as temporary:
        rows.write_parquet(temporary, compression="zstd", compression_level=3)
    count = len(given) + sum(one.why == "unreadable" for one in problems)
    results = {
        "rows": count,
        "repeated": count - len(agreed) - len(problems),
        "documents": len(agreed),
        "labelled_more_than_once": twice,
        "labels": dict(sorted(rows["label"].value_counts().iter_rows())),
        "estimates": estimates(agreed),
        "problems": [asdict(one) for one in problems],
    }
    return write_record(out, LABELS_KIND, mark, config, inputs, [out], results)


def _read(file: Path, problems: list[Problem]) -> Iterator[Given]:
    """Yield the rows of a file; the unreadable ones are problems."""
    if not has_suffix(file, SUFFIXES):
        raise InputError(file, "is neither .jsonl, .csv nor .parquet", "name what label export wrote")
    known = columns_in(file, "line")
    for name in ("id", "label"):
        if name not in known:
            raise InputError(f"{file}: {name}", "no such column", did_you_mean(name, known) if known else "fill it in")
    for number, row in enumerate(read_rows(file, None, "line"), start=1):
        place = f"{file}, row {number}"
        if isinstance(row, Unreadable):
            problems.append(Problem("unreadable", place, "", row.cause))
            continue
        values = row[1]
        size = str(values.get("stratum_documents") or "")
        yield Given(
            place=place,
            id=str(values.get("id") or "").strip(),
            label=" / ".join(labels_of(values.get("label"))),
            stratum=str(values["stratum"]) if values.get("stratum") else None,
            stratum_documents=int(size) if size.isdecimal() else None,
        )


def _agreed(
    given: Sequence[Given], known: set[str], labels: Sequence[str], problems: list[Problem]
) -> tuple[list[Given], dict[str, int]]:
    """Return one label a document, in the order of the files; all others become problems."""
    by_id: dict[str, list[Given]] = defaultdict(list)
    for one in given:
        why = None
        if not one.id:
            why = "no id"
        elif one.id not in known:
            why = "id not in the corpus"
        elif not one.label:
            why = "empty label"
        elif labels and one.label not in labels:
            why = "label not asked for"
        if why:
            problems.append(Problem(why, one.place, one.id, one.label))
        else:
            by_id[one.id].append(one)
    agreed = []
    twice = {"documents": 0, "agree": 0}
    for ones in by_id.values():
        same = len({one.label for one in ones}) == 1
        if len(ones) > 1:
            twice["documents"] += 1
            twice["agree"] += same
        if same:
            agreed.append(ones[0])
        else:
            problems += [Problem("labels disagree", one.place, one.id, one.label) for one in ones]
    return agreed, twice


def _tell(problems: Sequence[Problem]) -> None:
    by_kind: dict[str, list[Problem]] = defaultdict(list)
    for one in problems:
        by_kind[one.why].append(one)
    for why, ones in sorted(by_kind.items()):
        shown = "; ".join(f"{one.place}: {one.id} {one.label}".rstrip() for one in ones[:SHOWN])
        note(f"not used, {why}: {len(ones):,} ({shown}{' …' if len(ones) > SHOWN else ''})")


def estimates(rows: Sequence[Given]) -> dict[str, Any] | None:
    """Return the estimated share of each label in the corpus, with its standard error.

    Returns:
        None if the rows do not tell their strata's sizes. The standard error is None where a stratum has one label
        only of several documents: its spread is then unknown.
    """
    if any(one.stratum is None or not one.stratum_documents for one in rows):
        return None
    sizes = {one.stratum: one.stratum_documents or 0 for one in rows}
    counts: dict[str, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    sampled: dict[str | None, int] = defaultdict(int)
    for one in rows:
        counts[one.label][one.stratum] += 1
        sampled[one.stratum] += 1
    total = sum(sizes.values())
    lone = any(n == 1 and sizes[name] > 1 for name, n in sampled.items())
    out: dict[str, Any] = {"documents": total, "strata": len(sizes), "labels": {}}
    for label in sorted(counts):
        share = variance = 0.0
        for name, size in sizes.items():
            n = sampled[name]
            p = counts[label][name] / n
            share += size / total * p
            if n > 1:
                variance += (size / total) ** 2 * (1 - n / size) * p * (1 - p) / (n - 1)
        out["labels"][label] = {"share": share, "standard_error": None if lone else math.sqrt(max(0.0, variance))}
    return out


def print_labels(record: dict[str, Any], out: Path) -> None:
    """Print what was imported, and what it says of the corpus."""
    found = record["results"]
    known = found["estimates"]["labels"] if found["estimates"] else {}
    rows = [
        (
            label,
            n,
            n / found["documents"],
            known.get(label, {}).get("share"),
            known.get(label, {}).get("standard_error"),
        )
        for label, n in found["labels"].items()
    ]
    columns = ("label", "documents", "share of the sample", "estimated share of the corpus", "standard error")
    table(columns, rows, f"labels → {out}")
    twice = found["labelled_more_than_once"]
    print(
        f"{found['rows']:,} rows = {found['documents']:,} documents labelled + {found['repeated']:,} that repeat "
        f"a label + {len(found['problems']):,} not used; labelled more than once: {twice['documents']:,} documents, "
        f"{twice['agree']:,} of them alike"
    )
    if found["estimates"]:
        print(f"estimated for the {found['estimates']['documents']:,} documents of the strata that have labels")
