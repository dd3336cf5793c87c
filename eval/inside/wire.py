"""Plain data between the program's process and the tests' process: frames of tagged bytes.

Not pickle or marshal, because the program's side may be hostile: a decoded frame is built of None, bool, int, float,
str and a fixed list of exact standard types, and never runs code of the sender. Not json, because importing it doubles
the start of an interpreter (``re`` and ``enum`` come with it). Whatever is no plain data (a function, an object, a
generator) goes over as a handle, a number that its owner knows. Cost: about 1 µs a value.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # each module not imported here is one to ten milliseconds of every program's judgement
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_FRAME = 64 << 20  # bytes; a longer answer ends the program
MAX_DEPTH = 200


class Closed(Exception):
    """The other side has gone, or does not keep to the protocol."""


def send(descriptor: int, body: bytes) -> None:
    """Write one frame: four bytes of length, then the body."""
    view = memoryview(len(body).to_bytes(4, "big") + body)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> bytes:
    """Read one frame.

    Raises:
        Closed: If the other side has gone, or announces more than ``MAX_FRAME``.
    """
    length = int.from_bytes(_exactly(descriptor, 4), "big")
    if length > MAX_FRAME:
        raise Closed(f"a frame of {length} bytes")
    return _exactly(descriptor, length)


def _exactly(descriptor: int, length: int) -> bytes:
    parts, left = [], length
    while left:
        part = os.read(descriptor, min(left, 1 << 20))
        if not part:
            raise Closed("end of stream")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class Encoder:
    """Writes values; a subclass of a plain type goes over as the plain type that it extends."""

    def __init__(self, handle: Callable[[Any], int]) -> None:
        """Remember who numbers what is no plain data.

        Args:
            handle: Returns the number of an object, or raises TypeError.
        """
        self._handle = handle

    def __call__(self, value: Any) -> bytes:
        """Return a value as bytes.

        Raises:
            TypeError: If something in it can be no handle.
            ValueError: If it is nested more than ``MAX_DEPTH`` deep.
        """
        out: list[bytes] = []
        self._add(value, out, MAX_DEPTH)
        return b"".join(out)

    def _add(self, value: Any, out: list[bytes], depth: int) -> None:
        if depth == 0:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        if value is None or value is True or value is False:
            out.append(b"N" if value is None else b"T" if value else b"F")
        elif isinstance(value, int):
            _sized(out, b"i", int.__format__(value, "x").encode())
        elif isinstance(value, float):
            _sized(out, b"f", float.hex(value).encode())
        elif isinstance(value, str):
            _sized(out, b"s", str.encode(value, "utf-8", "surrogatepass"))
        elif isinstance(value, bytes):
            _sized(out, b"b", bytes(value))
        elif isinstance(value, dict):
            flat: list[Any] = [part for pair in dict.items(value) for part in pair]
            self._named(_DICTS.get(_type(value), "dict"), flat, out, depth)
        else:
            for name, kind in _CONTAINERS.items():
                if isinstance(value, kind):
                    self._named(name, list(kind.__iter__(value)), out, depth)
                    return
            rarer = _RARER.get(_type(value))
            if rarer is None:
                out.append(b"h" + self._handle(value).to_bytes(8, "big"))
            else:
                self._named(_type(value), rarer(value), out, depth)

    def _named(self, name: str, parts: list[Any], out: list[bytes], depth: int) -> None:
        _sized(out, b"x", name.encode())
        out.append(len(parts).to_bytes(4, "big"))
        for part in parts:
            self._add(part, out, depth - 1)


def _sized(out: list[bytes], tag: bytes, body: bytes) -> None:
    out.append(tag + len(body).to_bytes(4, "big"))
    out.append(body)


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_CONTAINERS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytearray": bytearray,
}
_DICTS = {"collections.OrderedDict": "collections.OrderedDict", "collections.Counter": "collections.Counter"}
_RARER: dict[str, Callable[[Any], list[Any]]] = {
    "builtins.complex": lambda value: [value.real, value.imag],
    "builtins.range": lambda value: [value.start, value.stop, value.step],
    "builtins.dict_keys": list,
    "builtins.dict_values": list,
    "builtins.dict_items": list,
    "collections.deque": list,
    "decimal.Decimal": lambda value: [str(value)],
    "fractions.Fraction": lambda value: [value.numerator, value.denominator],
    "datetime.date": lambda value: [value.isoformat()],
    "datetime.time": lambda value: [value.isoformat()],
    "datetime.datetime": lambda value: [value.isoformat()],
    "datetime.timedelta": lambda value: [value.days, value.seconds, value.microseconds],
}


def decode(body: bytes, handle: Callable[[int], Any]) -> Any:
    """Return the value that a frame holds.

    Args:
        body: What ``Encoder`` wrote, or something hostile.
        handle: What stands for an object of the other side, by its number.

    Raises:
        Closed: If it is not of the form that ``Encoder`` writes.
    """
    try:
        value, end = _value(body, 0, handle, MAX_DEPTH)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise Closed("a value of no known form") from error
    if end != len(body):
        raise Closed("a frame that goes on after its value")
    return value


_CONSTANTS = {b"N": None, b"T": True, b"F": False}


def _value(body: bytes, at: int, handle: Callable[[int], Any], depth: int) -> tuple[Any, int]:
    tag = body[at : at + 1]
    at += 1
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    length, at = _number(body, at, 8 if tag == b"h" else 4)
    if tag == b"h":
        return handle(length), at
    part = body[at : at + length]
    if len(part) != length or depth == 0:
        raise ValueError("cut short, or nested too deep")
    at += length
    if tag == b"i":
        return int(part, 16), at
    if tag == b"f":
        return float.fromhex(part.decode()), at
    if tag == b"s":
        return part.decode("utf-8", "surrogatepass"), at
    if tag == b"b":
        return part, at
    if tag != b"x":
        raise ValueError("an unknown tag")
    build = _BUILD[part.decode()]
    count, at = _number(body, at, 4)
    parts = []
    for _ in range(count):
        value, at = _value(body, at, handle, depth - 1)
        parts.append(value)
    return build(parts), at


def _number(body: bytes, at: int, width: int) -> tuple[int, int]:
    digits = body[at : at + width]
    if len(digits) != width:
        raise ValueError("cut short")
    return int.from_bytes(digits, "big"), at + width


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _standard(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


_BUILD: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytearray": bytearray,
    "dict": _pairs,
    "collections.OrderedDict": lambda parts: _standard("collections", "OrderedDict")(_pairs(parts)),
    "collections.Counter": lambda parts: _standard("collections", "Counter")(_pairs(parts)),
    "collections.deque": lambda parts: _standard("collections", "deque")(list(parts)),
    "builtins.complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "builtins.range": lambda parts: range(*parts),
    "builtins.dict_keys": lambda parts: dict.fromkeys(parts).keys(),
    "builtins.dict_values": lambda parts: dict(enumerate(parts)).values(),
    "builtins.dict_items": lambda parts: dict(parts).items(),
    "decimal.Decimal": lambda parts: _standard("decimal", "Decimal")(str(parts[0])),
    "fractions.Fraction": lambda parts: _standard("fractions", "Fraction")(int(parts[0]), int(parts[1])),
    "datetime.date": lambda parts: _standard("datetime", "date").fromisoformat(parts[0]),
    "datetime.time": lambda parts: _standard("datetime", "time").fromisoformat(parts[0]),
    "datetime.datetime": lambda parts: _standard("datetime", "datetime").fromisoformat(parts[0]),
    "datetime.timedelta": lambda parts: _standard("datetime", "timedelta")(*map(int, parts)),
}
