"""Free answers: GSM8K, MATH and MATH-500, HumanEval, MBPP, BBH, as published.

Cobbe et al. 2021; Hendrycks et al. 2021 and Lightman et al. 2023; Chen et al. 2021; Austin et al. 2021; Suzgun et al.
2022.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import Path

from corpus.sources.benchmarks.items import ALL, Item, read_jsonl
from workbench.errors import InputError


def gsm8k(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield GSM8K: question, worked solution; the answer is what follows ####."""
    for split in ("train", "test"):
        path = folder / f"{split}.jsonl"
        if split in splits and path.is_file():
            for number, record in enumerate(read_jsonl(path, ("question", "answer"), "GSM8K")):
                solution = str(record["answer"])
                answer = solution.rpartition("####")[2].strip()
                yield Item("gsm8k", "all", split, number, record["question"], (), answer, {"solution": solution})


def math(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield MATH (train and test folders of one problem a file) where it is, and MATH-500 under its own name."""
    for split in ("train", "test"):
        files = sorted((folder / split).glob("*/*.json")) if split in splits else []
        for number, file in enumerate(files):
            try:
                record = json.loads(file.read_text(encoding="utf-8"))
                more = {"solution": record["solution"], "level": record.get("level", "")}
                problem = record["problem"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(file, f"is no problem of MATH ({error})", "take MATH's official files") from error
            yield Item("math", file.parent.name, split, number, problem, (), "", more)
    path = folder / "math500.jsonl"
    if "test" in splits and path.is_file():
        for number, record in enumerate(read_jsonl(path, ("problem", "solution", "answer", "subject"), "MATH-500")):
            more = {"solution": record["solution"], "level": record.get("level", "")}
            subject, answer = str(record["subject"]), str(record["answer"])
            yield Item("math500", subject, "test", number, record["problem"], (), answer, more)


def humaneval(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield HumanEval: prompt, canonical solution, tests, entry point."""
    for path in (folder / "HumanEval.jsonl.gz", folder / "HumanEval.jsonl"):
        if "test" in splits and path.is_file():
            keys = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
            for number, record in enumerate(read_jsonl(path, keys, "HumanEval")):
                more = {key: record[key] for key in ("task_id", "test", "entry_point")}
                answer = str(record["canonical_solution"])
                yield Item("humaneval", "python", "test", number, record["prompt"], (), answer, more)
            return


def mbpp(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield MBPP's 974: task ids 1–10 are exemplars, 11–510 test, 511–600 validation, 601–974 train (section 2.1)."""
    path = folder / "mbpp.jsonl"
    if path.is_file():
        for record in read_jsonl(path, ("text", "code", "task_id", "test_list"), "MBPP"):
            task = int(record["task_id"])
            split = "dev" if task <= 10 else "test" if task <= 510 else "val" if task <= 600 else "train"
            more = {"tests": record["test_list"], "setup": record.get("test_setup_code", "")}
            if split in splits:
                yield Item("mbpp", "python", split, task, record["text"], (), str(record["code"]), more)


def bbh(folder: Path, splits: Container[str] = ALL) -> Iterator[Item]:
    """Yield BIG-Bench Hard's 27 tasks: input and target."""
    root = folder / "bbh" if (folder / "bbh").is_dir() else folder
    for file in sorted(root.glob("*.json")) if "test" in splits else ():
        try:
            records = json.loads(file.read_text(encoding="utf-8"))["examples"]
            examples = [(record["input"], str(record["target"])) for record in records]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                file, "holds no examples of input and target", "take BIG-Bench Hard's official files"
            ) from error
        for number, (question, target) in enumerate(examples):
            yield Item("bbh", file.stem, "test", number, question, (), target)


def bbh_exemplars(folder: Path) -> Iterator[Item]:
    """Yield the exemplars of BIG-Bench Hard's official chain-of-thought prompts, three a task.

    ``more`` has ``about`` (what stands at the prompt's head) and ``solution`` (what follows "step by step.", with the
    line end or space it begins with).

    Raises:
        InputError: If a file is not of that form.
    """
    steps, said = "\nA: Let's think step by step.", "the answer is "
    for file in sorted((folder / "cot-prompts").glob("*.txt")):
        about, *shots = file.read_text(encoding="utf-8").partition("-----\n")[2].split("\n\nQ: ")
        for number, shot in enumerate(shots):
            question, found, solution = shot.partition(steps)
            if not found or said not in solution:
                raise InputError(file, "is no chain-of-thought prompt", "take BIG-Bench Hard's official files")
            answer = solution.rpartition(said)[2].strip().removesuffix(".")
            more = {"about": about, "solution": solution}
            yield Item("bbh", file.stem, "cot", number, question, (), answer, more)
