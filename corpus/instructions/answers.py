"""Records of one question and its answer, a dialogue before it perhaps: Alpaca and its kin, prompt/completion, Q and A.

The input follows the instruction on a line of its own. A dialogue may stand before the question as ``history`` or, as
Belle, Guanaco and Huatuo do, inside the instruction with marks of who speaks (``MARKS``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.instructions.messages import (
    Bad,
    asking,
    check_conversation,
    check_prompt,
    history_of,
    system_of,
    text_of,
    tools_of,
    transcript,
    turns_of,
)
from corpus.instructions.rows import Conversation, Held, Prompt, Turn

QUESTIONS = ("prompt", "question", "instruction", "input", "query", "问")
ANSWERS = ("completion", "response", "output", "answer", "target", "std_answer", "答")


def alpaca_prompt(record: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the prompt of an instruction with its input, history and system."""
    parts = [text_of(record.get(name), name) for name in ("instruction", "input")]
    asked = "\n".join(part for part in parts if part)
    if not asked:
        raise Bad("the instruction is empty")
    inside = transcript(asked) or (Turn("user", asked),)
    return (*system_of(record), *history_of(record.get("history")), *asking(inside))


def alpaca(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {instruction, input, output[, history, system, tools]}."""
    return [_conversation(place, alpaca_prompt(record), record["output"], record)]


def seed_task(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {instruction, instances: [{input, output}, …]}: a row an instance."""
    instances = record["instances"]
    if not isinstance(instances, list) or not all(isinstance(one, Mapping) for one in instances):
        raise Bad("instances is not a list of inputs and outputs")
    rows: list[Held] = []
    for number, one in enumerate(instances):
        prompt = alpaca_prompt({"instruction": record["instruction"], "input": one.get("input")})
        rows.append(_conversation(f"{place}/{number}" if number else place, prompt, one.get("output"), {}))
    return rows


def completion(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read a question and its answer under any of their names; either may be a list of messages."""
    asked, answer = (next(record[name] for name in names if name in record) for names in (QUESTIONS, ANSWERS))
    return [_conversation(place, prompt_of(asked, record), answer_of(answer), record)]


def consultation(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {title, ask, answer}, a patient's letter; an ask that says no more than the title stands alone."""
    title, ask = text_of(record["title"], "title"), text_of(record["ask"], "ask")
    asked = ask if not title or title in ask else f"{title}\n{ask}" if ask else title
    return [_conversation(place, (Turn("user", asked),), record["answer"], {})]


def prompt_of(value: Any, record: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the prompt that a text or a list of messages is, with the record's system and history before it."""
    before = (*system_of(record), *history_of(record.get("history")))
    if isinstance(value, Mapping | list):
        return (*before, *turns_of([value] if isinstance(value, Mapping) else value, "prompt"))
    text = text_of(value, "the prompt")
    return (*before, *asking(transcript(text, ("hh-rlhf",)) or (Turn("user", text),)))


def answer_of(value: Any) -> Any:
    """Return an answer's text; a list of one message is that message's."""
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list):
        turns = turns_of(value, "the answer")
        if len(turns) != 1 or turns[0].role != "assistant":
            raise Bad("the answer is not one message of the assistant")
        return turns[0].content
    return value


def alone(record: Mapping[str, Any], place: str) -> list[Held]:
    """Read {prompt} without an answer."""
    turns = prompt_of(record["prompt"], record)
    check_prompt(turns)
    return [Prompt(place, turns, tools=tools_of(record))]


def _conversation(place: str, prompt: tuple[Turn, ...], answer: Any, record: Mapping[str, Any]) -> Conversation:
    turns = (*prompt, Turn("assistant", text_of(answer, "the answer")))
    check_conversation(turns)
    return Conversation(place, turns, tools=tools_of(record))
