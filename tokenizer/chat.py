"""Dialogues as ids: the templates (replaced at merge by branch instruct's)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Turn


def encode(
    tokenizer: Any, turns: Sequence[Turn], template: str, tools: str | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Return a dialogue's ids and which of them carry loss: those of assistant turns with their end."""
    ids: list[int] = [tokenizer.bos_id()]
    mask = [False]
    for turn in turns:
        answer = turn.role == "assistant"
        head = tokenizer.encode("<bot>:" if answer else "<human>:")
        body = tokenizer.encode(turn.content) + ([tokenizer.eos_id()] if answer else [])
        ids += [*head, *body]
        mask += [False] * len(head) + [answer] * len(body)
    return np.asarray(ids, np.uint32), np.asarray(mask)


def open_tokenizer(folder: Any) -> Any:
    """Open the tokenizer of a folder."""
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
