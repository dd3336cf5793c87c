"""The program's process: it runs the program, then answers what the tests ask of the names the program defined.

Nothing here is trusted. The program may replace any of it; all that it can send is data, and what it sends is compared
in another process, which it cannot reach.
"""

from __future__ import annotations

import sys

from eval.inside.wire import Closed, Encoder, decode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MESSAGE = 400  # characters of an exception's text
_MUTABLE = (list, dict, set, bytearray)
Module = type(sys)


def serve(source: str, incoming: int, outgoing: int) -> None:
    """Run a program and answer until the tests' side closes.

    Args:
        source: The program.
        incoming: The descriptor that requests come from.
        outgoing: The descriptor that answers go to.
    """
    module = Module("program")
    sys.modules["program"] = module
    owned: list[Any] = []

    def number_of(value: Any) -> int:
        owned.append(value)
        return len(owned) - 1

    encode = Encoder(number_of)

    def run() -> list[Any]:
        exec(compile(source, "<program>", "exec"), module.__dict__)  # noqa: S102 - this is what the sandbox is for
        return ["value", None, {}]

    def reply() -> list[Any]:
        return _reply(decode(request, owned.__getitem__), module)

    work: Callable[[], list[Any]] = run
    while True:
        try:
            body = encode(work())
        except BaseException as error:  # noqa: BLE001 - whatever it raised is the answer, also SystemExit
            body = encode(_told(error))
        send(outgoing, body)
        try:
            request = receive(incoming)
        except Closed:
            return
        work = reply


def _reply(request: list[Any], module: Any) -> list[Any]:
    verb, target, *given = request
    if verb == "get":
        if target not in module.__dict__:
            return ["absent"]
        found = module.__dict__[target]
        return ["module", found.__name__] if isinstance(found, Module) else ["value", found, {}]
    if verb != "call":
        return ["value", _VERBS[verb](target, *given), {}]
    positional, named = given
    before = {place: _SHAPE(value) for place, value in enumerate(positional) if isinstance(value, _MUTABLE)}
    found = target(*positional, **named)
    changed = {place: positional[place] for place, shape in before.items() if _SHAPE(positional[place]) != shape}
    return ["value", found, changed]


_SHAPE = Encoder(lambda value: 0)  # objects inside an argument are not looked into for what a call changed in place
_VERBS: dict[str, Callable[..., Any]] = {
    "attribute": getattr,
    "assign": setattr,
    "iterate": iter,
    "next": next,
    "length": len,
    "item": lambda target, key: target[key],
    "truth": bool,
    "text": str,
    "show": repr,
}


def _told(error: BaseException) -> list[Any]:
    """Return an exception: its own name, the built-in exception it extends, its text."""
    base = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    try:
        text = str(error)[:_MESSAGE]
    except BaseException:  # noqa: BLE001 - the program's own __str__
        text = ""
    return ["raised", type(error).__name__, base, text]
