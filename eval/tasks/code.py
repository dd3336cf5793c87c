"""HumanEval (Chen et al. 2021, arXiv 2107.03374) and MBPP (Austin et al. 2021, arXiv 2108.07732): programs, run.

HumanEval, 0-shot: the prompt is the item, the stop strings are the paper's. MBPP, 3-shot: the paper's prompt with its
exemplars, tasks 2, 3 and 4; official has plain line ends where the file (and lm-eval) has carriage returns. With
several samples an item is worth the share of its programs that pass, and pass@k is the unbiased estimator of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from corpus.sources.benchmarks import Item
from eval.tasks.base import Asked, Judged, Judging, Prompt, Question, Task

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
MBPP_SHOTS = (2, 3, 4, 1, 5, 6, 7, 8, 9, 10)  # the paper's three, then the rest of its ten exemplars


def ask_humaneval(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return a function to complete."""
    return Question(item, item.subject, Prompt("", (), item.question), item.answer, stop=STOPS, max_tokens=512)


def ask_mbpp(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return a task with its tests."""

    def plain(text: str) -> str:
        return text if asked.protocol == "lm-eval" else text.replace("\r\n", "\n").rstrip()

    def opening(one: Item) -> str:
        tests = "\n".join(one.more["tests"])
        return (
            f"You are an expert Python programmer, and here is your task: {one.question} "
            f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
        )

    by_number = {one.number: one for one in shots}
    chosen = [by_number[n] for n in MBPP_SHOTS if n in by_number][: asked.shots]
    written = tuple(f"{opening(one)}{plain(one.answer)}\n[DONE]\n\n" for one in chosen)
    return Question(
        item, item.subject, Prompt("", written, opening(item)), item.answer, stop=("[DONE]",), max_tokens=512
    )


def judge_humaneval(asked: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Run the official check on each completion."""
    from eval.extract import code

    tests = f"{asked.item.more['test']}\ncheck({asked.item.more['entry_point']})"
    return _judge(outputs, judging, lambda text: code.humaneval(asked.item.question, text), tests)


def judge_mbpp(asked: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Run the item's assertions on each program."""
    from eval.extract import code

    tests = "\n".join([str(asked.item.more["setup"]), *asked.item.more["tests"]])
    return _judge(outputs, judging, code.mbpp, tests)


def _judge(outputs: Sequence[str], judging: Judging, program: Callable[[str], str], tests: str) -> Judged:
    from eval.sandbox import judge

    programs = [program(text) for text in outputs]
    found = {
        one: judge(one, tests, seconds=judging.seconds, unsafe=judging.unsafe) for one in dict.fromkeys(programs)
    }  # equal programs are run once
    passed = [found[one].passed for one in programs]
    ends = [found[one].end for one in programs]
    return Judged(sum(passed) / len(passed), tuple(programs), {"passed": sum(passed), "ends": ends})


HUMANEVAL = Task(
    id="humaneval",
    name="HumanEval",
    readers=("humaneval",),
    keeps="humaneval",
    files="humaneval/HumanEval.jsonl.gz",
    source="openai/human-eval on GitHub",
    counts={"test": (164, 1)},
    digests={
        "test": "a4a8ab1bc4b1fae57686847ae85f6408b6a59f6112b1944e483e425a794fb6fc",
    },
    splits=("test",),
    shots=0,
    protocols=("official", "lm-eval"),
    formats=("generate",),
    modes=("direct",),
    mean="micro",
    exemplars=None,
    ask=ask_humaneval,
    judge=judge_humaneval,
    code=True,
)
MBPP = Task(
    id="mbpp",
    name="MBPP",
    readers=("mbpp",),
    keeps="mbpp",
    files="mbpp/mbpp.jsonl",
    source="google-research/google-research on GitHub, folder mbpp",
    counts={"dev": (10, 1), "test": (500, 1), "val": (90, 1), "train": (374, 1)},
    digests={
        "test": "89125173c0a7d52771588a881f930668bb3b973eb172becb00dda5837e57eb81",
        "val": "c85d5f440d48522c4b48114de15e2026d5212f28e6e1f4f98ec1df3a9a2643ff",
    },
    splits=("test", "val"),
    shots=3,
    protocols=("official", "lm-eval"),
    formats=("generate",),
    modes=("direct",),
    mean="micro",
    exemplars="dev",
    ask=ask_mbpp,
    judge=judge_mbpp,
    code=True,
)
