"""Rows that say what another row says, and rows that hold a benchmark's item, told apart from those to train on.

A row is a near-duplicate of an earlier one if its prompt and each of its answers resemble that one's (Jaccard
similarity of 5-character shingles, proposed by MinHash bands of the whole text, as in ``corpus.stages.near``): another
answer to a known question stays, and so does the same answer to another question. The pairs of one ranked list are one
record and never duplicates of each other. Contamination is ``corpus.stages.decontaminate`` over prompt and answers.

Cost: 15 MB of text per CPU-second, and the texts of all rows in memory.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import FlatText
from corpus.instructions.rows import Conversation, Preference, Prompt, Rated, Row, record_of
from corpus.minhash import band_keys, jaccard, shingle_sets, signatures
from corpus.sources.benchmarks import read_benchmarks
from corpus.stages.decontaminate import Decontaminate, index_items
from corpus.stages.near import cluster, propose_pairs

MIN_JACCARD = 0.8
BANDS, ROWS = 18, 7  # 98.5 % of the pairs at similarity 0.8 are proposed


@dataclass(frozen=True)
class Removed:
    """A row that is not trained on, and why."""

    id: str
    source: str
    reason: str  # duplicate, contaminated
    detail: str
    of: str  # the row it repeats, or the benchmark's item


@dataclass
class Cleaned:
    """Rows that stay, in their order, and those that go."""

    kept: list[Row] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # of those kept, among the given rows
    removed: list[Removed] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many rows went, by reason."""
        return dict(Counter(row.reason for row in self.removed))


def clean(rows: Iterable[Row], *, benchmarks: Path | None = None, min_jaccard: float | None = MIN_JACCARD) -> Cleaned:
    """Take out near-duplicates and contaminated rows.

    Args:
        rows: Rows of any kind.
        benchmarks: The folder with one folder a benchmark; none: contamination is not looked for.
        min_jaccard: The similarity from which two texts are one; none: duplicates are not looked for.

    Raises:
        InputError: If the folder holds no benchmark.
    """
    given = list(rows)
    texts = [parts_of(row) for row in given]
    found: dict[int, Removed] = {}
    if benchmarks is not None:
        found |= _contaminated(given, texts, benchmarks)
    if min_jaccard is not None:
        left = [n for n in range(len(given)) if n not in found]
        found |= _duplicates(given, texts, left, min_jaccard)
    out = Cleaned()
    for number, row in enumerate(given):
        if number in found:
            out.removed.append(found[number])
        else:
            out.kept.append(row)
            out.places.append(number)
    return out


def parts_of(row: Row) -> tuple[str, str, str]:
    """Return a row's prompt, its answer, and the rejected answer of a pair; empty where there is none."""
    if isinstance(row, Conversation):
        answering = ("assistant", "call")
        asked = "\n".join(turn.content for turn in row.turns if turn.role not in answering)
        return asked, "\n".join(turn.content for turn in row.turns if turn.role in answering), ""
    prompt = "\n".join(turn.content for turn in (row.turns if isinstance(row, Prompt) else row.prompt))
    if isinstance(row, Preference):
        return prompt, row.chosen, row.rejected
    return prompt, row.answer if isinstance(row, Rated) else "", ""


def _contaminated(given: Sequence[Row], texts: Sequence[tuple[str, str, str]], folder: Path) -> dict[int, Removed]:
    items = list(read_benchmarks(folder))
    with tempfile.TemporaryDirectory() as desk:
        index_items([item.id for item in items], [item.question for item in items], Path(desk))
        batch = pl.DataFrame({"text": ["\n".join(parts) for parts in texts]}, schema={"text": pl.String})
        marked = Decontaminate(benchmarks=folder).mark(batch, Path(desk))
    out = {}
    for number, (item, share) in enumerate(marked.select("benchmark_item", "benchmark_overlap").iter_rows()):
        if item is not None:
            detail = f"{share:.0%} of the item's n-grams"
            out[number] = Removed(given[number].id, given[number].source, "contaminated", detail, item)
    return out


def _duplicates(
    given: Sequence[Row], texts: Sequence[tuple[str, str, str]], left: Sequence[int], min_jaccard: float
) -> dict[int, Removed]:
    whole = FlatText.of(pl.Series("text", ["\n".join(texts[n]) for n in left], dtype=pl.String))
    keys = band_keys(signatures(whole), BANDS, ROWS)
    docs = np.repeat(np.arange(len(left), dtype=np.uint64), BANDS)
    met = pl.DataFrame({"key": keys.ravel(), "doc": docs}).filter(pl.col("key").is_duplicated()).sort("key", "doc")
    pairs = propose_pairs(met).astype(np.int64)
    records = _records([given[n] for n in left])
    if len(pairs):
        pairs = pairs[records[pairs[:, 0]] != records[pairs[:, 1]]]
        for part in range(3):
            pairs = pairs[_alike(pairs, [texts[n][part] for n in left], min_jaccard)]
    hashes, offsets = shingle_sets(whole)
    parents, similarity = cluster(pairs[:, 0], pairs[:, 1], hashes, offsets, 0.0)
    out = {}
    for doc in np.flatnonzero(parents >= 0).tolist():
        row, other = given[left[doc]], given[left[int(parents[doc])]]
        detail = f"similarity {similarity[doc]:.2f}"
        out[left[doc]] = Removed(row.id, row.source, "duplicate", detail, f"{other.source}: {other.id}")
    return out


def _records(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Number the records that rows came from: neighbours of one place are one record, unless a row comes again."""
    out, last, ids = np.empty(len(rows), np.int64), ("", ""), set[str]()
    number = -1
    for n, row in enumerate(rows):
        here = (row.source, record_of(row.id))
        if here != last or row.id in ids:
            number, last, ids = number + 1, here, set()
        ids.add(row.id)
        out[n] = number
    return out


def _alike(pairs: NDArray[np.int64], texts: list[str], min_jaccard: float) -> NDArray[np.bool_]:
    """Tell which pairs resemble each other in one part of their text."""
    hashes, offsets = shingle_sets(FlatText.of(pl.Series("text", texts, dtype=pl.String)))
    return np.array([jaccard(hashes, offsets, a, b) >= min_jaccard for a, b in pairs.tolist()], np.bool_)
