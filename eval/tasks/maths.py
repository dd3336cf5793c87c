"""MATH (Hendrycks et al. 2021, arXiv 2103.03874; 5,000 test problems) and MATH-500 (Lightman et al. 2023), 4-shot.

They are two tasks: a score on the 500 is called math500 and never stands in MATH's column. The prompt is Minerva's
(arXiv 2206.14858): official has the solution on the line after "Solution:", lm-eval after a space. The score is the
official is_equiv of the last boxed (or "final answer is") expression; math-verify, which also accepts 2√2 for √8, is
shown beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from corpus.sources.benchmarks import Item
from eval.tasks import exemplars
from eval.tasks.base import Asked, Judged, Judging, Prompt, Question, Task


def question(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return a problem as a question."""
    gap = " " if asked.protocol == "lm-eval" else "\n"
    written = tuple(f"Problem:\n{p}\n\nSolution:{gap}{s}\n\n" for p, s in exemplars.maths()[: asked.shots])
    prompt = Prompt("", written, f"Problem:\n{item.question}\n\nSolution:")
    return Question(item, item.subject, prompt, item.answer, stop=("Problem:",), max_tokens=512)


def judge(asked: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Judge by the official rule, with math-verify beside it."""
    from eval.extract import maths

    gold = asked.gold or maths.boxed(str(asked.item.more["solution"])) or ""
    found = [maths.boxed(text) for text in outputs]
    official = sum(one is not None and maths.is_equiv(one, gold) for one in found) / len(found)
    verified = sum(one is not None and maths.math_verify(one, gold) for one in found) / len(found)
    return Judged(official, tuple(found), {"is_equiv": official, "math_verify": verified})


TASK = Task(
    id="math",
    name="MATH",
    readers=("math",),
    keeps="math",
    files="math/test/<subject>/*.json, or its MATH.tar",
    source="hendrycks/math on GitHub",
    counts={"train": (7500, 7), "test": (5000, 7)},
    splits=("test",),
    shots=4,
    protocols=("official", "lm-eval"),
    formats=("generate",),
    modes=("cot",),
    mean="micro",
    exemplars=None,
    ask=question,
    judge=judge,
)
MATH500 = replace(
    TASK,
    id="math500",
    name="MATH-500",
    keeps="math500",
    files="math/math500.jsonl",
    source="openai/prm800k on GitHub (math_splits/test.jsonl)",
    counts={"test": (500, 7)},
    digests={
        "test": "7deab9d4b6523028a498782c0e0d8041ff146f15c990cd1b6c95f96da6178093",
    },
)
