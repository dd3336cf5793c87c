"""What a stage would read of data: forms, counts, lengths, faults, duplicates, samples with what bears loss.

Nothing is written. All rows are read, encoded (3 MB a CPU-second) and compared for near-duplicates; they are held in
memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpus.instructions.gather import gather
from corpus.instructions.rows import Axis, Faulty, Preference, Rated, Row
from tokenizer.chat.encode import ChatTokenizer, Template, find_template, load, seam
from tokenizer.chat.pieces import NoPlace, Piece
from tokenizer.chat.views import View, pieces_of, shown, views_of
from tokenizer.chat.window import fit
from workbench.errors import InputError

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
WINDOWS = (512, 1024, 2048, 4096)
WITHOUT = "ziya"  # the template by which samples are shown if there is no tokenizer


def survey(
    data: Sequence[str],
    stage: str,
    *,
    tokenizer: Path | None = None,
    template: str | None = None,
    samples: int = 5,
    window: int | None = None,
    axis: Axis | None = None,
    hub: str | None = None,
    benchmarks: Path | None = None,
) -> dict[str, Any]:
    """Return what a stage would read of data.

    Args:
        data: Paths and short names, with weights.
        stage: The stage.
        tokenizer: A tokenizer's folder; none: lengths are in characters.
        template: A chat template's name; none: the tokenizer's own.
        samples: How many rows are rendered.
        window: The length beyond which rows are counted and shortened; none: ``WINDOWS`` are counted.
        axis: What preferences were judged by, where the data do not say.
        hub: The hub that names come from.
        benchmarks: The folder of the benchmarks.

    Raises:
        InputError: If there is nothing to read, or no row is left.
    """
    chat = None if tokenizer is None else load(tokenizer)
    style = find_template(template or (WITHOUT if chat is None else None), chat)
    gathered = gather(data, stage, axis=axis, hub=hub, benchmarks=benchmarks)
    faulty, warnings = gathered.faulty, gathered.warnings
    fitting: list[Row] = []
    sizes: list[tuple[int, ...]] = []  # of the sequences of each row
    for row, found in _measured(gathered.rows, style, chat):
        if isinstance(found, Faulty):
            faulty.append(found)
        else:
            fitting.append(row)
            sizes.append(found)
    if not fitting:
        raise InputError(", ".join(data), f"no row is left of {len(faulty)}", f"the first: {faulty[0].cause}")
    lengths = np.array([size for one in sizes for size in one], np.int64)
    long = [] if window is None else [row for row, one in zip(fitting, sizes, strict=True) if max(one) > window]
    if chat is not None:
        lacking = [mark for mark in style.marks if chat.id_of(mark) is None]
        if lacking:
            what = f"{', '.join(lacking)} is no token of this tokenizer"
            warnings.append(
                f"template {style.name}: {what}, so it is cut like any text; add it, or take another template"
            )
        if (leak := seam(chat, style)) is not None:
            warnings.append(f"template {style.name}: {_leak(leak)}")
    step = max(1, len(fitting) // max(1, samples))
    return {
        "stage": stage,
        "template": style.name,
        "sets": [vars(one) for one in gathered.sets],
        "rows": len(fitting),  # without what is removed
        "faulty": [{"place": one.place, "cause": one.cause} for one in faulty],
        "labels": _labels(fitting),
        "unit": "characters" if chat is None else "tokens",
        "lengths": {f"{q:.0%}": int(value) for q, value in zip(QUANTILES, _quantiles(lengths), strict=True)},
        "longer": {str(size): int((lengths > size).sum()) for size in (WINDOWS if window is None else (window,))},
        "sequences": len(lengths),
        "fitted": None if chat is None or window is None else _fitted(chat, long, style, window, len(fitting)),
        "removed": [vars(one) for one in gathered.removed],
        "contamination": "looked for" if benchmarks else "not looked for (--benchmarks DIR)",
        "warnings": warnings,
        "samples": [
            {"id": row.id, "source": row.source, "view": view.name, "pieces": _shown(view, style, chat)}
            for row in fitting[: step * samples : step]
            for view in views_of(row)
        ],
    }


def _measured(
    rows: Sequence[Row], style: Template, chat: ChatTokenizer | None
) -> Iterator[tuple[Row, tuple[int, ...] | Faulty]]:
    """Yield each row with the lengths of its sequences, in tokens or characters, or why the template refuses it."""
    if chat is not None:
        for row, one in zip(rows, fit(chat, rows, style), strict=True):
            yield row, one if isinstance(one, Faulty) else tuple(len(coded.ids) for coded in one.encoded)
        return
    for row in rows:
        try:
            several = [pieces_of(view, style, None) for view in views_of(row)]
        except NoPlace as error:
            yield row, Faulty(row.id, str(error))
        else:
            yield row, tuple(sum(len(piece.text) for piece in pieces) for pieces in several)


def _fitted(chat: ChatTokenizer, long: Sequence[Row], style: Template, window: int, rows: int) -> dict[str, int]:
    """Count what becomes of rows that are longer than the window, by the rule of ``tokenizer.chat.window``."""
    lost = sum(isinstance(one, Faulty) for one in fit(chat, long, style, window))
    return {"whole": rows - len(long), "shortened": len(long) - lost, "too long": lost}


def _shown(view: View, style: Template, chat: ChatTokenizer | None) -> list[Piece]:
    return pieces_of(view, style, None) if chat is None else shown(view, style, chat)


def _quantiles(lengths: Any) -> list[float]:
    return [float(value) for value in np.quantile(lengths, QUANTILES, method="lower")]


def _leak(answer: str) -> str:
    return f"the answer {answer!r} shares a token with its prompt, which has other ids without it"


def _labels(rows: Sequence[Row]) -> dict[str, int]:
    """Count what preferences are judged by, or how ratings fell."""
    said: list[str] = [row.axis or "no axis" for row in rows if isinstance(row, Preference)]
    said += ["good" if row.good else "bad" for row in rows if isinstance(row, Rated)]
    return dict(Counter(said))
