"""The tests' process: it runs the tests' own code, with the program's names as proxies that ask the other process.

The program never runs here, so it cannot see the expected values, replace ``assert`` or a built-in, or end the tests.
What a call returns is plain data, compared here. An object that is no plain data is a proxy: it can be called,
iterated, indexed, and have attributes read and set; ``==`` on it is identity, so an object that claims to equal
everything equals nothing.
"""

from __future__ import annotations

import builtins
import sys

from eval.inside.wire import Closed, Encoder, decode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_SHOWN = 300  # characters of a detail
_LENGTHS = {"value": 3, "module": 2, "absent": 1, "raised": 4}


class Gone(BaseException):
    """The program's process ended or broke the protocol; no ``except Exception`` of a test hides it."""


class Channel:
    """Questions to the program's process."""

    def __init__(self, outgoing: int, incoming: int) -> None:
        """Remember both descriptors."""
        self.outgoing, self.incoming = outgoing, incoming
        self.gone: str | None = None
        self.raised: BaseException | None = None  # the last exception that came from the program

    def ask(self, verb: str, *words: Any) -> list[Any]:
        """Return the answer to one question; raise what the program raised."""
        body = _encode([verb, *words])
        try:
            send(self.outgoing, body)
        except OSError as error:
            raise self._lost("its pipe is closed") from error
        return self.answer()

    def answer(self) -> list[Any]:
        """Read one answer."""
        try:
            found = decode(receive(self.incoming), lambda number: Proxy(self, number))
        except Closed as error:
            raise self._lost(str(error)) from error
        known = type(found) is list and found and type(found[0]) is str and _LENGTHS.get(found[0]) == len(found)
        if not known:
            raise self._lost("an answer of no known form")
        if found[0] == "raised":
            name, base, text = (str(part)[:_SHOWN] for part in found[1:])
            self.raised = _exception(base, text if name == base else f"{name}: {text}")
            raise self.raised
        return found  # type: ignore[no-any-return]

    def value(self, verb: str, *words: Any) -> Any:
        """Return the value that a question is answered with."""
        found = self.ask(verb, *words)
        if found[0] != "value":
            raise self._lost("an answer to another question")
        return found[1]

    def _lost(self, why: str) -> Gone:
        self.gone = why
        return Gone(why)


def _exception(base: str, text: str) -> BaseException:
    """Return the built-in exception of a name; those that are not built of one text become an Exception."""
    kind = getattr(builtins, base, Exception)
    try:
        found = kind(text) if isinstance(kind, type) and issubclass(kind, BaseException) else Exception(text)
    except TypeError:
        found = Exception(text)
    return found


class Proxy:
    """An object that lives in the program's process."""

    __slots__ = ("_channel", "_number")
    _channel: Channel
    _number: int

    def __init__(self, channel: Channel, number: int) -> None:
        object.__setattr__(self, "_channel", channel)
        object.__setattr__(self, "_number", number)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        """Call it in the program's process; what that changed in an argument is changed here too."""
        found = self._channel.ask("call", self, list(positional), named)
        if found[0] != "value" or type(found[2]) is not dict:
            raise self._channel._lost("an answer to another question")
        for place, value in found[2].items():
            if type(place) is int and 0 <= place < len(positional):
                _replace(positional[place], value)
        return found[1]

    def __getattr__(self, name: str) -> Any:
        return self._channel.value("attribute", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._channel.value("assign", self, name, value)

    def __iter__(self) -> Iterator[Any]:
        found = self._channel.value("iterate", self)
        return found if type(found) is Proxy else iter(found)

    def __next__(self) -> Any:
        return self._channel.value("next", self)

    def __len__(self) -> int:
        return int(self._channel.value("length", self))

    def __getitem__(self, key: Any) -> Any:
        return self._channel.value("item", self, key)

    def __bool__(self) -> bool:
        return self._channel.value("truth", self) is True

    def __str__(self) -> str:
        return str(self._channel.value("text", self))

    def __repr__(self) -> str:
        return str(self._channel.value("show", self))


def _number_of(value: Any) -> int:
    if type(value) is Proxy:
        return value._number
    raise TypeError(f"a {type(value).__name__} cannot be handed to the program")


_encode = Encoder(_number_of)


def _replace(old: Any, new: Any) -> None:
    """Let a test see what a call changed in its argument."""
    if isinstance(old, list | bytearray) and type(new) is type(old):
        old[:] = new
    elif isinstance(old, dict | set) and type(new) is type(old):
        old.clear()
        old.update(new)


def judge(tests: str, names: Iterable[str], channel: Channel) -> tuple[str, str]:
    """Run tests against the program at the other end.

    Args:
        tests: Python code whose asserts decide.
        names: What it takes from the program.
        channel: The way to the program.

    Returns:
        How it ended (passed, failed, error, memory, exit), and a line about it.
    """
    try:
        channel.answer()  # the program itself has run
        namespace: dict[str, Any] = {"__name__": "tests"}
        for name in names:
            found = channel.ask("get", name)
            if found[0] == "value":
                namespace[name] = found[1]
            elif found[0] == "module" and found[1] in sys.stdlib_module_names:
                namespace[name] = __import__(found[1])
        exec(compile(tests, "<tests>", "exec"), namespace)  # noqa: S102 - the benchmark's own tests
    except BaseException as error:  # noqa: BLE001 - whatever came out is the verdict
        if channel.gone is None:
            return _ended(error, tests, of_program=error is channel.raised)
    if channel.gone is not None:
        return "exit", f"the program ended before its tests did ({channel.gone})"
    return "passed", ""


def _ended(error: BaseException, tests: str, *, of_program: bool) -> tuple[str, str]:
    said = f"{type(error).__name__}: {error}".rstrip(": ")[:_SHOWN]
    if isinstance(error, MemoryError):
        return "memory", said
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "exit", f"the program ended before its tests did ({said})"
    if of_program:
        return "error", said
    lines, frame, number = tests.splitlines(), error.__traceback__, 0
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<tests>":
            number = frame.tb_lineno
        frame = frame.tb_next
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    if isinstance(error, AssertionError):
        return "failed", (line or said)[:_SHOWN]
    return "error", f"{said} at: {line}"[:_SHOWN]
