"""Alpaca's template: a header, ``### Instruction:`` and ``### Response:`` on lines of their own, eos after an answer.

The input of a record stands below its instruction, not under a head of its own. The header is the one that Alpaca's
models were trained on; a system turn takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import Piece, Preset, Specials, answer, no_place

HEADER = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
JINJA = f"""\
{{%- if tools %}}{{{{- raise_exception('alpaca has no place for tools') }}}}{{%- endif %}}
{{{{- bos_token }}}}
{{{{- messages[0]['content'] if messages[0]['role'] == 'system' else '{HEADER}' }}}}{{{{- '\\n\\n' }}}}
{{%- for message in messages %}}
{{%- if message['role'] == 'system' and loop.first %}}
{{%- elif message['role'] == 'user' %}}{{{{- '### Instruction:\\n' + message['content'] + '\\n\\n' }}}}
{{%- elif message['role'] == 'assistant' and not message['tool_calls'] %}}{{{{- '### Response:\\n' }}}}
{{%- generation %}}{{{{- message['content'] | trim }}}}{{{{- eos_token }}}}{{%- endgeneration %}}{{{{- '\\n\\n' }}}}
{{%- else %}}{{{{- raise_exception('alpaca has no place for a turn of role ' + message['role']) }}}}
{{%- endif %}}
{{%- endfor %}}
{{%- if add_generation_prompt %}}{{{{- '### Response:\\n' }}}}{{%- endif %}}"""


def _pieces(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    if tools:
        raise no_place("tools", "alpaca")
    header = turns[0].content if turns and turns[0].role == "system" else HEADER
    out = [Piece(f"{specials.bos}{header}\n\n", False)]
    for number, turn in enumerate(turns):
        if turn.role == "user":
            out.append(Piece(f"### Instruction:\n{turn.content}\n\n", False))
        elif turn.role == "assistant":
            out += [Piece("### Response:\n", False), Piece(answer(turn) + specials.eos, True), Piece("\n\n", False)]
        elif turn.role != "system" or number:
            raise no_place(f"a turn of role {turn.role}", "alpaca")
    return [*out, Piece("### Response:\n", False)] if ask else out


ALPACA = Preset("alpaca", "### Instruction: … ### Response: …", JINJA, _pieces)
