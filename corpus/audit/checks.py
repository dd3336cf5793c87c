"""What machines say of a sample: keywords by ``corpus.stages.sensitive``, and a classifier where one is given.

The keywords are those of the build, with the weights it found, or the lists that are given here, weighed anew over the
corpus. A document fails from a score on that the standard's file sets; documents with any hit at all are told beside
it. The classifier reads a document's first 1,000 characters and fails it from a probability on.

Cost: 75–200 MB per CPU-second for keywords, 100 for a classifier.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import polars as pl

from corpus.audit.sample import texts_of
from corpus.audit.standard import Standard
from corpus.classifier import load_model
from corpus.flat import FlatText
from corpus.spacing import spaced
from corpus.stages.base import Survivors
from corpus.stages.sensitive import TERMS, Sensitive
from workbench.config import Layer, load
from workbench.errors import ConfigError
from workbench.files import make_folder, remove

READ_CHARS = 1000  # of a document, by the classifier: what quality's classifier is trained on too
WORST = 12  # documents shown
SHOWN_CHARS = 240


@dataclass
class Check:
    """What a check found, by source."""

    sampled: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)  # documents in a harmful category
    hit: Counter[str] = field(default_factory=Counter)  # with any informative hit at all
    categories: dict[str, Counter[str]] = field(default_factory=dict)  # source: documents that fail, of any category
    worst: list[dict[str, Any]] = field(default_factory=list)

    def note_worst(self, rows: pl.DataFrame) -> None:
        """Keep the documents with the highest scores (columns id, source, domain, title, score, why, text)."""
        shown = rows.with_columns(pl.col("text").str.slice(0, SHOWN_CHARS)).sort(
            "score", "id", descending=[True, False]
        )
        both = [*self.worst, *shown.head(WORST).to_dicts()]
        self.worst = sorted(both, key=lambda row: (-row["score"], row["id"]))[:WORST]


@dataclass(frozen=True)
class Keywords:
    """A keyword library with its weights."""

    stage: Sensitive
    desk: Path
    origin: str  # what the library is

    @property
    def terms(self) -> dict[str, int]:
        """Return the number of terms of each category; those that only cover others, and spellings, are none."""
        rows = pl.read_parquet(self.desk / TERMS)
        counts = rows.filter((pl.col("category") != "") & ~pl.col("spelled"))["category"].value_counts(sort=True)
        return {str(name): int(count) for name, count in counts.iter_rows()}

    def check(self, files: Sequence[Path], chosen: pl.DataFrame, standard: Standard) -> Check:
        """Score the chosen documents."""
        out = Check()
        limit = standard.technical.keyword_score
        for batch in texts_of(files, chosen, ["id", "source", "domain", "title", "text"]):
            marked = self.stage.mark(batch, self.desk)
            out.sampled.update(marked["source"].to_list())
            out.hit.update(marked.filter(pl.col("sensitive_hits") > 0)["source"].to_list())
            above = marked.filter(pl.col("sensitive_score") >= limit)
            for source, category in above.select("source", "sensitive_category").iter_rows():
                out.categories.setdefault(source, Counter())[category or "?"] += 1
            failed = above.filter(~pl.col("sensitive_category").is_in(list(standard.told)))
            out.failed.update(failed["source"].to_list())
            why = pl.format("{} · {}", pl.col("sensitive_category").fill_null("?"), "sensitive_terms").alias("why")
            score = pl.col("sensitive_score").cast(pl.Float64).alias("score")
            out.note_worst(failed.select("id", "source", "domain", "title", score, why, "text"))
        return out


def keywords_of(
    corpus: Path, config: Mapping[str, Any], lists: Path | None, files: Sequence[Path], own: Path
) -> Keywords:
    """Return the keyword library of an audit.

    Args:
        corpus: The corpus folder.
        config: Its resolved recipe, from the manifest.
        lists: ``--sensitive``, or None: the library of the build, or the shipped lists if it had none.
        files: The parquet files over which weights are found, if they must be.
        own: The folder for those weights.
    """
    if lists is None:
        for number, step in enumerate(config["steps"], 1):
            settings = step.get("sensitive")
            desk = corpus / "steps" / f"{number:02d}-sensitive"
            if settings is not None and (desk / TERMS).is_file():
                known = {name: value for name, value in settings.items() if name != "when"}
                stage = load(Sensitive, [Layer(str(corpus), known)]).value
                named = f" and {stage.lists}" if stage.lists else ""
                return Keywords(
                    stage, desk, f"the build's: shipped lists{named}" if stage.shipped else str(stage.lists)
                )
    stage = load(Sensitive, [Layer("--sensitive", {"lists": lists} if lists else {})]).value
    remove(own)
    stage.prepare(cast(Survivors, Documents(tuple(files))), make_folder(own))  # prepare goes through each() alone
    return Keywords(stage, own, f"shipped lists and {lists}" if lists else "shipped lists")


@dataclass(frozen=True)
class Documents:
    """A corpus's documents as ``Sensitive.prepare`` looks at them (the ``each`` of ``Survivors``)."""

    files: tuple[Path, ...]

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        """Yield ``doc`` (file * 2**32 + row) and the named columns, a file at a time."""
        for number, file in enumerate(self.files):
            frame = pl.read_parquet(file, columns=list(names), hive_partitioning=False)
            doc = pl.int_range(number << 32, (number << 32) + len(frame), dtype=pl.UInt64, eager=True)
            frame = frame.with_columns(doc.alias("doc")).select("doc", *names)
            yield (
                frame if only is None else frame.join(only.to_frame("doc"), on="doc", how="semi", maintain_order="left")
            )


def classify(
    path: Path, labels: Sequence[str], files: Sequence[Path], chosen: pl.DataFrame, standard: Standard
) -> tuple[Check, tuple[str, ...]]:
    """Let a fastText model judge the chosen documents.

    Args:
        path: The model.
        labels: The labels that are harmful; empty: ``harmful``, or the standard's harmful categories.
        files: The parquet files.
        chosen: Which documents.
        standard: Its probability decides.

    Returns:
        What was found, and the labels that counted as harmful.

    Raises:
        InputError: If the file is no fastText model.
        ConfigError: If the model has none of the labels.
    """
    missing = "make one: corpus classifier train, or leave --classifier out"
    model = load_model(path, missing=missing, other="give a .bin or .ftz file")
    known = [name.removeprefix("__label__") for name in model.get_labels()]
    for name in labels:
        if name not in known:
            raise ConfigError(
                f"--harmful-label {name}", f"{path} has labels {', '.join(known)[:120]}", "name one of them"
            )
    bad = tuple(labels) or tuple(name for name in known if name == "harmful" or name in standard.harmful)
    if not bad:
        found = f"has labels {', '.join(known)[:120]}"
        raise ConfigError(f"--classifier {path}", found, "say which are harmful: --harmful-label NAME")
    out = Check()
    for batch in texts_of(files, chosen, ["id", "source", "domain", "title", "text"]):
        heads, _ = spaced(FlatText.of(batch["text"]), READ_CHARS)
        names, values = model.predict(heads, k=len(known))
        harm = [_harm(one, two, bad) for one, two in zip(names, values, strict=True)]
        rows = batch.with_columns(
            pl.Series("score", [min(1.0, sum(each.values())) for each in harm], dtype=pl.Float64),
            pl.Series("why", [max(each, key=lambda n: each[n]) if each else "" for each in harm], dtype=pl.String),
        )
        failed = rows.filter(pl.col("score") >= standard.technical.classifier_probability)
        out.sampled.update(rows["source"].to_list())
        out.failed.update(failed["source"].to_list())
        for source, why in failed.select("source", "why").iter_rows():
            out.categories.setdefault(source, Counter())[why] += 1
        out.note_worst(failed.select("id", "source", "domain", "title", "score", "why", "text"))
    return out, bad


def _harm(names: Sequence[str], values: Sequence[float], bad: Sequence[str]) -> dict[str, float]:
    given = {name.removeprefix("__label__"): float(value) for name, value in zip(names, values, strict=True)}
    return {name: given[name] for name in bad if name in given}


def interval(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); the whole range where nothing was looked at."""
    if not whole:
        return 0.0, 1.0
    z, share = 1.96, part / whole
    centre = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    reach = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return max(0.0, centre - reach), min(1.0, centre + reach)
