"""``evaluate chat``: talk with a model in the terminal, in its own template; an answer appears as it is drawn.

A line is a turn; ``/new`` forgets what was said, the end of the input (Ctrl-D) ends it. History that no longer fits
beside an answer loses its oldest exchanges, told. Only whole characters are shown: a Chinese character may be three
byte tokens. Cost: a forward pass a token, with a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.instructions.rows import Faulty, Prompt, Turn
from tokenizer.chat.encode import find_template, load
from tokenizer.chat.window import fit
from tokenizer.prompts import end_of
from workbench.console import note
from workbench.errors import ConfigError

NEW = "/new"
BROKEN = "\ufffd"  # what half a character decodes to


@dataclass(frozen=True)
class Manner:
    """How answers are drawn."""

    template: str = "own"
    system: str | None = None
    max_new: int = 256
    temperature: float = 0.7  # 0: the likeliest token each time
    seed: int = 0


class Shown:
    """transformers' streamer: writes an answer's text as far as its characters are whole."""

    def __init__(self, tokenizer: Any, write: Callable[[str], object]) -> None:
        """Wait for the prompt, which is not shown."""
        self.tokenizer, self.write = tokenizer, write
        self.ids: list[int] = []
        self.text, self.seen_prompt = "", False

    def put(self, value: Any) -> None:
        """Take the prompt once, then token after token."""
        if self.seen_prompt:
            self.ids += value.reshape(-1).tolist()
            self._show(self.tokenizer.decode(self.ids, skip_special_tokens=True).rstrip(BROKEN))
        self.seen_prompt = True

    def end(self) -> None:
        """Write what is left."""
        self._show(self.tokenizer.decode(self.ids, skip_special_tokens=True))

    def _show(self, text: str) -> None:
        if text.startswith(self.text):  # else a decoder took something back: it comes at the end
            self.write(text[len(self.text) :])
            self.text = text


def chat(folder: Path, lines: Iterable[str], write: Callable[[str], object], manner: Manner) -> None:
    """Answer lines until there are no more.

    Args:
        folder: A chat model's folder or run.
        lines: What the user says.
        write: Takes pieces of text.
        manner: How answers are drawn.

    Raises:
        InputError: If the folder is no language model, or its tokenizer has no token that ends an answer.
        ConfigError: If there is no such template, or the model has too few positions.
    """
    import torch
    from transformers import GenerationConfig

    from eval.models import load_model, model_folder

    inner = model_folder(folder)
    tokenizer = load(inner)
    template = find_template(manner.template, tokenizer)
    end = tokenizer.id_of(end_of(tokenizer, template, inner))
    model = load_model(inner)
    window = model.config.max_position_embeddings - manner.max_new
    if window < 1:
        found = f"{manner.max_new:,} tokens, the model has {model.config.max_position_embeddings:,} positions"
        raise ConfigError("--max-new", found, "give fewer")
    drawing: dict[str, Any] = {"do_sample": manner.temperature > 0, "eos_token_id": end, "pad_token_id": end}
    if manner.temperature > 0:
        drawing["temperature"] = manner.temperature
    model.generation_config = GenerationConfig(max_new_tokens=manner.max_new, use_cache=True, **drawing)
    torch.manual_seed(manner.seed)
    start = () if manner.system is None else (Turn("system", manner.system),)
    turns: tuple[Turn, ...] = start
    for line in lines:
        said = line.strip()
        if said == NEW:
            turns = start
        if not said or said == NEW:
            continue
        (fitted,) = fit(tokenizer, [Prompt("this turn", (*turns, Turn("user", said)))], template, window)
        if isinstance(fitted, Faulty):
            note(f"not asked: {fitted.cause}")
            continue
        if fitted.dropped:
            note(f"{fitted.dropped} of the oldest exchanges are forgotten: they no longer fit")
        assert isinstance(fitted.row, Prompt)
        shown = Shown(tokenizer.tokenizer, write)
        ids = torch.tensor([fitted.encoded[0].ids.tolist()], device=model.device)
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), streamer=shown)
        write("\n")
        turns = (*fitted.row.turns, Turn("assistant", shown.text))
