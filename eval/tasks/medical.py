"""A medical group of the files at hand: nine subjects of CMMLU, three of C-Eval (on val), eight of MMLU, 5-shot.

Each item is asked as in its own benchmark, so items that were answered there are not asked again. MMLU's eight are the
six that medical papers take (anatomy, clinical knowledge, college biology, college medicine, medical genetics,
professional medicine) with nutrition and virology, which CMMLU has too. The score is the mean over the 20 subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from corpus.sources.benchmarks import Item
from eval.tasks import ceval, cmmlu, mmlu
from eval.tasks.base import Asked, Question, Task
from eval.tasks.choice import judge_letter

_ASK = {"mmlu": mmlu.question, "ceval": ceval.question, "cmmlu": cmmlu.question}


def question(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return an item as its own benchmark asks it, its subject named with the benchmark's."""
    return replace(_ASK[item.benchmark](item, shots, asked), subject=f"{item.benchmark}/{item.subject}")


TASK = Task(
    id="medical",
    name="Medical",
    readers=("cmmlu", "ceval", "mmlu"),
    keeps="",
    files="the folders cmmlu, ceval and mmlu",
    source="the projects of CMMLU, C-Eval and MMLU on GitHub",
    counts={"labelled": (3466, 20)},
    digests={
        "labelled": "9e1f067e4312104e981c38c1c43810e393e768119495e627cc56ee2fffbdba09",
    },
    splits=("labelled",),
    shots=5,
    protocols=("official", "lm-eval", "qwen"),
    formats=("mc", "cf"),
    modes=("direct", "cot"),
    cot_protocol="yanmo",
    mean="macro",
    exemplars="dev",
    ask=question,
    judge=judge_letter,
    parts={
        "cmmlu": ("test", frozenset(cmmlu.MEDICAL)),
        "ceval": ("val", frozenset(ceval.MEDICAL)),
        "mmlu": ("test", frozenset(mmlu.MEDICAL)),
    },
)
