"""Prompts of the reinforcement stages: a jsonl of ``{"prompt": …}``, as ids that the policy continues.

A prompt that is a text is taken as it stands; one that is a list of ``{"role", "content"}`` goes through the
tokenizer's chat template. Of a prompt longer than the window the last tokens are kept (the question stands at its end),
and how many were cut is told; so is each line that is no prompt, with its cause. Cost: 20 µs a prompt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.instructions.rows import Faulty
from workbench.console import note
from workbench.errors import InputError

SHOWN = 5  # faulty lines told one by one; the rest are counted
REMEDY = 'give a jsonl of {"prompt": …}'
Words = str | list[dict[str, str]]  # a text, or messages


@dataclass(frozen=True)
class Prompt:
    """A prompt as a person reads it and as the model does."""

    text: str
    ids: tuple[int, ...]


def read_prompt(place: str, line: str) -> Words | Faulty:
    """Return the prompt on a line, or what is wrong with it."""
    try:
        record = json.loads(line)
    except ValueError:
        return Faulty(place, "is not JSON")
    words = record.get("prompt") if isinstance(record, dict) else None
    if isinstance(words, str):
        return words if words.strip() else Faulty(place, "its prompt is empty")
    if not isinstance(words, list) or not words:
        return Faulty(place, 'has no "prompt" that is a text or a list of messages')
    if not all(isinstance(m, dict) and isinstance(m.get("content"), str) and m.get("role") for m in words):
        return Faulty(place, "has a message without role or content")
    return words if words[-1]["role"] == "user" else Faulty(place, "its last message is not the user's")


def encode_prompts(path: Path, tokenizer: Any, longest: int, *, speak: bool) -> list[Prompt]:
    """Return the prompts of a file for a policy.

    Args:
        path: The jsonl.
        tokenizer: transformers' tokenizer of the policy.
        longest: Tokens that are kept of a prompt.
        speak: Whether to tell what was cut and left out.

    Raises:
        InputError: If the file cannot be read, holds no prompt, or messages and there is no template for them.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", REMEDY) from error
    found = [read_prompt(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]
    bad = [each for each in found if isinstance(each, Faulty)]
    good = [each for each in found if not isinstance(each, Faulty)]
    if speak and bad:
        told = "; ".join(f"{fault.place} {fault.cause}" for fault in bad[:SHOWN])
        note(f"{len(bad):,} of {len(found):,} lines are no prompts and are left out: {told}")
    if not good:
        raise InputError(path, "holds no prompt", REMEDY)
    if tokenizer.chat_template is None and any(not isinstance(each, str) for each in good):
        raise InputError(path, "holds messages, the model's tokenizer has no chat template", "give prompts as texts")
    prompts = [_encode(each, tokenizer) for each in good]
    cut = sum(len(prompt.ids) > longest for prompt in prompts)
    if speak and cut:
        note(f"{cut:,} of {len(prompts):,} prompts are longer than {longest:,} tokens: their first ones are cut off")
    return [Prompt(prompt.text, prompt.ids[-longest:]) for prompt in prompts]


def _encode(words: Words, tokenizer: Any) -> Prompt:
    if isinstance(words, str):
        ids = tokenizer(words)["input_ids"]
        ended = ids[-1] == tokenizer.eos_token_id  # some tokenizers end every text: this one goes on
        return Prompt(words, tuple(ids[:-1] if ended else ids))
    text = tokenizer.apply_chat_template(words, tokenize=False, add_generation_prompt=True)
    return Prompt(text, tuple(tokenizer(text, add_special_tokens=False)["input_ids"]))
