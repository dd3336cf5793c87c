"""What all models of a pipeline are scored on: what its stages hold out, read once and the same for each of them.

The validation text of pt, the held-out questions of sft, those of rm or dpo, and of the latter the prompts, which each
model answers. Cost: as the stages read their data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.bits import choose
from eval.stage_scores import Sheet, multiple_choice
from tokenizer.chat.encode import ChatTokenizer, encode_prompt, find_template, render
from tokenizer.dialogues import Material, Pair, read_material
from tokenizer.prompts import Prompt, end_of
from tokenizer.shards import TokenShards

PAIRED = ("rm", "dpo")  # whose pairs and prompts are taken, the first that is there


@dataclass(frozen=True)
class HeldOut:
    """A stage's data, and the settings that say which of its rows are held out."""

    data: Sequence[str]
    window: int
    held_out: float
    min_jaccard: float | None


@dataclass(frozen=True)
class Asked:
    """What the sheet is made from."""

    tokenizer: Path
    template: str | None  # of the chat; None: no stage has one
    tokens: Path | None  # shards
    sets: Mapping[str, HeldOut]  # of stages sft, rm and dpo, those that there are
    items: int  # of each kind
    prompts: int
    max_new: int
    seed: int
    mc: Path | None  # a folder of benchmarks


def make_sheet(asked: Asked, chat: ChatTokenizer) -> Sheet:
    """Read what is held out.

    Args:
        asked: What of.
        chat: The tokenizer that all stages share.

    Raises:
        UserError: If data that a stage read are no longer there.
    """
    given: dict[str, Any] = {"sequences": asked.items, "max_new": asked.max_new, "seed": asked.seed}
    if asked.tokens is not None:
        given["tokens"] = TokenShards.open(asked.tokens, "validation")
    if asked.template is not None:
        template = find_template(asked.template, chat)
        if "sft" in asked.sets:
            rows = _rows(asked, "sft", template.name)
            given |= {
                "dialogues": rows.dialogues(_some(rows.held_out, asked.items)),
                "window": asked.sets["sft"].window,
            }
        if paired := next((name for name in PAIRED if name in asked.sets), None):
            rows = _rows(asked, paired, template.name)
            given["pairs"] = rows.pairs(_some(rows.held_out, asked.items))
            given["prompts"] = _some(_prompts(given["pairs"], template, chat), asked.prompts)
            given["end"] = chat.id_of(end_of(chat, template, asked.tokenizer))
    if asked.mc is not None:
        given["choices"] = multiple_choice(asked.mc, asked.items)
    return Sheet(**given)


def _rows(asked: Asked, stage: str, template: str) -> Material:
    of = asked.sets[stage]
    how: dict[str, Any] = {"window": of.window, "held_out": of.held_out, "min_jaccard": of.min_jaccard}
    return read_material(of.data, stage, tokenizer=asked.tokenizer, template=template, **how)


def _some(rows: Sequence[Any], most: int) -> list[Any]:
    """Return so many rows, spread evenly."""
    return [rows[n] for n in choose(len(rows), most).tolist()]


def _prompts(pairs: Sequence[Pair], template: Any, chat: ChatTokenizer) -> list[Prompt]:
    """Return the prompts of pairs, each text once."""
    out: dict[str, Prompt] = {}
    for pair in pairs:
        turns, tools = pair.row.prompt, pair.row.tools
        text = "".join(piece.text for piece in render(turns, template, tools, specials=chat.specials, ask=True))
        if text not in out:
            out[text] = Prompt(text, tuple(encode_prompt(chat, turns, template, tools).tolist()))
    return list(out.values())
