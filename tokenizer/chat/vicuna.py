"""Vicuna 1.1's template: a header, ``USER: question ASSISTANT: answer</s>``, the exchanges one after another.

The header is the one that Vicuna's models were trained on; a system turn takes its place. The space before an answer
belongs to the answer: a prompt ends with the colon, as byte-level and SentencePiece vocabularies both want it.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import Piece, Preset, Specials, answer, no_place

HEADER = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
JINJA = f"""\
{{%- if tools %}}{{{{- raise_exception('vicuna has no place for tools') }}}}{{%- endif %}}
{{{{- bos_token }}}}
{{{{- messages[0]['content'] if messages[0]['role'] == 'system' else "{HEADER}" }}}}{{{{- ' ' }}}}
{{%- for message in messages %}}
{{%- if message['role'] == 'system' and loop.first %}}
{{%- elif message['role'] == 'user' %}}{{{{- 'USER: ' + message['content'] + ' ' }}}}
{{%- elif message['role'] == 'assistant' and not message['tool_calls'] %}}{{{{- 'ASSISTANT:' }}}}
{{%- generation %}}{{{{- ' ' + message['content'] | trim }}}}{{{{- eos_token }}}}{{%- endgeneration %}}
{{%- else %}}{{{{- raise_exception('vicuna has no place for a turn of role ' + message['role']) }}}}
{{%- endif %}}
{{%- endfor %}}
{{%- if add_generation_prompt %}}{{{{- 'ASSISTANT:' }}}}{{%- endif %}}"""


def _pieces(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    if tools:
        raise no_place("tools", "vicuna")
    header = turns[0].content if turns and turns[0].role == "system" else HEADER
    out = [Piece(f"{specials.bos}{header} ", False)]
    for number, turn in enumerate(turns):
        if turn.role == "user":
            out.append(Piece(f"USER: {turn.content} ", False))
        elif turn.role == "assistant":
            out += [Piece("ASSISTANT:", False), Piece(f" {answer(turn)}{specials.eos}", True)]
        elif turn.role != "system" or number:
            raise no_place(f"a turn of role {turn.role}", "vicuna")
    return [*out, Piece("ASSISTANT:", False)] if ask else out


VICUNA = Preset("vicuna", "USER: … ASSISTANT: …", JINJA, _pieces)
