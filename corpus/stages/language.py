"""Name the language: zh, zh-Hant, en, code or other, and how sure that is.

With ``model`` fastText's language identification is used (lid.176.bin or .ftz, which its users bring): its ``zh`` is
told apart by script, its ``en`` is en, every other label other; the score is its probability. Without a model the
script decides: a hanzi carries about as much as four letters, and the score is the winner's share. Source code is no
natural language and is declared by the recipe (``fixed: code``).

Cost: by script nothing to speak of; with lid.176.ftz 30 MB of whole text per CPU-second on long documents, since the
first ``read_chars`` characters alone are read. (Joulin et al. 2016; Wenzek et al. 2020, CCNet, section 3.2.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from corpus import classifier
from workbench.config import at_least, between, setting
from workbench.errors import InputError


@dataclass(frozen=True)
class Language:
    """Write ``lang`` and ``lang_score``."""

    name: ClassVar[str] = "language"
    reads: ClassVar[tuple[str, ...]] = ("text", "chars", "han_share", "latin_share", "traditional_share")
    writes: ClassVar[tuple[str, ...]] = ("lang", "lang_score")

    model: Path | None = setting(None, "a fastText model of lid.176's labels; none: by script")
    fixed: Literal["zh", "zh-Hant", "en", "code", "other"] | None = setting(None, "the language, where it is known")
    traditional_share: float = setting(
        0.12, "share of traditional-only characters among the hanzi from which it is zh-Hant", check=between(0, 1)
    )
    read_chars: int = setting(1000, "characters of a document that the model reads", check=at_least(10))

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Add ``lang`` and ``lang_score``."""
        if self.fixed is not None:
            return batch.with_columns(pl.lit(self.fixed).alias("lang"), pl.lit(1.0, pl.Float32).alias("lang_score"))
        few = (pl.col("han_share") + pl.col("latin_share")) * pl.col("chars") < 2.5  # of letters: no language
        script = pl.when(pl.col("traditional_share") > self.traditional_share).then(pl.lit("zh-Hant"))
        chinese = script.otherwise(pl.lit("zh"))
        if self.model is None:
            han = pl.col("han_share") * 4 / (pl.col("han_share") * 4 + pl.col("latin_share"))
            name = pl.when(han >= 0.5).then(chinese).otherwise(pl.lit("en"))
            score = pl.max_horizontal(han, 1 - han)
        else:
            labels, sure = identify(load_identifier(str(self.model)), batch["text"], self.read_chars)
            name = (
                pl.when(labels == "zh").then(chinese).when(labels == "en").then(pl.lit("en")).otherwise(pl.lit("other"))
            )
            score = pl.lit(pl.Series(sure))
        return batch.with_columns(
            pl.when(few).then(pl.lit("other")).otherwise(name).alias("lang"),
            pl.when(few).then(0.0).otherwise(score).cast(pl.Float32).alias("lang_score"),
        )


def identify(model: Any, texts: pl.Series, read_chars: int) -> tuple[pl.Series, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return each text's most probable label, without its prefix, and the probability."""
    heads = texts.fill_null("").str.slice(0, read_chars).str.replace_all("\n", " ", literal=True).to_list()
    if not heads:
        return pl.Series("label", [], dtype=pl.String), np.empty(0, np.float32)
    names, probabilities = model.predict(heads, k=1)
    labels = [str(name[0]).removeprefix("__label__") if len(name) else "" for name in names]
    scores = np.array([float(p[0]) if len(p) else 0.0 for p in probabilities], np.float32)
    return pl.Series("label", labels, dtype=pl.String), np.clip(scores, 0, 1)


@lru_cache(maxsize=2)
def load_identifier(path: str) -> Any:
    """Return a fastText language model.

    Raises:
        InputError: If the file is not there, is no model, or has no labels ``zh`` and ``en``.
    """
    model = classifier.load_model(
        path,
        missing="download lid.176.ftz (fasttext.cc), or leave the model out",
        other="give lid.176.bin or lid.176.ftz",
    )
    if not {"__label__zh", "__label__en"} <= set(model.get_labels()):
        raise InputError(path, "does not tell zh from en", "give lid.176.bin or lid.176.ftz")
    return model
