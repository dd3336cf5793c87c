"""Multiple choice, by letter (mc), by the answer's own text (cf, cloze) or by chain of thought.

By letter: the prompt lists the choices, and the letter with the greatest likelihood is the answer. Cloze: the prompt
lists none, the likelihood of each answer's text is taken a UTF-8 byte, and the bits per byte of the right one are a
score that moves long before a small model leaves chance on letters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from corpus.sources.benchmarks import Item
from eval.tasks.base import LETTERS, Ask, Asked, Judged, Judging, Prompt, Question

COT_TOKENS = 512


@dataclass(frozen=True)
class Style:
    """A protocol's way to write an item."""

    head: Callable[[str], str]  # by subject
    before: str  # the question
    label: str  # before the answer
    gap: str = ""  # between the label and the answer
    strip: bool = False  # whether the question is stripped
    drop_longest: bool = False  # the protocol's rule for a context that is short


@dataclass(frozen=True)
class Thought:
    """A way to ask for a chain of thought."""

    head: Callable[[str], str]
    before: str
    label: str  # after the choices of the question
    shot: Callable[[Item], str]  # the answer of an exemplar, after its choices
    stop: tuple[str, ...]


def asking(styles: Mapping[str, Style], thought: Thought) -> Ask:
    """Return how a task asks: each protocol in its style; one that only a chain of thought has, in the official one."""

    def question(item: Item, shots: Sequence[Item], asked: Asked) -> Question:
        return ask(item, shots, asked, styles.get(asked.protocol, styles["official"]), thought)

    return question


def ask(item: Item, shots: Sequence[Item], asked: Asked, style: Style, thought: Thought | None) -> Question:
    """Return an item as a question.

    Args:
        item: The item.
        shots: Its subject's exemplars, in the file's order.
        asked: Format, mode and number of exemplars.
        style: How the protocol writes an item.
        thought: How it asks for a chain of thought.
    """
    chosen = shots[: asked.shots]
    if asked.mode == "cot":
        assert thought is not None
        written = tuple(f"{thought.before}{_listed(one)}{thought.shot(one)}\n\n" for one in chosen)
        prompt = Prompt(thought.head(item.subject), written, f"{thought.before}{_listed(item)}{thought.label}")
        return Question(
            item,
            item.subject,
            prompt,
            item.answer,
            stop=thought.stop,
            max_tokens=COT_TOKENS,
            drop_longest=style.drop_longest,
        )
    listed = asked.format == "mc"

    def question(one: Item) -> str:
        text = one.question.strip() if style.strip else one.question
        return style.before + (_with_choices(text, one) if listed else text) + style.label

    def answer(one: Item) -> str:
        return one.answer if listed else one.choices[LETTERS.index(one.answer)]

    prompt = Prompt(
        style.head(item.subject),
        tuple(f"{question(one)}{style.gap}{answer(one)}\n\n" for one in chosen),
        question(item),
    )
    said = LETTERS[: len(item.choices)] if listed else item.choices
    return Question(
        item, item.subject, prompt, item.answer, tuple(style.gap + one for one in said), drop_longest=style.drop_longest
    )


def judge_letter(question: Question, outputs: Sequence[str], judging: Judging) -> Judged:
    """Judge a chain of thought by the letter that is read out of it."""
    from eval.extract.choice import letter

    found = tuple(letter(text, LETTERS[: len(question.item.choices)]) for text in outputs)
    right = sum(one == question.gold for one in found) / len(found)
    return Judged(right, found)


def _with_choices(text: str, item: Item) -> str:
    return "\n".join([text, *(f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False))])


def _listed(item: Item) -> str:
    return _with_choices(item.question, item)
