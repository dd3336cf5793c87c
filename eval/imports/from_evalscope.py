"""EvalScope's ``reports/<model>/<data set>.json`` and ``reviews/<model>/<data set>_<subset>.jsonl`` (versions 1.x).

A report has metrics, each a fraction with its number of items: over all items (``score``, the mean we call micro) and
over subjects (``macro_score``). It states no shots. Reviews of versions before 1.0 have another form: told, left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.imports.record import SINGLE, SPLITS, Imported, gold_of, one_model, percent, read_lines, read_object, text_of
from eval.samples import Format, Sample
from workbench.errors import InputError

_ACCURACY = ("mean_acc", "acc", "AverageAccuracy")
_PASS = ("Pass@1", "mean_Pass@1", "AveragePass@1", "mean_acc", "acc")
# EvalScope's name → our id, the metrics that are the score
_DATASETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mmlu": ("mmlu", _ACCURACY),
    "ceval": ("ceval", _ACCURACY),
    "cmmlu": ("cmmlu", _ACCURACY),
    "gsm8k": ("gsm8k", _ACCURACY),
    "competition_math": ("math", (*_ACCURACY, "AveragePass@1")),
    "math_500": ("math500", (*_ACCURACY, "AveragePass@1")),
    "humaneval": ("humaneval", _PASS),
    "mbpp": ("mbpp", _PASS),
    "bbh": ("bbh", _ACCURACY),
}


def from_evalscope(path: Path, model: str | None = None) -> Imported:
    """Read one model of a run.

    Args:
        path: A run's folder with ``reports`` in it, or a report.
        model: The folder below ``reports``, where there are several.

    Raises:
        InputError: If there is no report, or one is not EvalScope's.
        ConfigError: If the model is not there, or not named among several.
    """
    if path.is_file():
        files, name = [path], one_model([path.parent.name], model, path)
    else:
        reports = path if path.name == "reports" else path / "reports"
        if not reports.is_dir():
            raise InputError(path, "has no reports folder", "name EvalScope's output folder (outputs/<time>)")
        folders = {folder.name: folder for folder in reports.iterdir() if folder.is_dir()}
        name = one_model(folders, model, reports)
        files = sorted(folders[name].glob("*.json"))
    found = Imported("evalscope", name, path)
    strange: list[str] = []
    for file in files:
        report = read_object(file, "a report of EvalScope")
        dataset = report.get("dataset_name")
        if not isinstance(dataset, str) or not isinstance(report.get("metrics"), list):
            raise InputError(file, "has no dataset_name and metrics", "name a report of EvalScope")
        if dataset in _DATASETS:
            _figure(found, file, dataset, report["metrics"])
        else:
            strange.append(dataset)
    if strange:
        found.remarks.append(f"not among the benchmarks, left out: {', '.join(strange)}")
    return found


def _figure(found: Imported, file: Path, dataset: str, metrics: list[Any]) -> None:
    task, known = _DATASETS[dataset]
    by_name = {str(metric.get("name")): metric for metric in metrics if isinstance(metric, dict)}
    name = next((name for name in known if name in by_name), None)
    value = percent(by_name[name].get("score")) if name else None
    if name is None or value is None:
        there = ", ".join(by_name) or "none"
        said = f"{dataset}: its score is a fraction under {' or '.join(known)}; there is {there}; left out"
        found.remarks.append(said)
        return
    metric = by_name[name]
    subsets = [s for c in metric.get("categories") or [] for s in c.get("subsets") or [] if not s.get("is_aggregate")]
    n = metric.get("num") or sum(int(subset.get("num", 0)) for subset in subsets)
    samples = list(_samples(found, file, task, dataset))
    figure = {
        "value": value,
        "macro": percent(metric.get("macro_score")) if len(subsets) > 1 else None,
        "metric": name,
        "format": "generate",
        "n": n or None,
    }
    before = len(found.remarks)
    found.figure(task, dataset, figure)
    if samples and len(found.remarks) == before:
        found.samples[task] = samples


def _samples(found: Imported, report: Path, task: str, dataset: str) -> Iterator[Sample]:
    folder = report.parent.parent.parent / "reviews" / found.model
    for file in sorted(folder.glob(f"{dataset}_*.jsonl")):
        subset = file.stem.removeprefix(f"{dataset}_")
        for number, line in read_lines(file):
            sample = _sample(task, subset, line)
            if sample is None:
                found.remarks.append(f"{file.name}:{number}: is no review of EvalScope 1.x, left out from there on")
                break
            yield sample


def _sample(task: str, subset: str, line: dict[str, Any]) -> Sample | None:
    score = (line.get("sample_score") or {}).get("score") if isinstance(line.get("sample_score"), dict) else None
    values = score.get("value") if isinstance(score, dict) else None
    if not isinstance(score, dict) or not isinstance(values, dict) or not values:
        return None
    main = score.get("main_score_name")
    correct = values.get(main) if main in values else next(iter(values.values()))
    if not isinstance(correct, bool | int | float):
        return None
    subject, split = SINGLE.get(task, subset), SPLITS.get(task, "test")
    form: Format = "generate"
    said, read = score.get("prediction"), score.get("extracted_prediction")
    return Sample(
        task=task,
        key=f"{task}/{subject}/{split}/{line.get('index')}",
        subject=subject,
        split=split,
        shots=0,
        protocol="evalscope",
        format=form,
        prompt=text_of(line.get("input")),
        gold=gold_of(task, line.get("target", "")),
        correct=float(correct),
        output=(said,) if isinstance(said, str) else (),
        extracted=(None if read is None else str(read),),
    )
