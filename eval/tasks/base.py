"""What a benchmark is to ``evaluate run``: where its items are, how they are asked, how an answer is judged.

A task is a value, not a class: its file under ``eval/tasks`` fills in a ``Task``, and ``eval.tasks.TASKS`` lists them.
A prompt is kept in parts (head, exemplars, question), so that whole exemplars can be left out where a context is short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from corpus.sources.benchmarks import Item
from workbench.errors import ConfigError

Mode = Literal["direct", "cot"]
Mean = Literal["micro", "macro"]  # over items, over subjects
LETTERS = "ABCD"


@dataclass(frozen=True)
class Prompt:
    """The parts of a prompt; its text is all of them end to end."""

    head: str
    shots: tuple[str, ...]
    question: str

    @property
    def text(self) -> str:
        """What the model is shown."""
        return "".join((self.head, *self.shots, self.question))


@dataclass(frozen=True)
class Asked:
    """How a task is asked."""

    split: str
    shots: int
    protocol: str = "official"
    format: str = "mc"  # mc, cf, generate
    mode: Mode = "direct"


@dataclass(frozen=True)
class Question:
    """An item as it is put to a model: choices to be scored, or a text to be continued."""

    item: Item
    subject: str
    prompt: Prompt
    gold: str  # a letter, a number, an expression; empty where the file has none
    choices: tuple[str, ...] = ()  # scored after the prompt, in the order of the letters
    stop: tuple[str, ...] = ()
    max_tokens: int = 0  # of a continuation
    drop_longest: bool = False  # which exemplar goes first where a context is short: the longest, else the last


@dataclass(frozen=True)
class Judged:
    """A verdict: 1 or 0, or the share of programs that pass."""

    correct: float
    extracted: tuple[str | None, ...] = ()
    verdicts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judging:
    """What a judge may need beyond the answer."""

    unsafe: bool = False  # run programs without a sandbox
    seconds: float = 10.0  # for a program


Ask = Callable[[Item, Sequence[Item], Asked], Question]
Judge = Callable[[Question, Sequence[str], Judging], Judged]


@dataclass(frozen=True)
class Task:
    """A benchmark."""

    id: str
    name: str
    readers: tuple[str, ...]  # keys of corpus.sources.benchmarks.BENCHMARKS
    keeps: str  # Item.benchmark of what is its own
    files: str  # what is expected below --data
    source: str  # the project that publishes them
    counts: Mapping[str, tuple[int, int]]  # split: items and subjects of the official files
    splits: tuple[str, ...]  # that can be scored; the first by default
    shots: int
    protocols: tuple[str, ...]  # official first
    formats: tuple[str, ...]
    modes: tuple[Mode, ...]  # the first by default
    mean: Mean  # which mean the official score is
    exemplars: str | None  # the split of the exemplars; None if the prompt has its own
    ask: Ask
    judge: Judge | None = None  # None: choices scored by likelihood
    code: bool = False  # answers are programs, to be run
    parts: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)  # of a group: split and subjects
    digests: Mapping[str, str] = field(default_factory=dict)  # split: eval.tasks.files.digest of the official items
    cot_protocol: str | None = None  # whose a chain of thought is, where it is not each protocol's own
    differs: str = ""  # where a paper states another count than its files hold

    def asked(
        self,
        *,
        split: str | None = None,
        shots: int | None = None,
        protocol: str | None = None,
        form: str | None = None,
        mode: Mode | None = None,
    ) -> Asked:
        """Return how it is asked, with what is not given by default.

        Raises:
            ConfigError: If the task has no such split, protocol, format or mode.
        """
        mode = self._one_of("--mode", mode, self.modes)
        whose = (self.cot_protocol,) if mode == "cot" and self.cot_protocol else self.protocols
        protocol = self._one_of("--protocol", protocol, whose)
        split = self._one_of("--split", split, self.splits)
        if form is not None and form not in self.formats and "mc" in self.formats:
            self._one_of("--format", form, self.formats)
        generated = "mc" not in self.formats or mode == "cot"
        if form == "cf" and "mc" in self.formats and mode == "cot":
            raise ConfigError("--mode cot", f"{self.name} has no cloze form of it", "leave --format or --mode out")
        found = "generate" if generated else form or "mc"
        return Asked(split, self.shots if shots is None else shots, protocol, found, mode)

    def _one_of(self, flag: str, value: Any, known: Sequence[Any]) -> Any:
        if value is None:
            return known[0]
        if value not in known:
            raise ConfigError(f"{flag} {value}", f"{self.name} has no such", f"it has: {', '.join(known)}")
        return value
