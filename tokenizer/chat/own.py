"""A tokenizer folder's own chat template, rendered with jinja2 (which torch and transformers bring).

What bears loss are its ``{% generation %}`` parts. A template without them is rendered once more before and after every
answer: what the answer adds to its prompt bears loss. That needs the prompt's text to be the beginning of the text with
the answer; a template that rewrites what came before (it drops earlier reasoning, say) is refused where it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from corpus.instructions.rows import Turn
from tokenizer.chat.pieces import NoPlace, Piece, Specials, messages_of, tools_of
from workbench.errors import MissingPackage

_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class OwnTemplate:
    """A jinja template."""

    jinja: str
    name: str = "own"
    stop: str | None = None
    marks: tuple[str, ...] = ()

    @cached_property
    def is_marked(self) -> bool:
        """Tell whether it says what the model is trained to say."""
        return _MARKED.search(self.jinja) is not None

    def pieces(self, turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool) -> list[Piece]:
        """Render turns.

        Raises:
            NoPlace: If the template refuses them, leaves calls or tools out, or has no marks and rewrites the prompt.
        """
        if any(turn.role == "call" for turn in turns) and "tool_calls" not in self.jinja:
            raise NoPlace("the tokenizer's own template", "leaves tool calls out", "take template=qwen or chatml")
        if tools and "tools" not in self.jinja:
            raise NoPlace("the tokenizer's own template", "leaves tools out", "take template=qwen or chatml")
        if self.is_marked:
            text, spans = self._render(turns, tools, specials, ask)
        else:
            text, spans = self._by_differences(turns, tools, specials, ask)
        out, at = [], 0
        for begin, end in spans:
            out += [Piece(text[at:begin], False), Piece(text[begin:end], True)]
            at = end
        return [piece for piece in (*out, Piece(text[at:], False)) if piece.text]

    def _render(
        self, turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        import jinja2

        template, spans, blocks = _compiled(self.jinja), list[tuple[int, int]](), list[str]()

        def mark(text: str) -> str:
            start = sum(map(len, blocks))
            spans.append((start, start + len(text)))
            return text

        names = {"bos_token": specials.bos, "eos_token": specials.eos, "_mark": mark}
        given = {name: value for name, value in names.items() if value != ""}
        try:
            for block in template.generate(
                messages=messages_of(turns), tools=tools_of(tools), documents=None, add_generation_prompt=ask, **given
            ):
                blocks.append(block)
        except jinja2.TemplateError as error:
            raise NoPlace(
                "the tokenizer's own template", f"refuses the turns ({error})", "name another template"
            ) from error
        return "".join(blocks), spans

    def _by_differences(
        self, turns: Sequence[Turn], tools: str | None, specials: Specials, ask: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        text, _ = self._render(turns, tools, specials, ask)
        spans = []
        for number, turn in enumerate(turns):
            if turn.role not in ("assistant", "call"):
                continue
            before, _ = self._render(turns[:number], tools, specials, True)
            after, _ = self._render(turns[: number + 1], tools, specials, False)
            if not (after.startswith(before) and text.startswith(after)):
                found = "has no {% generation %} marks and rewrites what came before an answer"
                raise NoPlace("the tokenizer's own template", found, "name another: template=qwen, chatml, …")
            spans.append((len(before), len(after)))
        return text, spans


@lru_cache(maxsize=8)
def _compiled(text: str) -> Any:
    try:
        import jinja2
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise MissingPackage("jinja2", "train") from error

    class Generation(Extension):
        """``{% generation %} … {% endgeneration %}``: what is inside is given to ``_mark`` before it is written."""

        tags = {"generation"}  # noqa: RUF012 - jinja reads it from the class

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            marked = jinja2.nodes.CallBlock(
                self.call_method("_marked", [jinja2.nodes.ContextReference()]), [], [], body
            )
            return marked.set_lineno(line)

        def _marked(self, context: Any, caller: Any) -> Any:
            return context["_mark"](caller())

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = lambda shape: datetime.now().strftime(shape)
    try:
        return made.from_string(text)
    except jinja2.TemplateError as error:
        raise NoPlace("the tokenizer's own template", f"is not jinja ({error})", "name another template") from error
