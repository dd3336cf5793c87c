"""Lists of pieces to add to a vocabulary: those shipped beside this file, and any file of the user's.

    zh7k        8,019 characters of two national standards, and the full-width digits and letters
    zh7k-plus   zh7k and 10,000 words; see ``tokenizer.learn``
    zh-hant     5,401 traditional characters, Big5's level 1
    medical     signs of medical text: ％ ℃ ㎡ ① Ⅱ ∶ and the like

A list is UTF-8 text, one piece a line: one character, or several hanzi. Lines that begin with ``#`` are comments. What
may be added is hanzi, the full-width digits and letters, and single signs outside ASCII, because such a piece can
neither merge with nor stand in for a piece of English or code: their segmentation stays what it was. A sign that the
base lacks is bytes there, which merge with nothing; added, it is one piece in their place.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tokenizer.model import SPACE
from workbench.command import did_you_mean
from workbench.errors import ConfigError, InputError

FOLDER = Path(__file__).resolve().parent
MAX_PIECE_CHARS = 16  # as sentencepiece's own limit when it learns pieces

# Blocks of hanzi by code point, first and last: the unified ideographs with their extensions, 〇 and 々, and the
# compatibility ideographs.
HANZI_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
    (0x3005, 0x3007),
)
GREEK = range(0x0391, 0x03CA)
SIGNS = frozenset({"No", "Nl", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sm", "So"})  # categories of Unicode
FULL_WIDTH = frozenset(chr(ord(c) + 0xFEE0) for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class PieceList:
    """Pieces asked for, in order, each once."""

    name: str
    path: Path
    pieces: tuple[str, ...]


def shipped() -> dict[str, Path]:
    """Return the shipped lists by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.txt"))}


def is_hanzi(char: str) -> bool:
    """Tell whether a character is a hanzi."""
    return any(low <= ord(char) <= high for low, high in HANZI_BLOCKS)


def is_sign(char: str) -> bool:
    """Tell whether a character may be a piece by itself as a sign: a mark, symbol or Greek letter outside ASCII."""
    if ord(char) < 0x80 or char == SPACE:
        return False
    return ord(char) in GREEK or char == "µ" or unicodedata.category(char) in SIGNS


def find_list(word: str) -> PieceList:
    """Return the list that ``--add`` names: a shipped one, or a file.

    Raises:
        ConfigError: If it is neither.
        InputError: If the file is not such a list.
    """
    known = shipped()
    if word in known:
        return read_list(word, known[word])
    path = Path(word)
    if path.is_file():
        return read_list(word, path)
    raise ConfigError(f"--add {word}", "is neither a shipped list nor a file", did_you_mean(word, known))


def read_list(name: str, path: Path) -> PieceList:
    """Read and check a list.

    Raises:
        InputError: If it is not UTF-8 (surrogates are not), a line is blank or has spaces around its piece, a piece is
            neither of hanzi alone nor a full-width character nor a sign, or is there twice, or there is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.object[error.start : error.start + 2]
        what = "has a surrogate" if at >= b"\xed\xa0" and at[0] == 0xED else "is not UTF-8"
        raise InputError(path, f"{what} at byte {error.start:,}", "save it as UTF-8") from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "name a list, one piece a line") from error
    lines: dict[str, int] = {}  # of each piece: where it is
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if not line.startswith("#"):
            piece = line.removesuffix("\r")
            wrong = _wrong(piece)
            if wrong:
                raise InputError(f"{path}:{number}", wrong, "write one hanzi or sign, or a word of hanzi alone, a line")
            if piece in lines:
                found = f"repeats {piece} of line {lines[piece]}"
                raise InputError(
                    f"{path}:{number}", found, "leave one of them out: the order of a list means something"
                )
            lines[piece] = number
    if not lines:
        raise InputError(path, "holds no piece", "write one a line")
    return PieceList(name, path, tuple(lines))


def _wrong(piece: str) -> str | None:
    if not piece.strip():
        return "is a blank line"
    if piece != piece.strip():
        return f"{piece!r} has a space at its end or beginning"
    if len(piece) > MAX_PIECE_CHARS:
        return f"{piece[:8]!r}… has {len(piece)} characters, more than {MAX_PIECE_CHARS}"
    if piece in FULL_WIDTH or (len(piece) == 1 and is_sign(piece)) or all(is_hanzi(char) for char in piece):
        return None
    other = next(char for char in piece if not is_hanzi(char))
    return f"{piece!r} has U+{ord(other):04X}, which is no hanzi" + (" and no sign" if len(piece) == 1 else "")
