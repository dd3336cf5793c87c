"""Instruction data as a stage needs it: ``read("数据/a.json", "sft")`` yields rows, and what is wrong, in order.

Nothing is dropped without a line: every record gives at least one row or one ``Faulty`` with its place and cause. A
file of an unknown form, or of one that the stage has no use for, is refused: by an error if it was named, by one
``Faulty`` if it lies in a folder among others. Cost: 25 µs a record, so 14 MB of short
questions or 60 MB of long dialogues per CPU-second; memory for 500 records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from corpus.instructions.convert import NEEDS, SERVES, convert, kind_of_stage
from corpus.instructions.forms import Form, form_of, most_common
from corpus.instructions.messages import Bad, check_prompt
from corpus.instructions.records import Record, files_of, records_of
from corpus.instructions.rows import Axis, Faulty, Held, Prompt, Row
from corpus.sources.base import root_of
from workbench.errors import InputError

HEAD = 500  # records that a file's form is judged by

# Words in the path of a preference set that say what its answers were judged by.
AXIS_WORDS: tuple[tuple[str, Axis], ...] = (
    ("harmless", "harmless"),
    ("cvalues", "harmless"),
    ("saferlhf", "harmless"),
    ("safe-rlhf", "harmless"),
    ("truthful", "honest"),
    ("honest", "honest"),
    ("helpful", "helpful"),
    ("oaast", "helpful"),
    ("oasst", "helpful"),
)


@dataclass
class Reading:
    """The rows of a path for a stage; after it was iterated over, what was found on the way."""

    path: Path
    stage: str
    axis: Axis | None = None  # what the preferences are judged by, if the user says it
    source: str | None = (
        None  # the set's name; by default the file's (the folder's, of dialogues in files of their own)
    )
    in_full: bool = False  # places begin with the path as it was given: another set has files of the same name
    files: list[str] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)  # records by form
    records: int = 0  # all, faulty ones included

    def __iter__(self) -> Iterator[Row | Faulty]:
        """Read the files in sorted order.

        Raises:
            ConfigError: If there is no such stage.
            InputError: If there is nothing to read, or a file that was named is refused.
        """
        stage = kind_of_stage(self.stage)
        found, root = files_of(self.path), root_of(self.path)
        first: tuple[str, str] | None = None  # the first refusal
        for file in found:
            short = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
            name = (file if self.in_full else short).as_posix()
            refused = yield from self._file(file, name, stage)
            if refused:
                if len(found) == 1:
                    raise InputError(file, *refused)
                yield Faulty(name, f"{refused[0]}; the file is not read")
                first = first or (f"none of its {len(found)} files is read; {name}: {refused[0]}", refused[1])
        if first and not self.files:
            raise InputError(self.path, *first)

    def _file(self, file: Path, name: str, stage: str) -> Generator[Row | Faulty, None, tuple[str, str] | None]:
        """Yield a file's rows; return why it is refused and what to do, None if it is not."""
        stream = records_of(file, name)
        head = list(islice(stream, HEAD))
        form = most_common(piece.value for piece in head if isinstance(piece, Record))
        refusal = refuse(head, form, stage)
        if refusal:
            return refusal
        assert form is not None
        self.files.append(name)
        source = self.source or (self.path if form.whole_file and self.path.is_dir() else file).name.split(".")[0]
        axis = self.axis or axis_of(file)
        pieces: Iterable[Record | Faulty] = chain(head, stream)
        if form.whole_file:
            pieces = _one_dialogue(pieces, name)
        for piece in pieces:
            self.records += 1
            if isinstance(piece, Faulty):
                yield piece
                continue
            for held in self._held(piece, form, stage):
                if isinstance(held, Faulty):
                    yield held
                else:
                    yield from convert(held, stage, source, axis)
        return None

    def _held(self, record: Record, of_file: Form, stage: str) -> Sequence[Held | Faulty]:
        form = of_file if of_file.whole_file else form_of(record.value)
        if form is None or stage not in SERVES[form.holds]:
            missing = of_file.missing(record.value)
            said = f"no {missing}" if missing else f"not so formed: {of_file.doc}"
            return [Faulty(record.place, f"{said} (the file is read as {of_file.name})")]
        self.forms[form.name] += 1
        try:
            return form.make(record.value, record.place)
        except Bad as error:
            return [_rescued(error, record.place) if stage == "ppo" else Faulty(record.place, str(error))]


def read(path: Path | str, stage: str, *, axis: Axis | None = None, source: str | None = None) -> Reading:
    """Return the rows of a file, a folder or a glob, to be iterated over.

    Args:
        path: Where they are.
        stage: The stage that reads them: sft, rm, dpo, kto, ppo (rl, grpo, rloo).
        axis: What preferences are judged by; none: the record's own word, else the path's (``AXIS_WORDS``).
        source: The set's name; none: the file's.
    """
    return Reading(Path(path), stage, axis, source)


def prompts(path: Path | str) -> Reading:
    """Return the prompts of any kind of data, for the reinforcement stages."""
    return read(path, "ppo")


def detect(path: Path | str) -> Form:
    """Return the form of the first file that a path means.

    Raises:
        InputError: If there is nothing to read, or its records have no known form.
    """
    file = files_of(Path(path))[0]
    head = list(islice(records_of(file, file.name), HEAD))
    form = most_common(piece.value for piece in head if isinstance(piece, Record))
    refusal = refuse(head, form, None)
    if refusal:
        raise InputError(file, *refusal)
    assert form is not None
    return form


def refuse(head: list[Record | Faulty], form: Form | None, stage: str | None) -> tuple[str, str] | None:
    """Return why a file is not read and what to do about it; None if it is read.

    Args:
        head: Its first records.
        form: Their form.
        stage: The stage that reads them, None for any.
    """
    if form is None:
        records = [piece for piece in head if isinstance(piece, Record)]
        if not records:
            return (head[0].cause if head and isinstance(head[0], Faulty) else "holds no records"), "name another file"
        keys = ", ".join(records[0].value)
        shown = keys if len(keys) <= 100 else f"{keys[:100]}…"
        if set(records[0].value) <= {"text", "title", "id", "meta", "url"}:
            return f"plain text (its keys are {shown})", "text without questions is for corpus build and stage=pt"
        return f"of no known form: its keys are {shown}", "rename them to a form's (docs/instructions.md lists them)"
    if stage is not None and stage not in SERVES[form.holds]:
        return f"{form.name} data ({form.doc}) do not serve stage={stage}", f"it needs {NEEDS[stage]}"
    return None


def axis_of(path: Path) -> Axis | None:
    """Return what a preference set is judged by, if its path says it."""
    words = path.as_posix().lower()
    return next((axis for word, axis in AXIS_WORDS if word in words), None)


def _rescued(error: Bad, place: str) -> Held | Faulty:
    """Return the prompt of a record whose answer is missing."""
    try:
        if error.prompt is not None:
            check_prompt(error.prompt)
            return Prompt(place, error.prompt)
    except Bad as other:
        error = other
    return Faulty(place, str(error))


def _one_dialogue(pieces: Iterable[Record | Faulty], name: str) -> Iterator[Record | Faulty]:
    """Gather the messages of a file into one record."""
    messages = []
    for piece in pieces:
        if isinstance(piece, Faulty):
            yield piece
        else:
            messages.append(piece.value)
    yield Record(f"{name}:1", {"messages": messages})
