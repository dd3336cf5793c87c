"""The questions of a run: which items, and which exemplars fit into the model's context.

``limit`` takes a part of the items that is spread over the subjects by their size, the same part each time (by a hash
of the item's id), so that runs with one limit can be compared item by item. A prompt that is longer than the context
loses whole exemplars: the longest first where the protocol says so (CMMLU's official rule), else the last first.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from corpus.sources.benchmarks import Item
from eval.tasks.base import Asked, Question, Task
from eval.tasks.files import Loaded
from workbench.errors import ConfigError

CHOICES_AT_ONCE = 256  # questions answered before they are written down
K = TypeVar("K")
SPARE = 8  # ids a tokenizer may add to a text (bos, a dummy space)


@dataclass(frozen=True)
class Planned:
    """A task's questions."""

    questions: Sequence[Question]
    sizes: Mapping[str, int]  # items of each subject, taken or not
    limited: bool


def plan(task: Task, loaded: Loaded, asked: Asked, limit: int | None) -> Planned:
    """Return what is asked.

    Args:
        task: The task.
        loaded: Its items and exemplars.
        asked: How it is asked.
        limit: Items at most, spread over the subjects; None for all.

    Raises:
        ConfigError: If there are fewer exemplars than shots.
    """
    by_subject: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in loaded.items:
        by_subject[item.benchmark, item.subject].append(item)
    sizes = {key: len(items) for key, items in by_subject.items()}
    quota = sizes if limit is None else shares(sizes, limit)
    taken = [item for key, items in by_subject.items() for item in _spread(items, quota[key])]
    questions = [task.ask(item, loaded.exemplars.get((item.benchmark, item.subject), ()), asked) for item in taken]
    short = next((q for q in questions if len(q.prompt.shots) < asked.shots), None)
    if short is not None:
        have = len(short.prompt.shots)
        raise ConfigError(f"--shots {asked.shots}", f"{task.name} has {have} exemplars", f"give at most {have}")
    named = {f"{key[0]}/{key[1]}" if task.parts else key[1]: size for key, size in sizes.items()}
    return Planned(questions, named, len(taken) < len(loaded.items))


def shares(sizes: Mapping[K, int], limit: int) -> dict[K, int]:
    """Return how many of each subject: by size, one at least while the limit allows it, largest remainders first."""
    total = sum(sizes.values())
    if limit >= total:
        return dict(sizes)
    least = 1 if limit >= len(sizes) else 0
    exact = {key: limit * size / total for key, size in sizes.items()}
    out = {key: max(least, int(value)) for key, value in exact.items()}
    order = sorted(sizes, key=lambda key: (int(exact[key]) - exact[key], str(key)))
    while sum(out.values()) > limit:
        out[max(out, key=lambda key: (out[key] - exact[key], out[key]))] -= 1
    while sum(out.values()) < limit:
        for key in order:
            if sum(out.values()) < limit and out[key] < sizes[key]:
                out[key] += 1
    return out


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    if count >= len(items):
        return list(items)
    chosen = set(sorted((item.id for item in items), key=lambda key: hashlib.sha256(key.encode()).digest())[:count])
    return [item for item in items if item.id in chosen]


def fit(question: Question, count: Callable[[str], int], context: int) -> tuple[Question, int]:
    """Return a question whose prompt and answer fit, and how many exemplars were left out for it.

    Args:
        question: The question.
        count: Returns a text's number of ids.
        context: Ids the model takes.
    """
    answers = max((len(one.encode()) for one in question.choices), default=0)
    room = context - SPARE - (answers or min(question.max_tokens, context // 2))
    shots = list(question.prompt.shots)
    if len(question.prompt.text.encode()) <= room:  # an id is a byte at least
        return question, 0
    while shots and count(replace(question.prompt, shots=tuple(shots)).text) > room:
        sizes = [count(shot) for shot in shots] if question.drop_longest else ()
        shots.pop(sizes.index(max(sizes)) if sizes else -1)
    dropped = len(question.prompt.shots) - len(shots)
    return replace(question, prompt=replace(question.prompt, shots=tuple(shots))), dropped


def portions(questions: Sequence[Question], slots: int, world: int = 1) -> Iterator[list[Question]]:
    """Yield the questions in portions that are answered together and then written down.

    Choices: a fixed number, in order, so that a subject's stand together. Texts: those of one set of exemplars, four
    times as many as there are slots; sets with fewer questions than slots go together.

    Args:
        questions: All of a task.
        slots: Texts generated at once.
        world: Processes that share the portions: choices come in four portions each at least.
    """
    if questions and questions[0].choices:
        most = CHOICES_AT_ONCE if world == 1 else min(CHOICES_AT_ONCE, max(1, len(questions) // (4 * world)))
        for low in range(0, len(questions), most):
            yield list(questions[low : low + most])
        return
    groups: dict[tuple[str, tuple[str, ...]], list[Question]] = defaultdict(list)
    for question in questions:
        groups[question.prompt.head, question.prompt.shots].append(question)
    few: list[Question] = []
    for group in groups.values():
        if len(group) < slots:  # a batch that is full is worth more than a beginning that is shared
            few += group
            if len(few) >= slots:
                yield few
                few = []
            continue
        for low in range(0, len(group), 4 * slots):
            yield group[low : low + 4 * slots]
    if few:
        yield few
