"""What a stage is given of a record: the stated rules by which pairs become dialogues, rankings pairs, and so on.

    holds           sft                  rm, dpo                  kto                      ppo
    conversation    as it is             –                        –                        all but the last answer
    ranking         the best answer      every pair, best first   the best as good, the    the prompt
                                                                  worst as bad
    rated           if its label is      –                        as it is                 the prompt
                    true
    prompt          –                    –                        –                        as it is

A dash is a form that the stage has no use for: the file is refused. A pair whose answers are equal, an answer that is
empty and an answer with a false label under ``sft`` are faulty rows, each with its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from corpus.instructions.rows import Axis, Conversation, Faulty, Held, Preference, Prompt, Ranking, Rated, Row, Turn
from workbench.command import did_you_mean
from workbench.errors import ConfigError

STAGES = {"sft": "sft", "rm": "rm", "dpo": "dpo", "kto": "kto", "ppo": "ppo", "rl": "ppo", "grpo": "ppo", "rloo": "ppo"}
SERVES: dict[type[Held], tuple[str, ...]] = {
    Conversation: ("sft", "ppo"),
    Ranking: ("sft", "rm", "dpo", "kto", "ppo"),
    Rated: ("sft", "kto", "ppo"),
    Prompt: ("ppo",),
}
NEEDS = {
    "sft": "answers",
    "rm": "two answers to a prompt, or a ranked list",
    "dpo": "two answers to a prompt, or a ranked list",
    "kto": "answers with a label, or pairs of answers",
    "ppo": "prompts",
}


def kind_of_stage(stage: str) -> str:
    """Return what a stage reads: the name of the stage that stands for it in the table above.

    Raises:
        ConfigError: If there is no such stage.
    """
    if stage not in STAGES:
        raise ConfigError(f"stage={stage}", "reads no instruction data", did_you_mean(stage, STAGES))
    return STAGES[stage]


def convert(held: Held, stage: str, source: str, axis: Axis | None) -> Iterator[Row | Faulty]:
    """Yield what a stage is given of a record.

    Args:
        held: What the record holds.
        stage: sft, rm, dpo, kto or ppo; one that ``SERVES`` what the record holds.
        source: The set's name.
        axis: What the set's preferences are judged by, unless the record says it.
    """
    if isinstance(held, Conversation):
        if stage == "ppo":
            yield Prompt(held.id, held.prompt, held.turns[-1].content, source, held.tools)
        else:
            yield replace(held, source=source)
    elif isinstance(held, Prompt):
        yield replace(held, source=source)
    elif isinstance(held, Rated):
        if stage == "kto":
            yield replace(held, source=source)
        elif stage == "ppo":
            yield Prompt(held.id, held.prompt, held.answer if held.good else None, source, held.tools)
        elif held.good:
            yield Conversation(held.id, (*held.prompt, Turn("assistant", held.answer)), source, held.tools)
        else:
            yield Faulty(held.id, "its label is false: no answer to learn from")
    else:
        yield from _ranking(held, stage, source, axis)


def _ranking(held: Ranking, stage: str, source: str, axis: Axis | None) -> Iterator[Row | Faulty]:
    best, worst = held.answers[0], held.answers[-1]
    if stage == "ppo":
        yield Prompt(held.id, held.prompt, best or None, source, held.tools)
    elif stage == "sft":
        if best:
            yield Conversation(held.id, (*held.prompt, Turn("assistant", best)), source, held.tools)
        else:
            yield Faulty(held.id, "the chosen answer is empty")
    elif stage == "kto":
        fault = _fault(best, worst)
        if fault:
            yield Faulty(held.id, fault)
            return
        yield Rated(f"{held.id}/chosen", held.prompt, best, True, source, held.tools)
        yield Rated(f"{held.id}/rejected", held.prompt, worst, False, source, held.tools)
    else:
        for (i, chosen), (j, rejected) in combinations(enumerate(held.answers), 2):
            place = held.id if len(held.answers) == 2 else f"{held.id}/{i + 1}>{j + 1}"
            fault = _fault(chosen, rejected)
            if fault:
                yield Faulty(place, fault)
            else:
                judged = held.axis or axis
                yield Preference(place, held.prompt, chosen, rejected, source, held.margin, judged, held.tools)


def _fault(chosen: str, rejected: str) -> str | None:
    if not chosen or not rejected:
        return f"the {'rejected' if chosen else 'chosen'} answer is empty"
    return "chosen and rejected are the same" if chosen == rejected else None
