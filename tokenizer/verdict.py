"""What a check of a tokenizer folder looks at, finds, says and judges; ``tokenizer.check`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.console import table
from workbench.errors import GateFailed

BLOCK_LINES = 50
HARD = (
    *(
        "",
        " ",
        "  ",
        " a",
        "   a",
        "\ta",
        "a\t",
        "a \n b",
        "\n",
        "\r\n",
        "a\r\nb\r\n",
        "\u3000\u3000第一章",
        "a\u00a0b",
    ),
    *(
        "😀",
        "👨‍👩‍👧",
        "🇨🇳",
        "𠮷",
        "𰻞",
        "龘",
        "㐀",
        "e\u0301",
        "\ufeffa",
        "\x00",
        "<s>",
        "</s><human>",
        "<0x0A>",
        "<unk>",
    ),
    *("▁", "a▁b", "▁▁", "％℃①", "------", "        return x", "ａ９"),
)
BROKEN = ((0xE7,), (0xE7, 0xA0), (0xFF,), (0x80, 0x80), (0xF0, 0x9F), (0xED, 0xA0, 0x80))
Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Verdict:
    """What one loader did."""

    loader: str
    texts: int
    ids: int
    different: int  # texts whose ids are not the reference's
    not_restored: int  # texts that their ids do not decode to
    example: str | None  # the first such text
    refused: str | None = None  # why the loader does not take the folder at all; nothing is counted then


@dataclass(frozen=True)
class Finding:
    """What came of one text."""

    text: str  # its name
    loaders: tuple[Verdict, ...]
    base_lines: int | None = None  # lines without an added piece, compared with the base; None without a base
    base_changed: int = 0  # of them segmented otherwise than in the base


def cut(text: str) -> list[str]:
    """Return the lines of a text without their ends, and blocks of lines with them."""
    lines = text.split("\n")
    return lines + ["\n".join(lines[n : n + BLOCK_LINES]) for n in range(0, len(lines), BLOCK_LINES)]


def compared(
    loader: str,
    texts: Sequence[str],
    found: Sequence[Any],
    reference: Sequence[Any],
    decode: Decode,
    meant: Callable[[str], str],
) -> Verdict:
    """Return what a loader did.

    Args:
        loader: Its name.
        texts: What it encoded.
        found: Its ids of each text.
        reference: The ids that they should be.
        decode: Its way back.
        meant: What a text should decode to.
    """
    different = [text for text, a, b in zip(texts, found, reference, strict=True) if a != b]
    lost = [text for text, ids in zip(texts, found, strict=True) if decode(ids) != meant(text)]
    example = next(iter((*different, *lost)), None)
    return Verdict(loader, len(texts), sum(map(len, found)), len(different), len(lost), example)


def agree_on_broken(broken: Sequence[Sequence[int]], reference: Decode, others: Sequence[Decode]) -> None:
    """Fail if ids that are no text decode to different things.

    Raises:
        GateFailed: If so.
    """
    for ids in broken:
        for decode in others:
            if decode(ids) != reference(ids):
                raise GateFailed(f"ids {ids} decode to {reference(ids)!r}, or else to {decode(ids)!r}")


def as_report(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return what ``--json`` prints: an entry a text."""
    return [
        {
            "text": one.text,
            "loaders": [asdict(verdict) for verdict in one.loaders],
            "base": None if one.base_lines is None else {"lines": one.base_lines, "changed": one.base_changed},
        }
        for one in findings
    ]


def print_findings(findings: Sequence[Finding]) -> None:
    """Print a table a text on stdout, a row a loader."""
    for finding in findings:
        rows = [tuple(asdict(one).values())[:5] for one in finding.loaders if one.refused is None]
        table(("loader", "texts", "ids", "ids differ", "text not restored"), rows, finding.text)
        if finding.base_lines is not None:
            said = f"{finding.base_changed:,} segmented otherwise than in the base"
            print(f"{finding.base_lines:,} lines without an added piece, {said}")
    for one in findings[0].loaders:  # a folder is refused whatever the text
        if one.refused is not None:
            print(f"{one.loader} refuses the folder: {one.refused}")


def judge(findings: Sequence[Finding]) -> None:
    """Fail if anything differs.

    Raises:
        GateFailed: With the first example, and the text that it is in.
    """
    for finding in findings:
        for one in finding.loaders:
            if one.different or one.not_restored:
                raise GateFailed(
                    f"{finding.text}: {one.loader}: {one.different:,} texts differ, {one.not_restored:,} are not "
                    f"restored; the first: {(one.example or '')[:80]!r}"
                )
        if finding.base_changed:
            said = "lines without an added piece are segmented otherwise than in the base"
            raise GateFailed(f"{finding.text}: {finding.base_changed:,} {said}")
