"""``corpus lm train``, top to bottom: a character n-gram model of the documents that a user names.

    read      documents of a built corpus or of files; a share by the hash of the text is held out
    estimate  interpolated modified Kneser-Ney (``corpus.ngram``), or KenLM's lmplz if asked for: the same ARPA file
    binary    KenLM's binary too, where its build_binary is on the PATH
    score     perplexity of the held-out documents, by KenLM's own query code
    record    the JSON beside the model: inputs with their hashes, settings, sizes, discounts, figures

A document is a sentence, with its begin and end; white space is dropped. 12 MB of Chinese (6.7 million n-grams) take
5 CPU-seconds from text to ARPA, lmplz 10. Memory of its own stays within ``memory_bytes`` and 170 MB of libraries; the
peak that is reported also counts pages of mapped scratch files, which the system takes back when it needs them.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from corpus.flat import FlatText
from corpus.models.documents import Choice, Told, read_documents
from corpus.models.heldout import is_held_out, text_keys
from corpus.models.record import NGRAM_KIND, made_before, model_path, write_record
from corpus.ngram import estimate, write_binary
from corpus.ngram.model import MIN_MEMORY, thresholds
from corpus.ngram.program import estimate_by_program, find_program
from corpus.ngram.scorer import load_kenlm
from corpus.spacing import spaced
from workbench import manifest
from workbench.console import note, progress, table
from workbench.errors import ConfigError, InputError
from workbench.files import remove

FEW_CHARACTERS = 50_000  # held out, below which the perplexity is rough

Binary = Literal["auto", "probing", "trie", "none"]


@dataclass(frozen=True)
class LmSettings:
    """What decides a model, besides its inputs."""

    order: int = 5
    prune: tuple[int, ...] = (0, 0, 1)
    held_out_share: float = 0.01
    memory_bytes: int = 2 << 30
    program: Literal["built-in", "lmplz"] = "built-in"
    binary: Binary = "auto"  # auto: probing, where build_binary is installed
    scratch: Path | None = None

    def check(self) -> None:
        """See that the values make sense, and that the programs they name are there.

        Raises:
            ConfigError: If not.
        """
        if not 2 <= self.order <= 5:
            raise ConfigError("--order", f"{self.order} is not from 2 to 5", "give 5, say")
        if not 0 <= self.held_out_share < 1:
            raise ConfigError("--held-out-share", f"{self.held_out_share} is not from 0 to 1", "give 0.01, say")
        if self.memory_bytes < MIN_MEMORY:
            raise ConfigError("--memory", f"{self.memory_bytes:,} bytes are too few", "give 2GB, say")
        thresholds(self.prune, self.order)
        if self.program == "lmplz":
            find_program()
        if self.binary in ("probing", "trie") and shutil.which("build_binary") is None:
            remedy = "leave --binary out (the ARPA file does the same), or build KenLM (cmake and Boost)"
            raise ConfigError(f"--binary {self.binary}", "KenLM's build_binary is not on the PATH", remedy)


@dataclass
class Reading:
    """The documents on their way to the estimator; those held out stay here."""

    choices: tuple[Choice, ...]
    share: float
    held_out_choices: tuple[Choice, ...]  # held-out documents that the user names, instead of a share
    told: Told = field(default_factory=Told)
    held_out: list[str] = field(default_factory=list)  # spaced
    overlap: int = 0  # held-out documents that the training text has too

    def __post_init__(self) -> None:
        """Read the held-out documents that are named."""
        named = Told()
        for choice in self.held_out_choices:
            for batch in read_documents(choice, named):
                self.held_out += spaced(FlatText.of(batch["text"]))[0]
        named.say()
        self._keys = text_keys(self.held_out)
        self._met = np.zeros(len(self._keys), np.bool_)

    def training(self) -> Iterator[tuple[pl.Series, list[str]]]:
        """Yield the training documents in batches, as they are and spaced."""
        with progress("read", None, "documents") as count:
            for choice in self.choices:
                for batch in read_documents(choice, self.told):
                    texts, _ = spaced(FlatText.of(batch["text"]))
                    keys = text_keys(texts)
                    out = is_held_out(keys, self.share)
                    self._met |= np.isin(self._keys, keys)
                    self.held_out += [texts[i] for i in np.flatnonzero(out)]
                    yield batch["text"].filter(pl.Series(~out)), [texts[i] for i in np.flatnonzero(~out)]
                    count.advance(len(batch))

    def to_score(self) -> list[str]:
        """Return the held-out documents that the model has not seen, without the empty ones."""
        if self.held_out_choices:
            self.overlap = int(self._met.sum())
            return [text for text, met in zip(self.held_out, self._met, strict=True) if text and not met]
        return [text for text in self.held_out if text]


def train_lm(
    choices: tuple[Choice, ...],
    out: Path,
    settings: LmSettings,
    held_out: tuple[Choice, ...] = (),
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Estimate a model and write it, its binary and its record.

    Args:
        choices: The training documents.
        out: The ARPA file, or its name without the suffix.
        settings: Order, pruning, memory and the like.
        held_out: Documents to measure perplexity on; none: a share of the training documents is held out.
        overwrite: Whether a model of other inputs or settings may be replaced.

    Returns:
        The record.

    Raises:
        UserError: For inputs without a document, settings that make no sense, or an output that cannot be written.
    """
    settings.check()
    arpa = model_path(out, ".arpa")
    inputs = [entry for choice in choices for entry in choice.inputs()]
    held_inputs = [entry for choice in held_out for entry in choice.inputs()]
    config = {
        "order": settings.order,
        "prune": list(thresholds(settings.prune, settings.order)),
        "held_out_share": None if held_out else settings.held_out_share,
        "program": settings.program,
        "binary": settings.binary,
        "documents": [choice.settings() for choice in choices],
        "held_out": held_inputs,
    }
    hashes = [entry["sha256"] for entry in inputs], [entry["sha256"] for entry in held_inputs]
    mark = manifest.fingerprint(NGRAM_KIND, {**config, "held_out": bool(held_out)}, hashes)
    if (known := made_before(arpa, NGRAM_KIND, mark, beside=(".bin",), overwrite=overwrite)) is not None:
        return known
    reading = Reading(choices, 0.0 if held_out else settings.held_out_share, held_out)
    clock = _Clock()
    summary = _estimate(reading, arpa, settings, clock)
    peak = _peak_bytes()
    binary = _binary(arpa, settings.binary, clock)
    score = held_out_score(binary or arpa, reading.to_score())
    clock.stop("score the held-out documents")
    reading.told.say()
    results = {
        **summary,
        "held_out": {**score, "also_in_training": reading.overlap},
        "not_used": reading.told.as_json(),
        "cpu_seconds": clock.steps,
        "peak_memory_bytes": peak,
    }
    return write_record(arpa, NGRAM_KIND, mark, config, inputs, [p for p in (arpa, binary) if p], results)


def _estimate(reading: Reading, arpa: Path, settings: LmSettings, clock: _Clock) -> dict[str, Any]:
    limits = thresholds(settings.prune, settings.order)
    if settings.program == "lmplz":
        batches = (texts for _, texts in reading.training())
        scratch = settings.scratch or Path(tempfile.gettempdir())
        summary = estimate_by_program(batches, arpa, settings.order, limits, settings.memory_bytes, scratch)
        clock.stop("read, estimate and write by lmplz")
        return summary
    flat = (FlatText.of(texts) for texts, _ in reading.training())
    try:
        model = estimate(flat, settings.order, limits, settings.memory_bytes, settings.scratch)
    except InputError as error:
        if reading.told.documents:
            raise
        where = next((choice.where for choice in reading.choices if choice.where), None)
        found = "no document satisfies the condition" if where else "there is no document"
        raise InputError(reading.choices[0].path, found, "see --where, and what the path holds") from error
    clock.stop("read and estimate")
    model.write_arpa(arpa)
    clock.stop("write the ARPA file")
    return model.summary()


def _binary(arpa: Path, form: Binary, clock: _Clock) -> Path | None:
    """Write KenLM's binary if it is wanted and can be made; a binary of an earlier model does not stay."""
    path = arpa.with_suffix(".bin")
    remove(path)
    if form == "none":
        return None
    if form == "auto" and shutil.which("build_binary") is None:
        note("KenLM's build_binary is not on the PATH: no binary; the ARPA file does the same, and loads slower")
        return None
    write_binary(arpa, path, "trie" if form == "trie" else "probing")
    clock.stop("write KenLM's binary")
    return path


def held_out_score(model: Path, texts: list[str]) -> dict[str, Any]:
    """Return the perplexity of spaced documents by KenLM, a character (and an end a document) being a token.

    Args:
        model: An ARPA file or KenLM's binary.
        texts: Spaced documents, none empty.

    Returns:
        documents, characters, how many of them the model does not know, perplexity and bits a character; of none
        nothing but the zeros.
    """
    counts = {"documents": len(texts), "characters": sum((len(text) + 1) // 2 for text in texts)}
    if not texts:
        return {**counts, "unknown_characters": 0, "perplexity": None, "bits_per_character": None}
    loaded = load_kenlm(model)
    total = sum(loaded.score(text) for text in texts)
    codes, times = np.unique(FlatText.of(pl.Series(texts)).chars, return_counts=True)
    pairs = zip(codes.tolist(), times.tolist(), strict=True)
    unknown = sum(n for code, n in pairs if code != ord(" ") and chr(code) not in loaded)
    tokens = counts["characters"] + counts["documents"]
    return {
        **counts,
        "unknown_characters": unknown,
        "perplexity": 10.0 ** (-total / tokens),
        "bits_per_character": -total * float(np.log2(10)) / counts["characters"],
    }


class _Clock:
    """CPU seconds, those of finished child processes included, by step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._last = self._now()

    @staticmethod
    def _now() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def stop(self, step: str) -> None:
        """Book what has been used since the last stop on a step."""
        now = self._now()
        self.steps[step] = round(now - self._last, 2)
        self._last = now


def _peak_bytes() -> int:
    """Return the most memory that this process, or one of its children, has held."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(peaks) * 1024


def print_lm(record: dict[str, Any], arpa: Path) -> None:
    """Print what a model is: n-grams and discounts by order, held-out perplexity, cost."""
    found = record["results"]
    rows = []
    for k, (kept, seen) in enumerate(zip(found["ngrams"], found["ngrams_before_pruning"], strict=True)):
        d = found["discounts"][k]
        told = "fall-back" if k + 1 in found["fallback_orders"] else ""
        rows.append((k + 1, seen, record["config"]["prune"][k], kept, d[0], d[1], d[2], told))
    columns = ("order", "n-grams seen", "pruned up to", "n-grams kept", "D1", "D2", "D3+", "discounts")
    table(columns, rows, f"{found['documents']:,} documents, {found['tokens'] - found['documents']:,} characters")
    held = found["held_out"]
    if held["documents"]:
        print(
            f"held out: {held['documents']:,} documents, {held['characters']:,} characters "
            f"({held['unknown_characters']:,} unknown to the model); perplexity {held['perplexity']:.4f} a character, "
            f"{held['bits_per_character']:.4f} bits a character"
        )
        if held["characters"] < FEW_CHARACTERS:
            print(f"rough: fewer than {FEW_CHARACTERS:,} characters are held out; see --held-out-share and --held-out")
        if held["also_in_training"]:
            print(f"held out, but not scored because the training text has them too: {held['also_in_training']:,}")
    else:
        print("held out: no document; no perplexity")
    if found["fallback_orders"]:
        print("fall-back: a count of counts is zero there (little or repetitive text); 0.5, 1, 1.5 were used")
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found["cpu_seconds"].items())
    print(f"CPU seconds: {steps}; peak memory {found['peak_memory_bytes'] / 1e6:,.0f} MB")
    for entry in record["files"]:
        print(f"{entry['bytes']:>14,} bytes  {arpa.parent / entry['path']}")
