"""OpenCompass's ``summary/summary_*.csv`` and, where ``--dump-eval-details`` was given, ``results/<model>/*.json``.

The summary has a row a data set and metric and a column a model, in percent. Its averages over subjects are
``naive_average``: the mean of the subjects' means, which is told as ``mean: macro``. It states no shots.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.imports.record import SINGLE, SPLITS, Imported, gold_of, one_model, one_of, read_object, text_of
from eval.samples import Format, Sample
from workbench.errors import InputError

_HEADER = ["dataset", "version", "metric", "mode"]
# OpenCompass's name → our id, the metric that is the score
_DATASETS = {
    "mmlu": ("mmlu", "naive_average"),
    "ceval": ("ceval", "naive_average"),
    "cmmlu": ("cmmlu", "naive_average"),
    "bbh": ("bbh", "naive_average"),
    "gsm8k": ("gsm8k", "accuracy"),
    "math": ("math", "accuracy"),
    "math-500": ("math500", "accuracy"),
    "math_prm800k_500": ("math500", "accuracy"),
    "openai_humaneval": ("humaneval", "humaneval_pass@1"),
    "mbpp": ("mbpp", "score"),
}
_SUBJECTS = {"mmlu": "lukaemon_mmlu_", "ceval": "ceval-", "cmmlu": "cmmlu-", "bbh": "bbh-"}
_FORMATS: dict[str, Format] = {"gen": "generate", "ppl": "mc", "ll": "mc"}
_FIRST_NUMBER = {"mbpp": 11}  # its test items are the file's tasks 11–510


def from_opencompass(path: Path, model: str | None = None) -> Imported:
    """Read one model of a run.

    Args:
        path: A ``summary_*.csv``, or a run's folder with one below it.
        model: The column, where there are several.

    Raises:
        InputError: If there is no summary, more than one, or its columns are others.
        ConfigError: If the model is not there, or not named among several.
    """
    file = path if path.is_file() else one_of(path.rglob("summary_*.csv"), path, "summary_*.csv")
    rows = _rows(file)
    if not rows or rows[0][: len(_HEADER)] != _HEADER:
        raise InputError(file, f"does not begin with {','.join(_HEADER)}", "name a summary_*.csv of OpenCompass")
    models = rows[0][len(_HEADER) :]
    name = one_model(models, model, file)
    column = rows[0].index(name)
    found = Imported("opencompass", name, file)
    strange: list[str] = []
    for row in rows[1:]:
        if len(row) != len(rows[0]):
            raise InputError(file, f"a row has {len(row)} columns, {len(rows[0])} are expected", "write it again")
        dataset, _, metric, mode = row[: len(_HEADER)]
        known = _DATASETS.get(dataset)
        if known is None:
            strange.append(dataset)
        elif row[column] == "-":
            found.remarks.append(f"{dataset}: has no figure, left out")
        elif metric != known[1]:
            found.remarks.append(f"{dataset}: {metric} is not its score ({known[1]} is), left out")
        else:
            _figure(found, row, column, mode)
    subjects = tuple(_SUBJECTS.values())
    left_out = sorted({dataset for dataset in strange if not dataset.startswith(subjects)})
    if left_out:
        found.remarks.append(f"not among the benchmarks, left out: {', '.join(left_out)}")
    return found


def _figure(found: Imported, row: list[str], column: int, mode: str) -> None:
    dataset, version, metric = row[:3]
    task = _DATASETS[dataset][0]
    try:
        value = float(row[column])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise InputError(found.source, f"{dataset}: {row[column]} is no percentage", "take OpenCompass's own file")
    mean = "macro" if metric == "naive_average" else None
    samples = list(_samples(found, task, dataset, mode))
    figure = {
        "value": value,
        "metric": metric,
        "mean": mean,
        "format": _FORMATS.get(mode),
        "n": len(samples) or None,
        "prompt_hash": version if version != "-" else None,
    }
    before = len(found.remarks)
    found.figure(task, dataset, figure)
    if samples and len(found.remarks) == before:
        found.samples[task] = samples


def _rows(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file, f"cannot be read ({error})", "name a summary_*.csv of OpenCompass") from error


def _samples(found: Imported, task: str, dataset: str, mode: str) -> Iterator[Sample]:
    folder = found.source.parent.parent / "results" / found.model
    prefix = _SUBJECTS.get(task)
    files = sorted(folder.glob(f"{prefix}*.json")) if prefix else [folder / f"{dataset}.json"]
    for file in files:
        if not file.is_file():
            continue
        details = read_object(file, "a result of OpenCompass").get("details")
        if not details:
            found.remarks.append(f"{file.name}: has no details (give --dump-eval-details), so no samples")
            continue
        entries = dict(enumerate(details)) if isinstance(details, list) else details
        subject = file.stem.removeprefix(prefix) if prefix else SINGLE.get(task, "all")
        unjudged = 0
        for number, entry in entries.items():
            if not str(number).isdigit():
                continue  # the kind of details: GEN or PPL
            sample = _sample(task, subject, int(number), entry, _FORMATS.get(mode, "generate"))
            unjudged += sample is None
            if sample is not None:
                yield sample
        if unjudged:
            found.remarks.append(f"{file.name}: {unjudged} items without a verdict, left out")


def _sample(task: str, subject: str, number: int, entry: Any, form: Format) -> Sample | None:
    if not isinstance(entry, dict):
        return None
    correct = entry.get("correct", entry.get("is_correct"))
    correct = correct[0] if isinstance(correct, list) and len(correct) == 1 else correct
    if not isinstance(correct, bool | int | float):
        return None
    split = SPLITS.get(task, "test")
    said, read = entry.get("origin_prediction"), entry.get("predictions", entry.get("pred"))
    place = number + _FIRST_NUMBER.get(task, 0)
    return Sample(
        task=task,
        key=f"{task}/{subject}/{split}/{place}",
        subject=subject,
        split=split,
        shots=0,
        protocol="opencompass",
        format=form,
        prompt=text_of(entry.get("prompt", entry.get("origin_prompt"))),
        gold=gold_of(task, entry.get("references", entry.get("answer", ""))),
        correct=float(correct),
        output=(said,) if isinstance(said, str) else (),
        extracted=() if read is None else (text_of(read),),
    )
