"""``corpus classifier train``, top to bottom: a fastText classifier of the documents that a user names.

    read      labelled documents, or documents whose label their path gives (weak labels); their first characters
    split     by the hash of the text, near-duplicates together, so that no held-out document resembles a training one
    train     ``corpus.classifier``: one thread, a process of its own, the same file every time
    judge     the held-out documents: precision, recall, F1, ROC AUC, calibration; the most telling n-grams
    record    the JSON beside the model: inputs with their hashes, settings, figures; no clock, so equal input gives
              equal bytes here too

Cost: 5 to 1,000 epochs (50,000 examples in all) of 0.7 CPU-seconds a million characters; memory 8 bytes a character
that is read.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus import classifier
from corpus.flat import FlatText
from corpus.models.documents import Choice, Told, read_documents
from corpus.models.heldout import clusters, is_held_out, text_keys
from corpus.models.judging import judge, print_judgement, probabilities
from corpus.models.record import CLASSIFIER_KIND, made_before, model_path, write_record
from corpus.models.telling import print_telling, telling
from corpus.spacing import spaced
from workbench import manifest
from workbench.console import note, progress, table
from workbench.errors import ConfigError, InputError
from workbench.files import atomic_path, remove

MOST_EPOCHS = 1000  # within a build 100 must do; with 50 examples that gave an accuracy of .67, 1,000 gave .94
FEW = 50  # held-out documents of a label below which its figures are rough


@dataclass(frozen=True)
class ClassifierSettings:
    """What decides a model, besides its inputs."""

    labels: Mapping[str, str] | None = None  # label found: its name in the model; None: all, as they are
    held_out_share: float = 0.2
    read_chars: int = 1000
    most: int = 100_000  # documents of a label, chosen by the hash of the text
    epochs: int | None = None  # None: 50,000 examples are read in all, in 5 to 1,000 passes
    quantise: bool = False
    telling: int = 12  # n-grams that are printed of each label

    def check(self) -> None:
        """See that the values make sense.

        Raises:
            ConfigError: If one does not.
        """
        if not 0 < self.held_out_share < 1:
            raise ConfigError("--held-out-share", f"{self.held_out_share} is not between 0 and 1", "give 0.2, say")
        for name, least in (("read_chars", 10), ("most", 10), ("telling", 0), ("epochs", 1)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(option, f"{getattr(self, name)} is less than {least}", "give a larger number")


@dataclass(frozen=True)
class Named:
    """Documents, and the label that their path gives them; None: they bring their own."""

    choice: Choice
    label: str | None = None


@dataclass(frozen=True)
class Examples:
    """Labelled documents as the model reads them."""

    texts: list[str]  # spaced
    truth: NDArray[np.int64]  # number of the label
    labels: tuple[str, ...]
    held_out: NDArray[np.bool_]
    clusters: int  # of near-duplicates, with more than one document
    disputed: int  # of them, with more than one label

    def side(self, held_out: bool) -> tuple[list[str], NDArray[np.int64]]:
        """Return texts and labels of the held-out or of the training part."""
        rows = np.flatnonzero(self.held_out == held_out)
        return [self.texts[i] for i in rows], self.truth[rows]


def train_classifier(
    named: Sequence[Named], out: Path, settings: ClassifierSettings, *, overwrite: bool = False
) -> dict[str, Any]:
    """Train a model and write it and its record.

    Args:
        named: The documents, with their labels.
        out: The ``.bin`` file, or its name without the suffix.
        settings: Labels, split, how much is read.
        overwrite: Whether a model of other inputs or settings may be replaced.

    Returns:
        The record.

    Raises:
        UserError: For inputs that cannot be used, settings that make no sense, or an output that cannot be written.
    """
    settings.check()
    path = model_path(out, ".bin")
    inputs = [{**entry, "label": one.label} for one in named for entry in one.choice.inputs()]
    config = {
        **asdict(settings),
        "documents": [{**one.choice.settings(), "label_given": one.label} for one in named],
        "fasttext": classifier.SETTINGS,
    }
    mark = manifest.fingerprint(CLASSIFIER_KIND, config, [[entry["sha256"], entry["label"]] for entry in inputs])
    if (known := made_before(path, CLASSIFIER_KIND, mark, beside=(".ftz",), overwrite=overwrite)) is not None:
        return known
    told = Told()
    examples = split(gather(named, settings, told), settings.held_out_share)
    told.say()
    files, epochs = _train(examples, path, settings)
    results = {"epochs": epochs, **_figures(examples, files, settings.telling), "not_used": told.as_json()}
    note(f"CPU seconds of this process (training is another): {time.process_time():.1f}")
    return write_record(path, CLASSIFIER_KIND, mark, config, inputs, files, results)


def gather(named: Sequence[Named], settings: ClassifierSettings, told: Told) -> pl.DataFrame:
    """Return ``text`` (spaced, its beginning), ``label`` and ``key`` of all documents, in the order of reading."""
    schema = {"text": pl.String, "label": pl.String, "key": pl.UInt64}
    rows, limit, wanted = pl.DataFrame(schema=schema), settings.most, 0
    with progress("read", None, "documents") as count:
        for one in named:
            for batch in read_documents(one.choice, told):
                heads, tokens = spaced(FlatText.of(batch["text"]), settings.read_chars)
                new = pl.DataFrame(
                    {
                        "place": batch["place"],
                        "text": pl.Series(heads, dtype=pl.String),
                        "label": [one.label] * len(batch) if one.label else batch["label"],
                        "key": text_keys(heads),
                        "tokens": tokens,
                    }
                )
                new = _wanted(new, settings.labels if one.label is None else None, told)
                wanted += len(new)
                rows = pl.concat([rows, new.select(pl.col(name).cast(kind) for name, kind in schema.items())])
                if len(rows) > limit:
                    rows = _at_most(rows, settings.most)
                    limit = 2 * len(rows)
                count.advance(len(batch))
    rows = _at_most(rows, settings.most)
    if wanted > len(rows):
        told.add_many(f"more than {settings.most:,} of a label (--most)", wanted - len(rows), "chosen by hash")
    return rows


def _wanted(rows: pl.DataFrame, labels: Mapping[str, str] | None, told: Told) -> pl.DataFrame:
    """Leave out what has no character or no wanted label, and name the labels as the model shall know them."""
    for place in rows.filter(pl.col("tokens") == 0)["place"]:
        told.add("no character", place)
    rows = rows.filter(pl.col("tokens") > 0)
    if labels is None:
        return rows
    for place, label in rows.filter(~pl.col("label").is_in(list(labels))).select("place", "label").iter_rows():
        told.add(f"label {label} is not asked for", place)
    wanted = rows.filter(pl.col("label").is_in(list(labels)))
    return wanted.with_columns(pl.col("label").replace(labels))


def _at_most(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """Keep, of each label, the documents with the lowest keys: which ones does not depend on the order of the files."""
    numbered = rows.with_row_index("row")
    kept = numbered.sort("key", "row").group_by("label", maintain_order=True).head(most)
    return kept.sort("row").select(rows.columns)


def split(rows: pl.DataFrame, share: float) -> Examples:
    """Hold documents out, near-duplicates together, and see that every label is on both sides.

    Args:
        rows: Columns text, label and key.
        share: How much is held out, about.

    Raises:
        InputError: If there are fewer than two labels, or one is missing on a side.
        ConfigError: If fastText cannot take a label.
    """
    labels = tuple(sorted(set(rows["label"])))
    if len(labels) < 2:
        found = f"there is one label ({labels[0]})" if labels else "there is no labelled document"
        raise InputError("classifier", found, "a classifier needs two labels; see --label, --labels and --where")
    for label in labels:
        if any(char.isspace() for char in label):
            raise ConfigError(f"label {label!r}", "has a space", f"--labels '{label}={'_'.join(label.split())},…'")
    truth = np.searchsorted(np.array(labels), rows["label"].to_numpy().astype(str)).astype(np.int64)
    roots = clusters(rows["text"].str.replace_all(" ", "", literal=True))
    held_out = is_held_out(rows["key"].to_numpy(), share)[roots]
    for number, label in enumerate(labels):
        sides = [int((held_out[truth == number] == side).sum()) for side in (False, True)]
        if not all(sides):
            found = f"has {sides[0]} training and {sides[1]} held-out documents (near-duplicates stay together)"
            raise InputError(f"label {label}", found, "give more documents of it, or another --held-out-share")
        if sides[1] < FEW:
            note(f"label {label}: only {sides[1]} held-out documents; its figures are rough")
    sizes = (
        pl.DataFrame({"root": roots, "truth": truth})
        .group_by("root")
        .agg(pl.len().alias("documents"), pl.col("truth").n_unique().alias("labels"))
    )
    many = sizes.filter(pl.col("documents") > 1)
    return Examples(rows["text"].to_list(), truth, labels, held_out, len(many), int((many["labels"] > 1).sum()))


def _train(examples: Examples, path: Path, settings: ClassifierSettings) -> tuple[list[Path], int]:
    """Train, and put the model (and the quantised one) into place; no quantised one of an earlier training stays.

    Returns:
        The files, and the epochs.
    """
    texts, truth = examples.side(held_out=False)
    lines = [f"__label__{examples.labels[n]} {text}\n" for text, n in zip(texts, truth.tolist(), strict=True)]
    epochs = settings.epochs or classifier.epochs_of(len(lines), MOST_EPOCHS)
    remove(path.with_suffix(".ftz"))
    with tempfile.TemporaryDirectory() as folder:
        made = [Path(folder) / "model.bin", *([Path(folder) / "model.ftz"] if settings.quantise else [])]
        classifier.train(lines, made[0], next(iter(made[1:]), None), epochs)
        files = [path.with_suffix(file.suffix) for file in made]
        for file, place in zip(made, files, strict=True):
            with atomic_path(place) as temporary:
                shutil.copyfile(file, temporary)
    return files, epochs


def _figures(examples: Examples, files: Sequence[Path], most: int) -> dict[str, Any]:
    import fasttext

    held, held_truth = examples.side(held_out=True)
    texts, truth = examples.side(held_out=False)
    judgements = {}
    for file in files:
        chances = probabilities(fasttext.load_model(str(file)), held, examples.labels)
        judgements[file.suffix[1:]] = asdict(judge(chances, held_truth, examples.labels))
    model = fasttext.load_model(str(files[0]))
    return {
        "labels": {
            label: {"training": int((truth == n).sum()), "held_out": int((held_truth == n).sum())}
            for n, label in enumerate(examples.labels)
        },
        "near_duplicate_clusters": examples.clusters,
        "clusters_with_several_labels": examples.disputed,
        "held_out": judgements,
        "telling": [asdict(one) for one in telling(model, texts, truth, examples.labels, most)],
    }


def print_classifier(record: dict[str, Any], path: Path) -> None:
    """Print what a model was trained on, what it is worth, and the n-grams that tell its labels apart."""
    found = record["results"]
    rows = [(label, sides["training"], sides["held_out"]) for label, sides in found["labels"].items()]
    table(("label", "training", "held out"), rows, f"documents, {found['epochs']} epochs")
    print(
        f"clusters of near-duplicates, each kept on one side: {found['near_duplicate_clusters']:,}; "
        f"with more than one label: {found['clusters_with_several_labels']:,}\n"
    )
    print_judgement(found["held_out"]["bin"])
    print()
    print_telling(found["telling"])
    if "ftz" in found["held_out"]:
        small = found["held_out"]["ftz"]
        auc = "" if small["auc"] is None else f"ROC AUC {small['auc']:.4f}, "
        print(
            f"quantised: {auc}accuracy {small['accuracy']:.4f}, "
            f"expected calibration error {small['expected_calibration_error']:.4f}"
        )
    for entry in record["files"]:
        print(f"{entry['bytes']:>14,} bytes  {path.parent / entry['path']}")
