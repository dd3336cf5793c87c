"""The gate: it turns signals into verdicts. Signals first, verdicts second: a new threshold never recomputes a model.

A condition is a SQL expression over columns (``han_share < 0.3 and domain not in ('代码')``), so a recipe's thresholds
are data; it is parsed, and its columns are checked, before a row is read. Null is unknown and rejects nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from corpus.rows import VERDICT
from workbench.config import setting
from workbench.errors import ConfigError


@dataclass(frozen=True)
class Gate:
    """Reject documents for the first condition that holds, in the order of the recipe."""

    name: ClassVar[str] = "gate"
    writes: ClassVar[tuple[str, ...]] = tuple(VERDICT)

    stage: str = setting(doc="what the verdict is filed under: normalise, rules, exact, near, sensitive, decontaminate")
    reject: Mapping[str, str] = setting(doc="reason: condition (SQL over columns)")
    duplicate_of: str | None = setting(None, "the column that holds the id of the document it repeats")
    detail: tuple[str, ...] | None = setting(None, "columns told in the detail; by default those of the condition")

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns of all conditions."""
        names = {name for text in self.reject.values() for name in columns_of(text)} | set(self.detail or ())
        return tuple(sorted(names | ({self.duplicate_of} if self.duplicate_of else set())))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Fill stage, reason, detail and duplicate_of of the documents that a condition rejects."""
        reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
        for name, text in reversed(list(self.reject.items())):  # the first in the recipe is the outermost
            holds = condition(text).fill_null(value=False)
            shown = self.detail if self.detail is not None else columns_of(text)
            reason = pl.when(holds).then(pl.lit(name)).otherwise(reason)
            detail = pl.when(holds).then(_shown(shown, batch)).otherwise(detail)
        gone = pl.col("reason").is_not_null()
        other = pl.col(self.duplicate_of) if self.duplicate_of else pl.lit(None, pl.String)
        return batch.with_columns(reason.alias("reason"), detail.alias("detail")).with_columns(
            pl.when(gone).then(pl.lit(self.stage)).alias("stage"),
            pl.when(gone).then(other).alias("duplicate_of"),
        )


def condition(text: str) -> pl.Expr:
    """Parse a condition.

    Raises:
        ConfigError: If it is not a SQL expression.
    """
    try:
        return pl.sql_expr(text)
    except Exception as error:  # polars raises several kinds here, all of them about the text
        raise ConfigError(f"condition {text!r}", f"is not SQL ({error})", "write e.g. chars < 20") from error


def columns_of(text: str) -> tuple[str, ...]:
    """Return the columns that a condition names, in its order, each once."""
    return tuple(dict.fromkeys(condition(text).meta.root_names()))


def _shown(names: tuple[str, ...], batch: pl.DataFrame) -> pl.Expr:
    """Return ``name=value name=value``; what is unknown is not told."""
    parts: list[pl.Expr] = []
    for name in names:
        kind: Any = batch.schema[name]
        value = pl.col(name).round(4) if kind.is_float() else pl.col(name)
        parts.append(pl.concat_str(pl.lit(f"{name}="), value.cast(pl.String)))
    return pl.concat_str(parts, separator=" ", ignore_nulls=True) if parts else pl.lit("")
