"""BIG-Bench Hard (Suzgun et al. 2022, arXiv 2210.09261): 27 tasks, 3-shot chain of thought, the mean over tasks.

The prompts are the official cot-prompts files, read from beside the tasks. official ends with "Let's think step by
step."; lm-eval adds a line end and stops at any Q. direct leaves the working out of the exemplars. The answer is what
follows "the answer is", compared with the target as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.sources.benchmarks import Item
from eval.tasks.base import Asked, Judged, Judging, Prompt, Question, Task

STEPS = "A: Let's think step by step."


def question(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return an item as a question."""
    cot = asked.mode == "cot"
    head = f"{shots[0].more['about']}\n\n" if shots else ""
    written = tuple(
        f"Q: {one.question}\n{STEPS}{one.more['solution']}\n\n" if cot else f"Q: {one.question}\nA: {one.answer}\n\n"
        for one in shots[: asked.shots]
    )
    end = (STEPS + "\n" * (asked.protocol == "lm-eval")) if cot else "A:"
    stop = ("</s>", "Q", "\n\n") if asked.protocol == "lm-eval" else ("\n\n",)
    prompt = Prompt(head, written, f"Q: {item.question}\n{end}")
    return Question(item, item.subject, prompt, item.answer, stop=stop, max_tokens=512 if cot else 32)


def judge(asked: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Judge by the answer that the text names."""
    from eval.extract import bbh

    found = tuple(bbh.answer(text) for text in outputs)
    return Judged(sum(one == asked.gold.strip() for one in found) / len(found), found)


TASK = Task(
    id="bbh",
    name="BBH",
    readers=("bbh",),
    keeps="bbh",
    files="bbh/bbh/*.json and bbh/cot-prompts/*.txt",
    source="suzgunmirac/BIG-Bench-Hard on GitHub",
    counts={"test": (6511, 27)},
    digests={
        "test": "7c8f8cb43924fbfef4ad6e9e8249e0d09a98c8c031ca0614a5b927a4ef776549",
    },
    splits=("test",),
    shots=3,
    protocols=("official", "lm-eval"),
    formats=("generate",),
    modes=("cot", "direct"),
    mean="macro",
    exemplars="cot",
    ask=question,
    judge=judge,
)
