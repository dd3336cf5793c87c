"""MB of raw text per CPU-second of every stage of zh-web, of near-duplicate removal, and of the whole build.

The text is the embedded default (People's Daily 1998 and reviews, 19 MB of WuDao records), or the WuDao folder that
``YANMO_BENCH_WUDAO`` names.
The peer in the same run is datasketch's own MinHash, with the same shingles and hash.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
from datasketch import MinHash

from corpus.flat import FlatText
from corpus.minhash import shingle_hash, signatures
from corpus.recipe import load_recipe
from corpus.sample import write_sample
from corpus.sources import SOURCES
from workbench.console import table
from workbench.manifest import read

from .clock import best

MODELS = ("perplexity", "quality", "bucket", "sensitive", "sensitive_judge", "gate-sensitive")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = os.environ.get("YANMO_BENCH_WUDAO")
        src = Path(given) if given else Path(folder) / "wudao"
        if not given:
            write_sample(src)
        batch = _load(src)
        size = batch["text"].str.len_bytes().sum() / 1e6
        recipe = load_recipe("zh-web")
        there, back = batch["text"], batch["text"].reverse()  # in turns: the last column decoded is kept
        rows = [("decode to code points", 2 * size / best(lambda: (FlatText.of(there), FlatText.of(back))), "")]
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
        raw = sum(file.stat().st_size for file in SOURCES["wudao"].files(src)) / 1e6
        rows += _whole_build(src, Path(folder) / "out", raw)
    table(("corpus", "MB per CPU-second", "note"), rows, f"{size:.0f} MB of text")


def _whole_build(src: Path, out: Path, raw: float) -> list[tuple[str, float, str]]:
    """Build with one worker, by the command, and divide the CPU time that it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "corpus", "build", "--src", f"wudao={src}", "--out", str(out), "--workers", "1"]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = {entry["name"]: entry["cpu_seconds"] for entry in read(out, "corpus", "").steps}

    def spent_on(*names: str) -> float:
        return sum(spent for name, spent in seconds.items() if name.partition("-")[2] in names)

    steps, models, near = sum(seconds.values()), spent_on(*MODELS), spent_on("minhash", "near")
    return [
        ("whole build, one worker", raw / cpu, "raw MB; all the process takes, start, report and parquet included"),
        ("  all its steps", raw / steps, "raw MB; reading, estimating and training included"),
        ("  those without a model", raw / (steps - models), f"raw MB; without {', '.join(MODELS)}"),
        ("  near-duplicates", raw / near, "raw MB; minhash and near"),
        *((f"  {name}", raw / max(1e-3, spent), "raw MB, within the build") for name, spent in seconds.items()),
    ]


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
