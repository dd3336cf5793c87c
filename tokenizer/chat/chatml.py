"""ChatML, and Qwen's dialect of it: ``<|im_start|>role``, a line, the content, ``<|im_end|>``.

Both write tools into the system turn and calls as ``<tool_call>`` JSON. Qwen's has a system turn always, and a tool's
return stands in a user turn as ``<tool_response>``; plain ChatML gives it a turn of the role ``tool``. The sentences
around the tools are those that Qwen 2.5's models were trained on: other words would be another format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import Piece, Preset, Specials, answer, calls_of, tools_of

MARKS = START, END = "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a helpful assistant."
BEFORE_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
AFTER_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def _text(text: str) -> str:
    """Return a text as a jinja string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _jinja(default_system: str, returns: str) -> str:
    """Return the template.

    Args:
        default_system: The system turn of a dialogue without one; empty for none.
        returns: How a run of tools' returns is written.
    """
    return f"""\
{{%- set first = messages[0] %}}
{{%- set system = first['content'] if first['role'] == 'system' else {_text(default_system)} %}}
{{%- if tools %}}
{{{{- '{START}system\\n' + (system + '\\n\\n' if system else '') + {_text(BEFORE_TOOLS)} }}}}
{{%- for tool in tools %}}{{{{- '\\n' + (tool | tojson) }}}}{{%- endfor %}}
{{{{- {_text(AFTER_TOOLS)} + '{END}\\n' }}}}
{{%- elif system %}}{{{{- '{START}system\\n' + system + '{END}\\n' }}}}
{{%- endif %}}
{{%- for message in messages %}}
{{%- if message['role'] == 'system' %}}
{{%- if not loop.first %}}{{{{- raise_exception('a system turn that is not the first') }}}}{{%- endif %}}
{{%- elif message['role'] == 'user' %}}{{{{- '{START}user\\n' + message['content'] + '{END}\\n' }}}}
{{%- elif message['role'] == 'assistant' %}}{{{{- '{START}assistant\\n' }}}}
{{%- generation %}}
{{{{- message['content'] | trim }}}}
{{%- for call in message['tool_calls'] or [] %}}
{{%- if message['content'] | trim or not loop.first %}}{{{{- '\\n' }}}}{{%- endif %}}
{{%- set inner = call['function'] %}}
{{{{- '<tool_call>\\n' + ({{'name': inner['name'], 'arguments': inner['arguments']}} | tojson) + '\\n</tool_call>' }}}}
{{%- endfor %}}
{{{{- '{END}' }}}}
{{%- endgeneration %}}{{{{- '\\n' }}}}
{{%- elif message['role'] == 'tool' %}}{returns}
{{%- else %}}{{{{- raise_exception('no such role: ' + message['role']) }}}}
{{%- endif %}}
{{%- endfor %}}
{{%- if add_generation_prompt %}}{{{{- '{START}assistant\\n' }}}}{{%- endif %}}"""


PLAIN_RETURNS = f"""{{{{- '{START}tool\\n' + message['content'] + '{END}\\n' }}}}"""
QWEN_RETURNS = f"""\
{{%- if loop.first or loop.previtem['role'] != 'tool' %}}{{{{- '{START}user' }}}}{{%- endif %}}
{{{{- '\\n<tool_response>\\n' + message['content'] + '\\n</tool_response>' }}}}
{{%- if loop.last or loop.nextitem['role'] != 'tool' %}}{{{{- '{END}\\n' }}}}{{%- endif %}}"""


def _system(turns: Sequence[Turn], tools: str | None, default: str) -> list[Piece]:
    system = turns[0].content if turns and turns[0].role == "system" else default
    listed = tools_of(tools)
    if listed:
        lines = "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in listed)
        before = f"{system}\n\n" if system else ""
        return [Piece(f"{START}system\n{before}{BEFORE_TOOLS}{lines}{AFTER_TOOLS}{END}\n", False)]
    return [Piece(f"{START}system\n{system}{END}\n", False)] if system else []


def _call(turn: Turn) -> str:
    calls = (json.dumps(call, ensure_ascii=False) for call in calls_of(turn))
    return "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)


def _answers(turns: Sequence[Turn], number: int) -> list[Piece]:
    """Return an answer: its text, its calls, or both where a call follows the text directly."""
    turn = turns[number]
    if turn.role == "call":
        if number and turns[number - 1].role == "assistant":
            return []  # written with the answer before it
        said = _call(turn)
    else:
        calls = [_call(turns[number + 1])] if number + 1 < len(turns) and turns[number + 1].role == "call" else []
        said = "\n".join(text for text in (answer(turn), *calls) if text)
    return [Piece(f"{START}assistant\n", False), Piece(f"{said}{END}", True), Piece("\n", False)]


def _plain(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    out = _system(turns, tools, "")
    for number, turn in enumerate(turns):
        if turn.role in ("user", "tool"):
            out.append(Piece(f"{START}{turn.role}\n{turn.content}{END}\n", False))
        elif turn.role != "system":
            out += _answers(turns, number)
    return [*out, Piece(f"{START}assistant\n", False)] if ask else out


def _qwen(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    out = _system(turns, tools, SYSTEM)
    for number, turn in enumerate(turns):
        if turn.role == "user":
            out.append(Piece(f"{START}user\n{turn.content}{END}\n", False))
        elif turn.role == "tool":
            begins = number == 0 or turns[number - 1].role != "tool"
            ends = number + 1 == len(turns) or turns[number + 1].role != "tool"
            said = f"\n<tool_response>\n{turn.content}\n</tool_response>"
            out.append(Piece(f"{START + 'user' if begins else ''}{said}{END + chr(10) if ends else ''}", False))
        elif turn.role != "system":
            out += _answers(turns, number)
    return [*out, Piece(f"{START}assistant\n", False)] if ask else out


CHATML = Preset("chatml", "<|im_start|>user … <|im_end|>, tools", _jinja("", PLAIN_RETURNS), _plain, END, MARKS)
QWEN = Preset(
    "qwen", "ChatML with a system turn always, tools as Qwen 2.5's", _jinja(SYSTEM, QWEN_RETURNS), _qwen, END, MARKS
)
