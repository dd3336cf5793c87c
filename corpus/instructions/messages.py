"""Messages in the ways people write them, as turns: roles by any of their names, contents as text or lists of parts.

A content may be a list of parts: texts are joined; a ``reasoning`` part is put before the text between ``<think>`` and
``</think>``, as reasoning models write it; a ``tool_call`` part (or OpenAI's ``tool_calls``) becomes a turn of its own;
any other kind (an image) makes the record faulty. White space around a content is not part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpus.instructions.rows import Role, Turn

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "client": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "counselor": "assistant",
    "function_call": "call",
    "tool_call": "call",
    "observation": "tool",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
ANSWERING = ("assistant", "call")

# How transcripts in one text mark who speaks; of the families that a text begins with, the one with the most marks.
MARKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"(?:\A|\n\n)(Human|Assistant|System):", "hh-rlhf"),
        (r"###\s*(Human|Assistant|System):", "### Human:"),
        (r"<(user|human|bot|assistant)>\s*[:：]?", "<user>"),
        (r"(?:\A|\n)(User|Assistant|System)[:：]", "User:"),
        (r"(?:\A|\n)(Human|Assistant|System)[:：]", "Human:"),
    )
)


class Bad(Exception):
    """A record cannot be used; the message says what was found."""

    def __init__(self, cause: str, prompt: tuple[Turn, ...] | None = None) -> None:
        """Remember the cause.

        Args:
            cause: What was found.
            prompt: What is there, if only the answer is missing: prompts are all that some stages need.
        """
        super().__init__(cause)
        self.prompt = prompt


def text_of(value: Any, what: str) -> str:
    """Return a text without the white space around it; None and numbers of a table count as text.

    Raises:
        Bad: If it is neither.
    """
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Bad(f"{what} is a {type(value).__name__}, not text")


def turns_of(messages: Any, what: str) -> tuple[Turn, ...]:
    """Return the turns of a list of messages.

    Args:
        messages: Mappings of role (``from``, ``role``) and content (``value``, ``content``), or pairs of
            ``human`` and ``assistant``.
        what: The key they stand under, for the cause.

    Raises:
        Bad: If they are not a list of messages.
    """
    if isinstance(messages, str) and messages.lstrip().startswith("["):  # a cell of a CSV table
        try:
            messages = json.loads(messages)
        except ValueError as error:
            raise Bad(f"{what} is not a list of messages ({error})") from error
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise Bad(f"{what} is a {type(messages).__name__}, not a list of messages")
    turns = [turn for number, message in enumerate(messages) for turn in _turns(message, f"{what}[{number}]")]
    empty_system = bool(turns) and turns[0].role == "system" and not turns[0].content
    return tuple(turns[1:] if empty_system else turns)


def _turns(message: Any, what: str) -> Iterator[Turn]:
    if not isinstance(message, Mapping):
        raise Bad(f"{what} is a {type(message).__name__}, not a message")
    word = message.get("role") or message.get("from")
    if word is None and "human" in message:
        yield Turn("user", text_of(message["human"], f"{what}.human"))
        yield Turn("assistant", text_of(message.get("assistant"), f"{what}.assistant"))
        return
    role = ROLES.get(str(word).strip().lower())
    if role is None:
        raise Bad(f"{what} has {'no role' if word is None else f'an unknown role, {word}'}")
    content = message.get("content") if "content" in message else message.get("value")
    text, calls = _parts(content, what)
    given = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if isinstance(given, Sequence) and not isinstance(given, str):
        calls += [json.dumps(_plain(call, what), ensure_ascii=False) for call in given]
    if role == "call":
        calls, text = [_checked_call(text, what)], ""
    if text or not calls:
        yield Turn(role, text)
    if calls:
        yield Turn("call", calls[0] if len(calls) == 1 else f"[{', '.join(calls)}]")


def _parts(content: Any, what: str) -> tuple[str, list[str]]:
    """Return a content's text, and the tool calls among its parts."""
    if not isinstance(content, list):
        return text_of(content, what), []
    thought, texts, calls = "", [], []
    for part in content:
        if not isinstance(part, Mapping):
            raise Bad(f"{what} has a part that is a {type(part).__name__}")
        kind, value = part.get("type"), part.get("value", part.get("text"))
        if kind == "text":
            texts.append(text_of(value, what))
        elif kind == "reasoning":
            thought += f"<think>\n{text_of(value, what)}\n</think>\n\n"
        elif kind == "tool_call":
            calls.append(text_of(value, what))
        else:
            raise Bad(f"{what} has a part of type {kind}, which is not text")
    return (thought + "\n".join(texts)).strip(), calls


def _plain(call: Any, what: str) -> dict[str, Any]:
    """Return a tool call as its name and arguments: OpenAI's wraps them and writes the arguments as a string."""
    inner = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(inner, Mapping) or "name" not in inner:
        raise Bad(f"{what} has a tool call without a name")
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise Bad(f"{what} has a tool call whose arguments are not JSON") from error
    return {"name": inner["name"], "arguments": arguments}


def _checked_call(text: str, what: str) -> str:
    """Return the text of a call, or of a list of calls, as it is."""
    try:
        calls = json.loads(text)
    except ValueError as error:
        raise Bad(f"{what} is a tool call that is not JSON") from error
    for call in calls if isinstance(calls, list) else [calls]:
        _plain(call, what)
    return text


def transcript(text: str, marks: Sequence[str] = ()) -> tuple[Turn, ...] | None:
    """Split a dialogue that is one text with marks of who speaks; None if it does not begin with such a mark.

    Args:
        text: The text.
        marks: The families of marks to look for, by their names in ``MARKS``; none given means all.
    """
    stripped = text.strip()
    most: list[re.Match[str]] = []
    for pattern, name in MARKS:
        if marks and name not in marks:
            continue
        if pattern.match(stripped) and len(found := list(pattern.finditer(stripped))) > len(most):
            most = found
    if not most:
        return None
    ends = [*(match.start() for match in most[1:]), len(stripped)]
    return tuple(
        Turn(ROLES[match.group(1).lower()], stripped[match.end() : end].strip())
        for match, end in zip(most, ends, strict=True)
    )


def asking(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return the turns of a prompt without the empty answer that it may end with (``… Assistant:``)."""
    return turns[:-1] if turns and turns[-1] == Turn("assistant", "") else turns


def history_of(value: Any) -> tuple[Turn, ...]:
    """Return the turns of a history: pairs of question and answer, messages, or texts by turns.

    Raises:
        Bad: If it is none of these.
    """
    if value in (None, "", [], ()):
        return ()
    if not isinstance(value, list):
        raise Bad(f"history is a {type(value).__name__}, not a list of exchanges")
    if all(isinstance(one, Mapping) for one in value):
        return turns_of(value, "history")
    if all(isinstance(one, list) and len(one) == 2 for one in value):
        value = [text for pair in value for text in pair]
    if len(value) % 2 or not all(isinstance(one, str) for one in value):
        raise Bad("history is not pairs of question and answer")
    return tuple(Turn("assistant" if n % 2 else "user", text.strip()) for n, text in enumerate(value))


def system_of(record: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the record's own system turn; none if it is empty."""
    text = text_of(record.get("system") or record.get("system_prompt"), "system")
    return (Turn("system", text),) if text else ()


def tools_of(record: Mapping[str, Any]) -> str | None:
    """Return the tools as JSON text, verbatim where they are text.

    Raises:
        Bad: If they are not a JSON list.
    """
    tools = record.get("tools") or None
    if tools is None or isinstance(tools, list):
        return None if tools is None else json.dumps(tools, ensure_ascii=False)
    try:
        fine = isinstance(tools, str) and isinstance(json.loads(tools), list)
    except ValueError:
        fine = False
    if not fine:
        raise Bad("tools is not a JSON list")
    return str(tools) if json.loads(tools) else None


_FOLLOWS: dict[Role, tuple[Role, ...]] = {
    "system": ("user",),
    "user": ("assistant", "call"),
    "assistant": ("user", "call"),  # an answer may say something and then call
    "call": ("tool",),
    "tool": ("tool", "assistant", "call"),
}


def _check_order(turns: Sequence[Turn]) -> None:
    """See that turns follow one another: a system turn perhaps, then questions and answers; none is empty."""
    before: Role = "system"
    for number, turn in enumerate(turns):
        if not turn.content:
            raise Bad(f"turn {number + 1} of {len(turns)} ({turn.role}) is empty")
        if not (number == 0 and turn.role == "system") and turn.role not in _FOLLOWS[before]:
            place = f"begins with {turn.role}" if number == 0 else f"{turn.role} after {before} at turn {number + 1}"
            raise Bad(f"roles out of order: {place}")
        before = turn.role


def check_prompt(turns: Sequence[Turn]) -> None:
    """See that turns are a prompt: in order, with a question (or a tool's return) at the end.

    Raises:
        Bad: If a turn is empty or out of order, or there is none.
    """
    if not turns:
        raise Bad("no turns")
    _check_order(turns)
    if turns[-1].role not in ("user", "tool"):
        raise Bad(f"roles out of order: the prompt ends with {turns[-1].role}")


def check_conversation(turns: Sequence[Turn]) -> None:
    """See that turns are a prompt and its answer.

    Raises:
        Bad: If a turn is empty or out of order, or the last one is no answer.
    """
    if not turns:
        raise Bad("no turns")
    if turns[-1].role not in ANSWERING:
        raise Bad(f"roles out of order: ends with {turns[-1].role}, not with an answer", tuple(turns))
    if not turns[-1].content:
        raise Bad("the answer is empty", tuple(turns[:-1]))
    _check_order(turns)
