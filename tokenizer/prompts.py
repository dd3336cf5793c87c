"""Prompts of the reinforcement stages: any instruction data without its answers, in the chat template, as ids.

They come through the readers and templates of what the policy was tuned on, so a prompt ends where its answers began
then. One longer than the window loses its oldest exchanges; one too long even so is left out, told. Similar prompts
all stay: questions of one form are alike in most of their words. Cost: 3 MB of text per CPU-second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.instructions.gather import gather
from corpus.instructions.rows import Faulty
from tokenizer.chat.encode import ChatTokenizer, Template, find_template, load
from tokenizer.chat.views import pieces_of, views_of
from tokenizer.chat.window import fit
from workbench.errors import InputError


@dataclass(frozen=True)
class Prompt:
    """A prompt as the template has it, and as the model does."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Prompts:
    """What is asked, with what, and what is not."""

    asked: list[Prompt]
    template: Template
    end: str  # the token that ends an answer
    left_out: list[Faulty]
    shortened: int


def end_of(chat: ChatTokenizer, template: Template, place: Path) -> str:
    """Return the token that ends an answer: the template's own, else the tokenizer's eos.

    Raises:
        InputError: If the tokenizer has no such token.
    """
    end = template.stop or chat.specials.eos
    if not end:
        raise InputError(place, "names no eos_token, so no answer would end", "set it in tokenizer_config.json")
    if chat.id_of(end) is None:
        found = f"has no {end}, which ends an answer in template={template.name}"
        raise InputError(place, found, "name another template, or extend the tokenizer")
    return end


def read_prompts(words: Sequence[str], tokenizer: Path, *, template: str, window: int) -> Prompts:
    """Return the prompts of files for a policy.

    Args:
        words: ``PATH`` or ``PATH@WEIGHT`` each; dialogues, pairs, rated answers or prompts alone.
        tokenizer: The tokenizer's folder.
        template: A chat template's name; own: the tokenizer's.
        window: Most ids of a prompt.

    Raises:
        InputError: If a set or the tokenizer cannot be read, or no prompt is left.
        ConfigError: If there is no such template.
    """
    chat = load(tokenizer)
    form, found = find_template(template, chat), gather(words, "ppo", min_jaccard=None)
    end, out, shortened = end_of(chat, form, tokenizer), list[Prompt](), 0
    left = list(found.faulty)
    for one in fit(chat, list(found.laid_out()), form, window):
        if isinstance(one, Faulty):
            left.append(one)
            continue
        shortened += one.dropped > 0
        (view,) = views_of(one.row)
        text = "".join(piece.text for piece in pieces_of(view, form, chat))
        out.append(Prompt(text, tuple(one.encoded[0].ids.tolist())))
    if not out:
        first = f"; the first: {left[0].place} {left[0].cause}" if left else ""
        said = f"no prompt is left of {len(left):,}{first}"
        raise InputError(", ".join(words), said, "give other data, or a larger window")
    return Prompts(out, form, end, left, shortened)
