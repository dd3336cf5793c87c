"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): 1,319 word problems, 8-shot chain of thought.

The prompt is Wei et al.'s (arXiv 2201.11903), which lm-eval's gsm8k_cot has too, so both protocols are one. strict
reads the number after "The answer is", flexible the last number; the score is strict, both are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.sources.benchmarks import Item
from eval.tasks import exemplars
from eval.tasks.base import Asked, Judged, Judging, Prompt, Question, Task

SAID = "The answer is "


def question(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
    """Return an item as a question; direct mode leaves the working out of the exemplars."""

    def answer(worked: str) -> str:
        return worked if asked.mode == "cot" else SAID + worked.rpartition(SAID)[2]

    written = tuple(f"Q: {q}\nA: {answer(a)}\n\n" for q, a in exemplars.gsm8k()[: asked.shots])
    prompt = Prompt("", written, f"Q: {item.question}\nA:")
    return Question(item, item.subject, prompt, item.answer, stop=("Q:",), max_tokens=256)


def judge(asked: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Judge by the strict reading, with the flexible one beside it."""
    from eval.extract import gsm8k

    strict = [gsm8k.strict(text) for text in outputs]
    flexible = [gsm8k.flexible(text) for text in outputs]

    def share(found: Sequence[str | None]) -> float:
        return sum(one is not None and gsm8k.equal(one, asked.gold) for one in found) / len(found)

    verdicts = {"strict": share(strict), "flexible": share(flexible)}
    return Judged(verdicts["strict"], tuple(strict), verdicts)


TASK = Task(
    id="gsm8k",
    name="GSM8K",
    readers=("gsm8k",),
    keeps="gsm8k",
    files="gsm8k/test.jsonl",
    source="openai/grade-school-math on GitHub",
    counts={"train": (7473, 1), "test": (1319, 1)},
    digests={
        "test": "50d5322f8083cc37b85ded462702e4595308665edf92cbf9805a1789dd8bac2b",
    },
    splits=("test",),
    shots=8,
    protocols=("official", "lm-eval"),
    formats=("generate",),
    modes=("cot", "direct"),
    mean="micro",
    exemplars=None,
    ask=question,
    judge=judge,
)
