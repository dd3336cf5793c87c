"""MB of raw text per CPU-second of every stage of zh-web, of near-duplicate removal, and of the whole build.

The text is the embedded default (People's Daily 1998 and reviews, 19 MB of WuDao records), or the WuDao folder that
``YANMO_BENCH_WUDAO`` names.
The peer in the same run is datasketch's own MinHash, with the same shingles and hash.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import polars as pl
from datasketch import MinHash

from corpus.build import Input, build
from corpus.flat import FlatText
from corpus.minhash import shingle_hash, signatures
from corpus.recipe import load_recipe
from corpus.sample import write_sample
from corpus.sources import SOURCES
from corpus.stages.base import Preparing
from workbench.console import table
from workbench.manifest import read

from .clock import best, measured


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = os.environ.get("YANMO_BENCH_WUDAO")
        src = Path(given) if given else Path(folder) / "wudao"
        if not given:
            write_sample(src)
        batch = _load(src)
        size = batch["text"].str.len_bytes().sum() / 1e6
        recipe = load_recipe("zh-web")
        rows = [("decode to code points", size / best(lambda: FlatText.of(batch["text"])), "")]
        marked = batch
        for step in recipe.of_pass(0):
            stage = step.stage
            seconds = best(lambda stage=stage, marked=marked: stage.mark(marked, Path()))  # type: ignore[misc]
            rows.append((step.label, size / seconds, ""))
            marked = stage.mark(marked, Path())
            if "stage" in marked.columns:
                marked = marked.filter(pl.col("stage").is_null()).drop("stage", "reason", "detail", "duplicate_of")
        rows.append(("minhash signatures", size / best(lambda: signatures(FlatText.of(batch["text"]))), ""))
        some = batch["text"].head(300).to_list()
        ours = best(lambda: signatures(FlatText.of(batch["text"].head(300))))
        theirs = best(lambda: [_datasketch(text) for text in some], times=1)
        rows.append(("  against datasketch", theirs / ours, "times as fast, same signatures"))
        with measured() as seconds:
            build([Input("wudao", src)], recipe, Path(folder) / "out", workers=1)
        raw = sum(file.stat().st_size for file in SOURCES["wudao"].files(src)) / 1e6
        rows.append(("whole build, one process", raw / seconds.cpu, "raw MB, models and report included"))
        for entry in read(Path(folder) / "out", "corpus", "").steps:
            step = next((s for s in recipe.steps if s.label == entry["name"]), None)
            if step and (isinstance(step.stage, Preparing) or step.stage.name == "minhash"):
                rows.append((f"  {entry['name']}", raw / max(1e-3, entry["cpu_seconds"]), "raw MB, within the build"))
        table(("corpus", "MB per CPU-second", "note"), rows, f"{size:.0f} MB of text")


def _load(src: Path) -> pl.DataFrame:
    source = SOURCES["wudao"]
    chunks = [chunk for file in source.files(src) for span in source.spans(file) for chunk in source.read(span)]
    columns = {"id": "keys", "text": "texts", "title": "titles", "domain": "domains"}
    rows = {name: [value for chunk in chunks for value in getattr(chunk, field)] for name, field in columns.items()}
    return pl.DataFrame(rows).with_row_index("doc").with_columns(pl.col("doc").cast(pl.UInt64), source=pl.lit("wudao"))


def _datasketch(text: str) -> MinHash:
    sketch = MinHash(num_perm=128, scheme="affine32", hashfunc=shingle_hash)
    sketch.update_batch([text[i : i + 5].encode() for i in range(max(1, len(text) - 4))])
    return sketch
