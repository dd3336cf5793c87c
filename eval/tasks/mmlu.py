"""MMLU (Hendrycks et al. 2021, arXiv 2009.03300): 57 subjects, four choices, 5-shot; the score is the mean over items.

official: evaluate.py of hendrycks/test, whose subject comes with two spaces before it, as the original prompt has it.
lm-eval: one space, the question stripped. qwen: "Question: " before each question. The answer is " A" to " D".
"""

from __future__ import annotations

from eval.tasks.base import Task
from eval.tasks.choice import Style, Thought, asking, judge_letter

MEDICAL = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "nutrition",
    "professional_medicine",
    "virology",
)


def _head(gap: str) -> str:
    return f"The following are multiple choice questions (with answers) about{gap}{{}}.\n\n"


def _words(subject: str) -> str:
    return subject.replace("_", " ")


STYLES = {
    "official": Style(lambda subject: _head("  ").format(_words(subject)), "", "\nAnswer:", " "),
    "lm-eval": Style(lambda subject: _head(" ").format(_words(subject)), "", "\nAnswer:", " ", strip=True),
    "qwen": Style(lambda subject: _head(" ").format(_words(subject)), "Question: ", "\nAnswer:", " "),
}
# No file of MMLU has worked answers and no chain of thought is official: this one is ours, with bare exemplars.
THOUGHT = Thought(
    STYLES["official"].head,
    "",
    "\nAnswer: Let's think step by step.",
    lambda item: f"\nAnswer: The answer is ({item.answer}).",
    ("\n\n\n", "\nQuestion:"),
)
question = asking(STYLES, THOUGHT)


TASK = Task(
    id="mmlu",
    name="MMLU",
    readers=("mmlu",),
    keeps="mmlu",
    files="mmlu/data/{dev,val,test}/*.csv, or its data.tar",
    source="hendrycks/test on GitHub",
    counts={"dev": (285, 57), "val": (1531, 57), "test": (14042, 57)},
    digests={
        "test": "860f441183956ed145d25e608d4a309c1b20a824b29132b7455dd387a0273e74",
        "val": "9bf2f2abe6cd13dd512f28ac84e6392f6ad619d2bfc1f5e625c0887e5c57780b",
    },
    splits=("test", "val"),
    shots=5,
    protocols=("official", "lm-eval", "qwen"),
    formats=("mc", "cf"),
    modes=("direct", "cot"),
    cot_protocol="yanmo",
    mean="micro",
    exemplars="dev",
    ask=question,
    judge=judge_letter,
)
