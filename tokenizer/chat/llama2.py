"""LLaMA-2's template: ``[INST] question [/INST] answer </s>``; each exchange has its bos, the first the system."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import Piece, Preset, Specials, answer, no_place

JINJA = """\
{%- if tools %}{{- raise_exception('llama2 has no place for tools') }}{%- endif %}
{%- set pending = namespace(system='') %}
{%- for message in messages %}
{%- if message['role'] == 'system' %}
{%- set pending.system = '<<SYS>>\\n' + message['content'] + '\\n<</SYS>>\\n\\n' %}
{%- elif message['role'] == 'user' %}
{{- bos_token }}{{- '[INST] ' + pending.system + message['content'] | trim + ' [/INST]' }}
{%- set pending.system = '' %}
{%- elif message['role'] == 'assistant' and not message['tool_calls'] %}
{%- generation %}{{- ' ' + message['content'] | trim + ' ' }}{{- eos_token }}{%- endgeneration %}
{%- else %}{{- raise_exception('llama2 has no place for a turn of role ' + message['role']) }}
{%- endif %}
{%- endfor %}"""


def _pieces(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    if tools:
        raise no_place("tools", "llama2")
    out, system = [], ""
    for turn in turns:
        if turn.role == "system":
            system = f"<<SYS>>\n{turn.content}\n<</SYS>>\n\n"
        elif turn.role == "user":
            out.append(Piece(f"{specials.bos}[INST] {system}{turn.content.strip()} [/INST]", False))
            system = ""
        elif turn.role == "assistant":
            out.append(Piece(f" {answer(turn)} {specials.eos}", True))
        else:
            raise no_place(f"a turn of role {turn.role}", "llama2")
    return out


LLAMA2 = Preset("llama2", "[INST] <<SYS>>system<</SYS>> question [/INST] answer </s>", JINJA, _pieces)
