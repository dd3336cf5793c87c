"""What the written shards hold, added up: amounts by source, domain, bucket and verdict, and a few examples of each.

A worker that writes a shard has its texts in memory, so it counts them there, and the report need read no text again.
Examples are the documents with the lowest hash of their id: the same ones on every run, whatever the shards.
Cost: 2 GB of text per CPU-second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import polars as pl

from corpus.ledger import Amount, amounts
from corpus.sampling import keys_of

EXAMPLES = 3
EXAMPLE_CHARS = 240
SHOWN = ("id", "title", "domain", "detail", "duplicate_of", "perplexity", "quality")

Key = tuple[str, str, str | None, str | None, str | None]  # source, domain, bucket, stage, reason
Group = tuple[str | None, str | None, str | None]  # bucket, stage, reason
FIELDS = ("source", "domain", "bucket", "stage", "reason")


@dataclass
class Tally:
    """Sums over shards; adding is commutative, so the order of the shards does not matter."""

    amounts: dict[Key, Amount] = field(default_factory=dict)
    examples: dict[Group, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Tally:
        """Tally documents of one shard.

        Args:
            rows: Of ``rejected`` or of one bucket of ``kept``, with a corpus's columns.
        """
        if rows.is_empty():
            return cls()
        kept = "stage" not in rows.columns
        nothing = pl.lit(None, pl.String)
        named = rows.with_columns(
            pl.col("domain").fill_null(""),
            *((nothing.alias("stage"), nothing.alias("reason")) if kept else (nothing.alias("bucket"),)),
        )
        sums = named.group_by(FIELDS).agg(amounts(rows.columns))
        width = len(FIELDS)
        out = cls({tuple(row[:width]): Amount(*row[width:]) for row in sums.iter_rows()})
        shown = named.select(*FIELDS, *(name for name in SHOWN if name in rows.columns and name not in FIELDS))
        lowest = shown.with_row_index("row").with_columns(keys_of(rows["id"])).sort("key", "id")
        lowest = lowest.group_by("bucket", "stage", "reason", maintain_order=True).head(EXAMPLES)
        texts = rows["text"].gather(lowest["row"]).str.slice(0, EXAMPLE_CHARS)
        for row in lowest.with_columns(texts.alias("text")).drop("row").iter_rows(named=True):
            group = (row.pop("bucket"), row.pop("stage"), row.pop("reason"))
            out.examples.setdefault(group, []).append(row)
        return out

    def add(self, other: Tally) -> None:
        """Add another shard's."""
        for key, amount in other.amounts.items():
            self.amounts[key] = self.amounts.get(key, Amount()) + amount
        for group, rows in other.examples.items():
            both = [*self.examples.get(group, []), *rows]
            self.examples[group] = sorted(both, key=lambda row: (row["key"], row["id"]))[:EXAMPLES]

    def by(
        self, names: Sequence[str], where: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> dict[Any, Amount]:
        """Return the amounts summed by some of ``FIELDS``.

        Args:
            names: The fields to keep.
            where: Which keys count, given as a mapping of ``FIELDS``.
        """
        out: dict[Any, Amount] = {}
        for key, amount in self.amounts.items():
            named = dict(zip(FIELDS, key, strict=True))
            if where(named):
                short = tuple(named[name] for name in names)
                out[short] = out.get(short, Amount()) + amount
        return out

    def shown(self, group: Group) -> list[dict[str, Any]]:
        """Return the examples of a bucket (bucket, None, None) or a reason (None, stage, reason)."""
        return [{k: v for k, v in row.items() if k != "key"} for row in self.examples.get(group, [])]


def plain(amount: Amount, *, tokens: bool) -> dict[str, int]:
    """Return an amount as a mapping, with tokens only if they were counted."""
    values = asdict(amount)
    return {f.name: values[f.name] for f in fields(Amount) if tokens or f.name != "tokens"}
