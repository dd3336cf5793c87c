"""What crosses between the two processes: plain data comes back equal, and no frame does more than fail."""

import collections
import contextlib
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.inside.wire import MAX_FRAME, Closed, Encoder, decode, receive, send


def no_handle(value):
    raise TypeError("no handle")


encode = Encoder(no_handle)
flat = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
hashable = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
data = st.recursive(
    flat,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.frozensets(hashable, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(data)
def test_plain_data_comes_back_as_it_was(value):
    found = decode(encode(value), no_handle)
    assert found == value
    assert repr(found) == repr(value)  # also True against 1, -0.0 against 0.0, the order of a dict


@given(st.binary(max_size=80))
def test_any_bytes_are_a_value_or_refused(body):
    with contextlib.suppress(Closed):
        decode(body, lambda number: number)


@given(data, st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_is_a_value_or_refused(value, place, byte):
    body = bytearray(encode(value))
    body[place % len(body)] = byte
    with contextlib.suppress(Closed):
        decode(bytes(body), lambda number: number)


def test_not_a_number_and_subclasses():
    assert math.isnan(decode(encode(float("nan")), no_handle))

    class Mine(int):
        def __format__(self, spec):
            return "12"

        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    found = decode(encode(Mine(5)), no_handle)
    assert (type(found), found) == (int, 5)
    pair = collections.namedtuple("Pair", "a b")(1, 2)
    assert decode(encode(pair), no_handle) == (1, 2)
    assert type(decode(encode(pair), no_handle)) is tuple


def test_objects_are_numbers_and_depth_ends():
    owned = []

    def number_of(value):
        owned.append(value)
        return len(owned) - 1

    item = object()
    assert decode(Encoder(number_of)([1, item]), owned.__getitem__) == [1, item]
    with pytest.raises(TypeError):
        encode([object()])
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 200 deep"):
        encode(endless)
    with pytest.raises(Closed):
        decode(encode(1) + b"N", no_handle)


def test_frames_over_a_pipe():
    reader, writer = os.pipe()
    send(writer, b"abc")
    send(writer, b"")
    assert (receive(reader), receive(reader)) == (b"abc", b"")
    os.write(writer, (MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(Closed, match="a frame of"):
        receive(reader)
    os.write(writer, b"\0\0\0\5ab")
    os.close(writer)
    with pytest.raises(Closed, match="end of stream"):
        receive(reader)
    os.close(reader)
