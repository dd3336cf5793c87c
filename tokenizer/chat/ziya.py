"""Ziya's template, which ``tokenizer extend`` writes: ``<human>`` and ``<bot>`` are tokens, eos ends an answer."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import Piece, Preset, Specials, no_place
from tokenizer.export import CHAT_TEMPLATE


def _pieces(turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
    if tools:
        raise no_place("tools", "ziya")
    out = [Piece(specials.bos, False)]
    for turn in turns:
        if turn.role == "system":
            out.append(Piece(f"{turn.content}\n", False))
        elif turn.role == "user":
            out.append(Piece(f"<human>{turn.content}", False))
        elif turn.role == "assistant":
            out += [Piece("<bot>", False), Piece(turn.content + specials.eos, True)]
        else:
            raise no_place(f"a turn of role {turn.role}", "ziya")
    return [*out, Piece("<bot>", False)] if ask else out


ZIYA = Preset("ziya", "<human>question<bot>answer</s>", CHAT_TEMPLATE, _pieces, marks=("<human>", "<bot>"))
