"""Conversations as ids and a loss mask, equal to transformers' ``apply_chat_template`` on the same template.

    chat = load("data/tokenizer/zh7k")               a folder with tokenizer.json, or ChatTokenizer.of(a fast tokenizer)
    ids, loss = encode(chat, conversation, find_template("ziya", chat))

The whole text is encoded at once, specials in it as single tokens (also where a user wrote them: so does transformers),
and a token bears loss if it holds a character of an answer or of what ends it. Cost: 3 MB of text per CPU-second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from corpus.instructions.rows import Conversation, Turn
from tokenizer.chat.alpaca import ALPACA
from tokenizer.chat.chatml import CHATML, QWEN
from tokenizer.chat.llama2 import LLAMA2
from tokenizer.chat.own import OwnTemplate
from tokenizer.chat.pieces import Piece, Preset, Specials
from tokenizer.chat.vicuna import VICUNA
from tokenizer.chat.ziya import ZIYA
from workbench.command import did_you_mean
from workbench.errors import ConfigError, InputError

PRESETS: dict[str, Preset] = {one.name: one for one in (ZIYA, LLAMA2, CHATML, QWEN, ALPACA, VICUNA)}
AT_ONCE = 256  # conversations encoded in one call

# Answers by which a template's seam is tried: whether the prompt's ids are the beginning of the ids with the answer.
# None begins with white space: readers take it off.
PROBES = ("你好。", "Hello.", "1", "(a)", "- 一", "“是”", "A", ":", "```", "。", '"a"', "**a", "<a>", "[1]")


class Template(Protocol):
    """What renders turns: a preset or a tokenizer's own template."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    @property
    def stop(self) -> str | None:
        """Return what ends an answer, None for the tokenizer's eos."""
        ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Return what it takes to be single tokens."""
        ...

    @property
    def pieces(self) -> Any:
        """Return the function that renders turns, tools, specials and whether an answer is asked for."""
        ...


class Encoded(NamedTuple):
    """Ids, and which of them bear loss."""

    ids: NDArray[np.uint32]  # shape (tokens,)
    loss: NDArray[np.bool_]  # shape (tokens,)


@dataclass(frozen=True)
class ChatTokenizer:
    """A fast tokenizer, the specials that templates name, and its own chat template."""

    tokenizer: Any
    specials: Specials
    own: str | None = None

    @classmethod
    def of(cls, fast: Any) -> ChatTokenizer:
        """Take over a loaded fast tokenizer of transformers.

        Args:
            fast: A ``PreTrainedTokenizerFast``.
        """
        from tokenizers import Tokenizer

        copy = Tokenizer.from_str(fast.backend_tokenizer.to_str())
        own = fast.chat_template if isinstance(fast.chat_template, str) else None
        return cls(_bare(copy), Specials(fast.bos_token or "", fast.eos_token or ""), own)

    def id_of(self, token: str) -> int | None:
        """Return a token's id, None if it is not in the vocabulary."""
        found = self.tokenizer.token_to_id(token)
        return None if found is None else int(found)


def load(folder: Path) -> ChatTokenizer:
    """Open a tokenizer folder.

    Args:
        folder: A folder with ``tokenizer.json`` and ``tokenizer_config.json``.

    Raises:
        InputError: If it has no ``tokenizer.json``, or one that cannot be read.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise InputError(folder, "has no tokenizer.json", "name a tokenizer's folder (tokenizer extend makes one)")
    try:
        made = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises no narrower class
        raise InputError(file, f"cannot be read ({error})", "name a folder with a whole tokenizer.json") from error
    given: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            given |= json.loads((folder / name).read_text(encoding="utf-8"))
    own = given.get("chat_template")
    if isinstance(own, list):  # several, by name
        own = next((one["template"] for one in own if one.get("name") == "default"), None)
    if (folder / "chat_template.jinja").is_file():
        own = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    return ChatTokenizer(_bare(made), Specials(_token(given, "bos_token"), _token(given, "eos_token")), own)


def _bare(tokenizer: Any) -> Any:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _token(config: dict[str, Any], name: str) -> str:
    value = config.get(name)
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def find_template(name: str | None, chat: ChatTokenizer | None = None) -> Template:
    """Return a template by its name.

    Args:
        name: One of ``PRESETS``; None or ``own`` means the tokenizer's own.
        chat: The tokenizer.

    Raises:
        ConfigError: If there is no such preset, or the tokenizer has no template of its own.
    """
    if name is not None and name != "own":
        if name not in PRESETS:
            raise ConfigError(f"template={name}", "no such chat template", did_you_mean(name, [*PRESETS, "own"]))
        return PRESETS[name]
    if chat is None or not chat.own:
        raise ConfigError(
            "template", "the tokenizer has no chat template of its own", f"name one: {', '.join(PRESETS)}"
        )
    same = next((preset for preset in PRESETS.values() if preset.jinja == chat.own), None)
    return same or OwnTemplate(chat.own)


def render(
    turns: Sequence[Turn],
    template: Template | str,
    tools: str | None = None,
    *,
    specials: Specials | None = None,
    ask: bool = False,
) -> list[Piece]:
    """Return turns as pieces of text and whether each bears loss.

    Args:
        turns: A conversation, or a prompt.
        template: A template, or a preset's name.
        tools: The tools' JSON.
        specials: The tokenizer's bos and eos; none: ``<s>`` and ``</s>``.
        ask: Whether the head of an answer follows, for a model to go on from.

    Raises:
        ConfigError: If there is no such preset.
        NoPlace: If the template has no place for a turn or for tools.
    """
    found = find_template(template) if isinstance(template, str) else template
    pieces: list[Piece] = found.pieces(turns, tools, Specials("<s>", "</s>") if specials is None else specials, ask)
    return pieces


def encode(chat: ChatTokenizer, conversation: Conversation, template: Template, *, last_only: bool = False) -> Encoded:
    """Return a conversation's ids and which of them bear loss: those of its answers and of what ends them.

    Args:
        chat: The tokenizer.
        conversation: The conversation.
        template: The chat template.
        last_only: Whether the last answer alone bears loss: what is compared of a pair.

    Raises:
        NoPlace: If the template has no place for a turn or for tools.
    """
    return next(encode_many(chat, [conversation], template, last_only=last_only))


def encode_many(
    chat: ChatTokenizer, conversations: Iterable[Conversation], template: Template, *, last_only: bool = False
) -> Iterator[Encoded]:
    """Encode conversations, some hundreds at a time (all cores if ``TOKENIZERS_PARALLELISM`` allows)."""
    rendered = (render(one.turns, template, one.tools, specials=chat.specials) for one in conversations)
    yield from encode_pieces(chat, (only_last(pieces) if last_only else pieces for pieces in rendered))


def encode_pieces(chat: ChatTokenizer, rendered: Iterable[Sequence[Piece]]) -> Iterator[Encoded]:
    """Encode what templates rendered, each as one text."""
    waiting = iter(rendered)
    while some := list(islice(waiting, AT_ONCE)):
        texts = ["".join(piece.text for piece in pieces) for pieces in some]
        for pieces, coded in zip(some, chat.tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
            yield Encoded(np.array(coded.ids, np.uint32), _mask(pieces, coded))


def only_last(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces of which the last answer alone bears loss."""
    last = max((n for n, piece in enumerate(pieces) if piece.bears_loss), default=-1)
    return [piece if n == last else Piece(piece.text, False) for n, piece in enumerate(pieces)]


def _mask(pieces: Sequence[Piece], coded: Any) -> NDArray[np.bool_]:
    mask = np.zeros(len(coded.ids), np.bool_)
    at = 0
    for piece in pieces:
        begin, at = at, at + len(piece.text)
        if piece.bears_loss and piece.text:
            first, last = coded.char_to_token(begin), coded.char_to_token(at - 1)
            if first is not None:
                mask[first : len(mask) if last is None else last + 1] = True
    return mask


def encode_prompt(
    chat: ChatTokenizer, turns: Sequence[Turn], template: Template, tools: str | None = None
) -> NDArray[np.uint32]:
    """Return the ids of a prompt with the head of the answer: the beginning of the ids of prompt and answer."""
    text = "".join(piece.text for piece in render(turns, template, tools, specials=chat.specials, ask=True))
    return np.array(chat.tokenizer.encode(text, add_special_tokens=False).ids, np.uint32)


def encode_answered(
    chat: ChatTokenizer, turns: Sequence[Turn], answer: str, template: Template, tools: str | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the ids of a prompt, and of an answer with what ends it: those of the whole, cut at the prompt."""
    whole = encode(chat, Conversation("", (*turns, Turn("assistant", answer)), tools=tools), template)
    prompt = encode_prompt(chat, turns, template, tools)
    last = int(np.flatnonzero(whole.loss)[-1]) + 1
    return prompt, whole.ids[len(prompt) : last]


def seam(chat: ChatTokenizer, template: Template) -> str | None:
    """Return an answer whose first token reaches over into the prompt, None if none of ``PROBES`` does."""
    turns = (Turn("user", "问：1+1=?"),)
    prompt = encode_prompt(chat, turns, template)
    for probe in PROBES:
        whole = encode(chat, Conversation("", (*turns, Turn("assistant", probe))), template)
        clean = np.array_equal(whole.ids[: len(prompt)], prompt) and not whole.loss[: len(prompt)].any()
        if not clean or not whole.loss[len(prompt)]:
            return probe
    return None
