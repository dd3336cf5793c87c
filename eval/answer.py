"""A portion of questions put to a model behind lm-eval's interface, and the verdicts: questions in, samples out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from eval.plan import fit
from eval.samples import Format, Sample
from eval.tasks.base import LETTERS, Asked, Judged, Judging, Question, Task

JUDGES = 2  # programs run at once


@dataclass(frozen=True)
class Drawing:
    """How texts are drawn."""

    samples: int = 1
    temperature: float = 0.0  # 0: greedy
    seed: int = 0


def answer(
    lm: Any, task: Task, asked: Asked, questions: Sequence[Question], drawing: Drawing, judging: Judging
) -> list[Sample]:
    """Return the samples of a portion.

    Args:
        lm: A model behind lm-eval's interface.
        task: Whose questions they are.
        asked: How they are asked.
        questions: The portion: all choices or all texts.
        drawing: For texts: how many, at what temperature.
        judging: What a judge may need.
    """
    fitted = [fit(question, lambda text: len(lm.tok_encode(text)), int(lm.max_length)) for question in questions]
    if questions[0].choices:
        found = _choose(lm, [question for question, _ in fitted], asked)
        outputs: list[tuple[str, ...]] = [()] * len(fitted)
    else:
        found = [() for _ in fitted]
        outputs = _write(lm, [question for question, _ in fitted], drawing)
    judged = _judge(task, asked, [question for question, _ in fitted], found, outputs, judging)
    return [
        Sample(
            task=task.id,
            key=question.item.id,
            subject=question.subject,
            split=question.item.split,
            shots=asked.shots,
            protocol=asked.protocol,
            format=cast(Format, asked.format),
            prompt=question.prompt.text,
            gold=question.gold,
            correct=verdict.correct,
            output=texts,
            extracted=tuple(verdict.extracted),
            logprobs=logprobs,
            verdicts=dict(verdict.verdicts) or None,
            dropped_shots=dropped,
        )
        for (question, dropped), logprobs, texts, verdict in zip(fitted, found, outputs, judged, strict=True)
    ]


def _instance(kind: str, arguments: tuple[Any, ...]) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=cast(Any, kind), doc={}, arguments=arguments, idx=0)


def _choose(lm: Any, questions: Sequence[Question], asked: Asked) -> list[tuple[float, ...]]:
    pairs = [(question.prompt.text, choice) for question in questions for choice in question.choices]
    scored = lm.loglikelihood([_instance("loglikelihood", pair) for pair in pairs], disable_tqdm=True)
    values = iter(value for value, _ in scored)
    return [tuple(next(values) for _ in question.choices) for question in questions]


def _write(lm: Any, questions: Sequence[Question], drawing: Drawing) -> list[tuple[str, ...]]:
    requests = []
    for question in questions:
        for number in range(drawing.samples):
            options: dict[str, Any] = {"until": list(question.stop), "max_gen_toks": question.max_tokens}
            if drawing.temperature > 0:
                mark = f"{drawing.seed}/{question.item.id}/{number}".encode()
                seed = int.from_bytes(hashlib.sha256(mark).digest()[:4], "big")
                options |= {"do_sample": True, "temperature": drawing.temperature, "seed": seed}
            else:
                options |= {"do_sample": False, "temperature": 0.0}
            requests.append(_instance("generate_until", (question.prompt.text, options)))
    texts = iter(lm.generate_until(requests, disable_tqdm=True))
    return [tuple(next(texts) for _ in range(drawing.samples)) for _ in questions]


def _judge(
    task: Task,
    asked: Asked,
    questions: Sequence[Question],
    logprobs: Sequence[tuple[float, ...]],
    outputs: Sequence[tuple[str, ...]],
    judging: Judging,
) -> list[Judged]:
    if questions[0].choices:
        judge = by_letter if asked.format == "mc" else by_text
        return [judge(question, values) for question, values in zip(questions, logprobs, strict=True)]
    assert task.judge is not None
    if not task.code:  # math-verify limits its time by a signal, which only the main thread can take
        return [task.judge(question, texts, judging) for question, texts in zip(questions, outputs, strict=True)]
    with ThreadPoolExecutor(JUDGES) as pool:
        return list(pool.map(task.judge, questions, outputs, [judging] * len(questions)))


def by_letter(question: Question, logprobs: Sequence[float]) -> Judged:
    """Judge by the likeliest letter."""
    said = LETTERS[logprobs.index(max(logprobs))]
    return Judged(float(said == question.gold), (said,))


def by_text(question: Question, logprobs: Sequence[float]) -> Judged:
    """Judge by the text that is likeliest a byte; the bits of the right one are kept for bits per byte."""
    sizes = [max(1, len(choice.encode())) for choice in question.choices]
    per_byte = [value / size for value, size in zip(logprobs, sizes, strict=True)]
    said, whole = (LETTERS[values.index(max(values))] for values in (per_byte, list(logprobs)))
    verdicts: dict[str, Any] = {"by_sum": float(whole == question.gold)}
    if question.gold:
        right = LETTERS.index(question.gold)
        verdicts |= {"gold_bits": -logprobs[right] / math.log(2), "gold_bytes": sizes[right]}
    return Judged(float(said == question.gold), (said,), verdicts)
