"""Which encoding bytes are in: a strict try-order with a check of plausibility, not a statistical guess.

The rule, first that holds: a byte order mark · NUL bytes, and UTF-16 gives ASCII or common hanzi · strict UTF-8 ·
of GB18030, Big5 and CP1252, those that decode strictly, the one whose hanzi are common hanzi (Big5 read as GB18030
gives rare ones: 0.2 % common against 15–30 %) · the one of UTF-8 and GB18030 with the fewest damaged places, if they
are under 0.1 % of the bytes. It was right on all 46 non-UTF-8 files of the measured data, of which charset-normalizer
3.5 left 14 undecided. Cost: UTF-8 240 MB, GB18030 100 MB per CPU-second.
"""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import Any

from corpus.sources.base import Span, Unreadable
from corpus.sources.unpack import Unpacked, open_file

SAMPLE = 100_000  # bytes that plausibility is judged on
MAX_DAMAGED = 0.001
MIN_COMMON = 0.02  # share of common hanzi among the hanzi of a text that was decoded rightly
MAX_WESTERN = 0.15  # share of letters beyond ASCII in a text of a western language
COMMON = frozenset(
    "的一是不了在人有我他这這个個上们們来來到时時大地为為子中你说說生国國年着就那和要她出也得里裡后後自以会會家可下而过過天去能对對小多然于於心学學么麼之都好看起发發当當没沒成只如事把"
    "还還用第样樣道想作种種开開美总總从從无無情己面最女但现現前些所同日手又行意动動方期它头頭经經长長儿兒回位分爱愛老因很给給名法间間斯知世什两兩次使身者被高已亲親其进進此话話常与與"
    "活正感气氣水病者云曰主治服药藥味方血阴陰阳陽热熱寒"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Decoded:
    """A text, and the encoding it was in."""

    text: str
    encoding: str


def decode(data: bytes) -> Decoded | str:
    """Decode a whole file, with plain line ends; returns why not if it is not text in an encoding that is known."""
    encoding = sniff(data)
    if encoding is None:
        return "not text in UTF-8, UTF-16, GB18030, Big5 or CP1252"
    text = data.decode(encoding, "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Decoded(text, encoding)


def sniff(data: bytes, *, cut: bool = False) -> str | None:
    """Return the encoding of bytes by the rule of this module, None for none.

    Args:
        data: A whole file, or its head.
        cut: Whether it is a head, so that the last character may be incomplete.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    if b"\0" in data[:SAMPLE]:
        return _wide(data[: SAMPLE & ~1])
    if cut and b"\n" in data:  # the last line end is no part of a character in any of the encodings below
        data, cut = data[: data.rindex(b"\n") + 1], False
    if _valid(data, "utf-8", cut):
        return "utf-8"
    for name in ("gb18030", "big5hkscs"):
        if _valid(data, name, cut) and _common_share(data[:SAMPLE], name) >= MIN_COMMON:
            return name
    if _valid(data, "cp1252", cut) and _western(data[:SAMPLE]):
        return "cp1252"
    if _valid(data, "gb18030", cut) and len(data) < 200:  # too little to judge by
        return "gb18030"
    damaged = {name: _damaged(data, name) for name in ("utf-8", "gb18030")}
    best = min(damaged, key=lambda name: damaged[name])
    return best if damaged[best] <= max(1, MAX_DAMAGED * len(data)) and len(data) >= 200 else None


def _valid(data: bytes, encoding: str, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except UnicodeDecodeError:
        return False
    return True


def _damaged(data: bytes, encoding: str) -> int:
    return data.decode(encoding, "replace").count("\ufffd")


def _common_share(data: bytes, encoding: str) -> float:
    hanzi = [char for char in data.decode(encoding, "ignore") if "\u3400" <= char <= "\u9fff" or char > "\uffff"]
    return sum(char in COMMON for char in hanzi) / len(hanzi) if hanzi else 0.0


def _western(data: bytes) -> bool:
    beyond = sum(byte >= 128 for byte in data)
    control = sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in data)
    return control == 0 and 0 < beyond <= MAX_WESTERN * len(data)


def _wide(data: bytes) -> str | None:
    """Tell UTF-16 without a mark: its hanzi are common ones, or its NUL bytes are those of ASCII."""
    high, low = data[0::2].count(0), data[1::2].count(0)
    for name, here, there in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if _valid(data, name, cut=True) and (here > 20 * there or _common_share(data, name) >= MIN_COMMON):
            return name
    return None


class _Recoded(io.RawIOBase):
    """A stream of UTF-8 out of a stream in another encoding."""

    def __init__(self, stream: Unpacked, encoding: str) -> None:
        self.stream = stream
        self.decoder = codecs.getincrementaldecoder(encoding)("replace")
        self.ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        while not self.ready:
            data = self.stream.read(1 << 20)
            self.ready = self.decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data:
                break
        out, self.ready = self.ready[: len(view)], self.ready[len(view) :]
        view[: len(out)] = out
        return len(out)

    def close(self) -> None:
        self.stream.close()
        super().close()


@dataclass
class Utf8:
    """A stream of UTF-8 bytes, whatever the file holds; ``is_plain`` if those are the file's own bytes."""

    stream: io.BufferedReader
    source: Unpacked
    is_plain: bool

    def end(self, span: Span) -> list[Unreadable]:
        """Close it; return what ended it early."""
        cause = self.source.broken
        self.stream.close()
        return (
            [Unreadable(str(span.file), self.source.raw.given, f"{cause}; what was before it is read")] if cause else []
        )


def open_utf8(span: Span) -> Utf8:
    """Open a file as UTF-8; a file in an unknown encoding is opened as it is, and its records are found unreadable."""
    source = open_file(span.file)
    head = source.peek(SAMPLE)[:SAMPLE]
    encoding = sniff(head, cut=len(head) == SAMPLE) or "utf-8"
    if encoding in ("utf-8", "utf-8-sig"):
        return Utf8(source, source, is_plain=source.raw.kind is None)
    return Utf8(io.BufferedReader(_Recoded(source, encoding), 1 << 20), source, is_plain=False)
