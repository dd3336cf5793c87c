"""Prompts of the reinforcement stage: a jsonl of ``{"prompt": …}``, as ids that the policy continues.

A prompt that is a text is taken as it stands; one that is a list of ``{"role", "content"}`` goes through the
tokenizer's chat template. Of a prompt longer than the window the last tokens are kept (the question stands at its end),
and how many were cut is told; a line that is no prompt is told with its cause. Cost: 20 µs a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.instructions.rows import Faulty
from workbench.console import note
from workbench.errors import InputError

SHOWN = 5  # faulty lines told one by one; the rest are counted
Words = str | list[dict[str, str]]  # a text, or messages


@dataclass(frozen=True)
class Prompt:
    """A prompt as a person reads it and as the model does."""

    text: str
    ids: tuple[int, ...]


def read_prompts(path: Path) -> tuple[list[Words], list[Faulty]]:
    """Return the prompts of a file, and the lines that are none.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", 'give a jsonl of {"prompt": …}') from error
    good: list[Words] = []
    bad = []
    for number, line in enumerate(lines, 1):
        found = _prompt(line)
        if isinstance(found, Faulty):
            bad.append(Faulty(f"{path}:{number}", found.cause))
        else:
            good.append(found)
    return good, bad


def _prompt(line: str) -> Words | Faulty:
    try:
        record = json.loads(line)
    except ValueError:
        return Faulty("", "is not JSON")
    words = record.get("prompt") if isinstance(record, dict) else None
    if isinstance(words, str):
        return words if words.strip() else Faulty("", "its prompt is empty")
    if not isinstance(words, list) or not words:
        return Faulty("", 'has no "prompt" that is a text or a list of messages')
    messages = [m for m in words if isinstance(m, dict) and isinstance(m.get("content"), str) and m.get("role")]
    if len(messages) < len(words):
        return Faulty("", "has a message without role or content")
    return messages if messages[-1]["role"] == "user" else Faulty("", "its last message is not the user's")


def encode_prompts(path: Path, tokenizer: Any, longest: int, *, speak: bool) -> list[Prompt]:
    """Return the prompts of a file for a policy.

    Args:
        path: The jsonl.
        tokenizer: transformers' tokenizer of the policy.
        longest: Tokens that are kept of a prompt.
        speak: Whether to tell what was cut and left out.

    Raises:
        InputError: If there is no prompt, or messages and no template for them.
    """
    words, bad = read_prompts(path)
    if speak and bad:
        told = "; ".join(f"{fault.place} {fault.cause}" for fault in bad[:SHOWN])
        note(f"{len(bad):,} of {len(words) + len(bad):,} lines are no prompts and are left out: {told}")
    if not words:
        raise InputError(path, "holds no prompt", 'give a jsonl of {"prompt": …}')
    if tokenizer.chat_template is None and any(not isinstance(each, str) for each in words):
        raise InputError(path, "holds messages, the model's tokenizer has no chat template", "give prompts as texts")
    prompts = [_encode(each, tokenizer) for each in words]
    if cut := sum(len(prompt.ids) > longest for prompt in prompts):
        if speak:
            note(
                f"{cut:,} of {len(prompts):,} prompts are longer than {longest:,} tokens: their first ones are cut off"
            )
        prompts = [Prompt(prompt.text, prompt.ids[-longest:]) for prompt in prompts]
    return prompts


def _encode(words: Words, tokenizer: Any) -> Prompt:
    if isinstance(words, str):
        ids: Sequence[int] = tokenizer(words)["input_ids"]
        if ids and ids[-1] == tokenizer.eos_token_id:  # some tokenizers end every text: this one goes on
            ids = ids[:-1]
        return Prompt(words, tuple(ids))
    text = tokenizer.apply_chat_template(words, tokenize=False, add_generation_prompt=True)
    return Prompt(text, tuple(tokenizer(text, add_special_tokens=False)["input_ids"]))
