"""Ziya's template alone, turn by turn: stands in, to be replaced by branch instruct's module of this name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Turn
from tokenizer.export import CHAT_TEMPLATE
from workbench.errors import InputError


class Encoded(NamedTuple):
    """Ids, and which of them bear loss."""

    ids: NDArray[np.uint32]
    loss: NDArray[np.bool_]


@dataclass(frozen=True)
class Template:
    """A template."""

    name: str
    jinja: str


@dataclass(frozen=True)
class ChatTokenizer:
    """A fast tokenizer."""

    tokenizer: Any


def load(folder: Path) -> ChatTokenizer:
    """Open a tokenizer folder."""
    from tokenizers import Tokenizer

    if not (folder / "tokenizer.json").is_file():
        raise InputError(folder, "has no tokenizer.json", "name a tokenizer's folder (tokenizer extend makes one)")
    return ChatTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))


def find_template(name: str | None, chat: ChatTokenizer | None = None) -> Template:
    """Return a template by its name."""
    return Template("ziya" if name in (None, "own") else str(name), CHAT_TEMPLATE)


def encode(chat: ChatTokenizer, conversation: Conversation, template: Template, *, last_only: bool = False) -> Encoded:
    """Return a conversation's ids and which of them bear loss: those of its answers and of what ends them."""
    ids, loss = [1], [False]
    for turn in conversation.turns:
        loss = [False] * len(loss) if last_only else loss
        answer = turn.role == "assistant"
        head = chat.tokenizer.encode("<bot>" if answer else "<human>", add_special_tokens=False).ids
        body = chat.tokenizer.encode(turn.content, add_special_tokens=False).ids + ([2] if answer else [])
        ids += [*head, *body]
        loss += [False] * len(head) + [answer] * len(body)
    return Encoded(np.array(ids, np.uint32), np.array(loss))


def encode_prompt(
    chat: ChatTokenizer, turns: Sequence[Turn], template: Template, tools: str | None = None
) -> NDArray[np.uint32]:
    """Return the ids of a prompt with the head of the answer."""
    whole = encode(chat, Conversation("", (*turns, Turn("assistant", ""))), template)
    return whole.ids[:-1]
