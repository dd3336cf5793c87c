"""Records of one prompt and answers, better and worse: DPO's forms, reward data, ranked lists, hh-rlhf, CValues.

An answer is a text, a message, or a list of messages. Where both answers bring their whole dialogue (hh-rlhf's
transcripts, lists of messages), the prompt is what they share, and one answer must be left on each side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.instructions.answers import QUESTIONS, alpaca_prompt, answer_of, prompt_of
from corpus.instructions.dialogues import LISTS, turns_in
from corpus.instructions.messages import Bad, check_prompt, system_of, text_of, tools_of, transcript, turns_of
from corpus.instructions.rows import Axis, Held, Ranking, Turn

AXES: dict[str, Axis] = {
    "helpful": "helpful",
    "helpfulness": "helpful",
    "honest": "honest",
    "honesty": "honest",
    "truthful": "honest",
    "harmless": "harmless",
    "harmlessness": "harmless",
    "safe": "harmless",
    "safety": "harmless",
}
AXIS_KEYS = ("axis", "dimension", "aspect")  # under which a record says what it was judged by
MARGINS = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"))


def pair(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {chosen, rejected} with a prompt under any of its names, or with a list of messages before them."""
    answers = [record["chosen"], record["rejected"]]
    if all(isinstance(answer, list) and len(answer) > 1 for answer in answers):  # they bring the prompt with them
        return whole(record, place)
    if any(name in record for name in LISTS) and not any(name in record for name in QUESTIONS):
        prompt = turns_in(record)
    elif "instruction" in record:
        prompt = alpaca_prompt(record)
    else:
        prompt = prompt_of(next(record[name] for name in QUESTIONS if name in record), record)
    return _ranking(place, prompt, answers, record)


def whole(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {chosen, rejected} that hold the whole dialogue each: transcripts or lists of messages."""
    sides = []
    for name in ("chosen", "rejected"):
        value = next(record[key] for key in (name, f"{name}_messages") if key in record)
        turns = transcript(value, ("hh-rlhf",)) if isinstance(value, str) else turns_of(value, name)
        if not turns:
            raise Bad(f"{name} is neither a transcript (Human: … Assistant: …) nor a list of messages")
        sides.append(turns)
    chosen, rejected = sides
    if chosen[:-1] != rejected[:-1]:
        shared = next((n for n, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), 0)
        raise Bad(f"chosen and rejected share {shared} turns, not all but the last answer")
    if {chosen[-1].role, rejected[-1].role} != {"assistant"}:
        raise Bad("chosen and rejected do not end with an answer")
    before = () if chosen[0].role == "system" else system_of(record)
    return _ranking(place, (*before, *chosen[:-1]), [chosen[-1].content, rejected[-1].content], record)


def reward(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {question, response_chosen, response_rejected}."""
    answers = [record["response_chosen"], record["response_rejected"]]
    return _ranking(place, prompt_of(record["question"], record), answers, record)


def ranked(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {instruction, input, output: [best, …, worst][, history]}."""
    if len(record["output"]) < 2:
        raise Bad(f"the ranked list has {len(record['output'])} answers")
    return _ranking(place, alpaca_prompt(record), record["output"], record)


def cvalues(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {prompt, pos_resp, neg_resp}: the safer and the less safe answer to a risky prompt."""
    answers = [record["pos_resp"], record["neg_resp"]]
    return _ranking(place, prompt_of(record["prompt"], record), answers, {**record, "axis": "harmless"})


def is_ranked(record: Mapping[str, Any]) -> bool:
    """Tell whether a record's output is a list of answers."""
    return isinstance(record["output"], list)


def _ranking(place: str, prompt: tuple[Turn, ...], answers: list[Any], record: Mapping[str, Any]) -> list[Held]:
    check_prompt(prompt)
    texts = tuple(text_of(answer_of(answer), f"answer {n + 1}") for n, answer in enumerate(answers))
    return [Ranking(place, prompt, texts, margin=_margin(record), axis=_axis(record), tools=tools_of(record))]


def _margin(record: Mapping[str, Any]) -> float | None:
    if isinstance(record.get("margin"), int | float):
        return float(record["margin"])
    for chosen, rejected in MARGINS:
        if isinstance(record.get(chosen), int | float) and isinstance(record.get(rejected), int | float):
            return float(record[chosen]) - float(record[rejected])
    return None


def _axis(record: Mapping[str, Any]) -> Axis | None:
    said = next((record[name] for name in AXIS_KEYS if isinstance(record.get(name), str)), "")
    return AXES.get(said.strip().lower())
