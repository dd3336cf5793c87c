"""The dataset card: the README.md by which ``datasets.load_dataset`` and a hub know the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(report: Mapping[str, Any]) -> str:
    """Return the card of a measured corpus.

    Args:
        report: What ``measure`` returned.
    """
    results = report["results"]
    sources = "\n".join(
        f"| {r['source']} | {r['kept']:,} | {r['rejected']:,} | {r['kept_chars']:,} |" for r in report["by_source"]
    )
    steps = "\n".join(f"| {s['name']} | {s['rows_in']:,} | {s['rows_out']:,} |" for s in report["steps"])
    return f"""---
language:
- zh
configs:
- config_name: default
  data_files:
  - split: train
    path: kept/*/*.parquet
- config_name: rejected
  data_files:
  - split: train
    path: rejected/*.parquet
---

# Corpus

Built by [yanmo](https://pypi.org/project/yanmo/) with recipe `{report["recipe"]}` from {results["records"]:,} records:
{results["kept"]:,} kept, {results["rejected"]:,} rejected (each with stage, reason
and detail), {results["unreadable"]:,} unreadable.

| source | kept | rejected | characters kept |
|---|---:|---:|---:|
{sources}

| step | rows in | rows out |
|---|---:|---:|
{steps}

`manifest.json` has the whole recipe, the inputs' hashes and every file's sha256; `report.html` shows the rest.
"""
