"""lm-eval's ``results_*.json`` and ``samples_*.jsonl`` (versions 0.4.x): fractions by ``metric,filter``.

A group's figure is the harness's own (weighted by size for MMLU, CMMLU, C-Eval). Where the strict and the flexible
reading of GSM8K both stand, the strict one is the score and the other is kept under ``also``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.imports.record import SINGLE, SPLITS, Imported, gold_of, one_model, one_of, percent, read_lines, read_object
from eval.samples import Format, Sample
from workbench.errors import InputError

# lm-eval's name → our id, the metrics that are the score (the first that is there), what a subject's name begins with
_TASKS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "mmlu": ("mmlu", ("acc,none",), "mmlu_"),
    "ceval-valid": ("ceval", ("acc,none",), "ceval-valid_"),
    "cmmlu": ("cmmlu", ("acc,none",), "cmmlu_"),
    "gsm8k": ("gsm8k", ("exact_match,strict-match",), ""),
    "gsm8k_cot": ("gsm8k", ("exact_match,strict-match",), ""),
    "minerva_math": ("math", ("exact_match,none",), "minerva_math_"),
    "hendrycks_math": ("math", ("exact_match,none",), "hendrycks_math_"),
    "minerva_math500": ("math500", ("exact_match,none",), ""),
    "hendrycks_math500": ("math500", ("exact_match,none",), ""),
    "humaneval": ("humaneval", ("pass@1,create_test",), ""),
    "humaneval_instruct": ("humaneval", ("pass@1,create_test",), ""),
    "mbpp": ("mbpp", ("pass_at_1,none",), ""),
    "bbh": ("bbh", ("exact_match,get-answer",), "bbh_cot_fewshot_"),
    "bbh_cot_fewshot": ("bbh", ("exact_match,get-answer",), "bbh_cot_fewshot_"),
}
_SPLIT_NAMES = {"validation": "val", "val": "val", "test": "test", "train": "train", "dev": "dev"}


def from_lm_eval(path: Path, model: str | None = None) -> Imported:
    """Read one run.

    Args:
        path: A ``results_*.json``, or a folder with one anywhere below it.
        model: The model's name, to be checked against the file's.

    Raises:
        InputError: If there is no such file, more than one, or it is not lm-eval's.
        ConfigError: If the file is of another model.
    """
    file = path if path.is_file() else one_of(path.rglob("results_*.json"), path, "results_*.json")
    root = read_object(file, "a results_*.json of lm-eval")
    results = root.get("results")
    if not isinstance(results, dict):
        raise InputError(file, "has no results", "name a results_*.json of lm-eval")
    name = str(root.get("model_name") or (root.get("config") or {}).get("model_args") or "")
    found = Imported("lm-eval", one_model([name] if name else [], model, file), file)
    for task, values in results.items():
        if task in _TASKS and isinstance(values, dict):
            _figure(found, root, task, values)
    inside = {leaf for task in _TASKS for leaf in _leaves(root, task)} | set(_groups_inside(root))
    strange = [task for task in results if task not in _TASKS and task not in inside]
    if strange:
        found.remarks.append(f"not among the benchmarks, left out: {', '.join(strange)}")
    return found


def _figure(found: Imported, root: dict[str, Any], task: str, values: dict[str, Any]) -> None:
    ours, known, _ = _TASKS[task]
    metrics = {key: value for key, value in values.items() if "," in key and "_stderr," not in key}
    metric = next((key for key in known if key in metrics), None)
    value = percent(metrics.get(metric)) if metric else None
    if metric is None or value is None:
        there = ", ".join(metrics) or "none"
        found.remarks.append(f"{task}: its score is {' or '.join(known)} as a fraction; there is {there}; left out")
        return
    leaves = _leaves(root, task)
    counts = [root.get("n-samples", {}).get(leaf) or {} for leaf in leaves]
    n = sum(int(count.get("effective", 0)) for count in counts)
    whole = sum(int(count.get("original", 0)) for count in counts)
    configs = [root.get("configs", {}).get(leaf) or {} for leaf in leaves]
    form: Format = "mc" if any(config.get("output_type") == "multiple_choice" for config in configs) else "generate"
    splits = {_SPLIT_NAMES.get(str(c.get("test_split") or c.get("validation_split")), "") for c in configs}
    split = splits.pop() if len(splits) == 1 else ""
    shots = root.get("n-shot", {}).get(task, root.get("n-shot", {}).get(leaves[0]))
    named, _, filtered = metric.partition(",")
    also = {key: percent(value) for key, value in metrics.items() if key != metric and percent(value) is not None}
    figure = {
        "value": value,
        "stderr": percent(values.get(f"{named}_stderr,{filtered}")),
        "shots": shots if isinstance(shots, int) else None,
        "n": n or None,
        "limit": n if n < whole else None,
        "split": split or None,
        "format": form,
        "metric": metric,
        "also": also or None,
    }
    before = len(found.remarks)
    found.figure(ours, task, figure)
    if len(found.remarks) == before:
        samples = [s for leaf in leaves for s in _samples(found, task, leaf, metric, split, form, shots)]
        if samples:
            found.samples[ours] = samples


def _leaves(root: dict[str, Any], task: str) -> list[str]:
    children = root.get("group_subtasks", {}).get(task) or []
    return [leaf for child in children for leaf in _leaves(root, child)] or [task]


def _groups_inside(root: dict[str, Any]) -> Iterator[str]:
    groups = root.get("group_subtasks", {})
    stack = [child for task in _TASKS for child in groups.get(task, [])]
    while stack:
        name = stack.pop()
        yield name
        stack += groups.get(name, [])


def _samples(
    found: Imported, task: str, leaf: str, metric: str, split: str, form: Format, shots: object
) -> Iterator[Sample]:
    ours, _, prefix = _TASKS[task]
    file = found.source.with_name(f"samples_{leaf}_{found.source.stem.removeprefix('results_')}.jsonl")
    if not file.is_file():
        return
    named, _, filtered = metric.partition(",")
    for number, line in read_lines(file):
        if line.get("filter", filtered) != filtered:
            continue
        correct, doc = line.get(named), line.get("doc") or {}
        if isinstance(correct, bool) or not isinstance(correct, int | float):
            found.remarks.append(f"{file.name}:{number}: has no {named}, left out")
            continue
        subject = str(doc.get("subject", "all")) if ours == "math500" else SINGLE.get(ours, leaf.removeprefix(prefix))
        place = doc.get("task_id") if ours == "mbpp" else line.get("doc_id")
        part = split or SPLITS.get(ours, "test")
        texts, extracted, logprobs = _said(line, form)
        prompt = ((line.get("arguments") or {}).get("gen_args_0") or {}).get("arg_0", "")
        yield Sample(
            task=ours,
            key=f"{ours}/{subject}/{part}/{place}",
            subject=subject,
            split=part,
            shots=shots if isinstance(shots, int) else 0,
            protocol="lm-eval",
            format=form,
            prompt=str(prompt),
            gold=_letter(line.get("target")) if form == "mc" else gold_of(ours, line.get("target")),
            correct=float(correct),
            output=texts,
            extracted=extracted,
            logprobs=logprobs,
        )


def _letter(target: object) -> str:
    text = str(target)
    return "ABCDEFGHIJ"[int(text)] if text.isdigit() and int(text) < 10 else text


def _said(line: dict[str, Any], form: Format) -> tuple[tuple[str, ...], tuple[str | None, ...], tuple[float, ...]]:
    """Return what was generated, what was read out of it, and the choices' log-probabilities."""
    filtered = line.get("filtered_resps") or []
    if form == "mc":
        return (), (), tuple(float(pair[0] if isinstance(pair, list) else pair) for pair in filtered)
    texts = tuple(str(text) for answers in line.get("resps") or [] for text in answers)
    flat = [part for answer in filtered for part in (answer if isinstance(answer, list) else [answer])]
    return texts, tuple(None if part == "[invalid]" else str(part) for part in flat), ()
