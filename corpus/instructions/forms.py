"""The forms in which instruction, dialogue and preference data come: told by a record's keys, the first that fits.

A file's form is the one that most of its first records fit. A record of another form that fits the stage is read as
what it is (and counted); one that fits none is faulty, with the key that the file's form misses. Cost: 4 µs a record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from corpus.instructions import answers, dialogues, judged, pairs
from corpus.instructions.answers import ANSWERS, QUESTIONS
from corpus.instructions.dialogues import LISTS
from corpus.instructions.judged import LABELS
from corpus.instructions.rows import Conversation, Held, Prompt, Ranking, Rated

Key = str | tuple[str, ...]  # a key, or keys of which one must be there


def _always(record: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Form:
    """A form: the keys it is told by, and how its records are read."""

    name: str
    keys: tuple[Key, ...]
    make: Callable[[Mapping[str, Any], str], list[Held]]  # raises messages.Bad
    holds: type[Conversation] | type[Ranking] | type[Rated] | type[Prompt]
    doc: str
    fits: Callable[[Mapping[str, Any]], bool] = _always
    whole_file: bool = False  # a record is one message, and the file is one dialogue

    def missing(self, record: Mapping[str, Any]) -> str | None:
        """Return the first key that a record lacks, None if it has them all."""
        for key in self.keys:
            names = (key,) if isinstance(key, str) else key
            if not any(record.get(name) is not None for name in names):
                return " or ".join(names)
        return None

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record is of this form."""
        return self.missing(record) is None and self.fits(record)


def _is_message(record: Mapping[str, Any]) -> bool:
    return isinstance(record["content"], str) and not any(name in record for name in (*LISTS, *QUESTIONS))


FORMS: tuple[Form, ...] = (
    Form("pair-messages", ("chosen_messages", "rejected_messages"), pairs.whole, Ranking, "two whole dialogues"),
    Form("cvalues", ("prompt", "pos_resp", "neg_resp"), pairs.cvalues, Ranking, "CValues: a safer answer and another"),
    Form(
        "reward",
        ("question", "response_chosen", "response_rejected"),
        pairs.reward,
        Ranking,
        "shibing624/medical's reward data",
    ),
    Form(
        "pair",
        ((*QUESTIONS, *LISTS), "chosen", "rejected"),
        pairs.pair,
        Ranking,
        "DPO: prompt and two answers, as texts, messages or lists of messages; system and history too",
    ),
    Form("hh-rlhf", ("chosen", "rejected"), pairs.whole, Ranking, "two transcripts (or lists) that share the prompt"),
    Form("ranked", ("instruction", "output"), pairs.ranked, Ranking, "output: [best, …, worst]", pairs.is_ranked),
    Form("kto-messages", (LISTS, LABELS), judged.rated, Rated, "a dialogue and a label", judged.is_labelled),
    Form("kto", (QUESTIONS, ANSWERS, LABELS), judged.rated, Rated, "an answer and a label", judged.is_labelled),
    Form("sharegpt", ("conversations",), dialogues.dialogue, Conversation, "from/value: human, gpt, system, tools"),
    Form("messages", ("messages",), dialogues.dialogue, Conversation, "OpenAI: role/content, tool_calls"),
    Form(
        "conversation",
        (("conversation", "dialog"),),
        dialogues.dialogue,
        Conversation,
        "Firefly: human/assistant pairs",
    ),
    Form(
        "seed-tasks", ("instruction", "instances"), answers.seed_task, Conversation, "self-instruct: a row an instance"
    ),
    Form(
        "alpaca",
        ("instruction", "output"),
        answers.alpaca,
        Conversation,
        "Alpaca, Belle, Guanaco; input, history, system, or a dialogue inside the instruction",
    ),
    Form("consultation", ("title", "ask", "answer"), answers.consultation, Conversation, "a patient's letter"),
    Form("completion", (QUESTIONS, ANSWERS), answers.completion, Conversation, "question and answer, any names"),
    Form(
        "text-dialogue",
        ("text",),
        dialogues.one_text,
        Conversation,
        "### Human: … ### Assistant: …",
        dialogues.is_transcript,
    ),
    Form(
        "message-lines",
        ("role", "content"),
        dialogues.dialogue,
        Conversation,
        "a file is one dialogue",
        _is_message,
        True,
    ),
    Form("prompt", ("prompt",), answers.alone, Prompt, "a prompt without an answer"),
)


def form_of(record: Mapping[str, Any]) -> Form | None:
    """Return the first form that a record fits."""
    return next((form for form in _candidates(tuple(record)) if form.is_of(record)), None)


@lru_cache(maxsize=256)
def _candidates(keys: tuple[str, ...]) -> tuple[Form, ...]:
    """Return the forms that a record of some keys may have."""
    named = dict.fromkeys(keys, "")
    return tuple(form for form in FORMS if form.missing(named) is None)


def most_common(records: Iterable[Mapping[str, Any]]) -> Form | None:
    """Return the form that most of the records fit, None if they fit none."""
    counts = Counter(form.name for record in records if (form := form_of(record)))
    return next((form for form in FORMS if form.name == counts.most_common(1)[0][0]), None) if counts else None
