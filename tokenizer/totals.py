"""What came of a pack: totals of each split, its ledger, and the tables that show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizer.units import LEDGER
from workbench.console import table

AMOUNTS = ("documents", "tokens", "bytes", "distinct_documents", "distinct_tokens")


def of_split(
    split: str, units: Sequence[dict[str, Any]], shards: Sequence[dict[str, Any]], seq_len: int
) -> dict[str, Any]:
    """Return a split's numbers: what is laid out, what the packing cost, and the ledger of what came from where.

    Args:
        split: Which split.
        units: Accounts of all units.
        shards: Accounts of all shards, of this split and of others.
        seq_len: Ids in a sequence.
    """
    rows = [row for account in units for row in account["ledger"][split]]
    sums = {name: sum(row[name] for row in rows) for name in AMOUNTS}
    ledger: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in LEDGER)
        total = ledger.setdefault(key, {**dict(zip(LEDGER, key, strict=True)), **dict.fromkeys(AMOUNTS, 0)})
        for name in AMOUNTS:
            total[name] += row[name]
    for total in ledger.values():
        total["epochs"] = total["tokens"] / max(1, total["distinct_tokens"])
    ours = [shard for shard in shards if shard["split"] == split]
    sequences = sum(entry.get("sequences", 0) for shard in ours for entry in shard["files"])
    padding = sequences * seq_len - sums["tokens"]
    return {
        "sequences": sequences,
        **sums,
        "padding": padding,
        "waste": padding / max(1, sequences * seq_len),  # share of the ids that are padding
        "documents_cut": sum(shard["documents_cut"] for shard in ours),
        "documents_cut_end_to_end": sum(shard["documents_cut_end_to_end"] for shard in ours),
        "ledger": [ledger[key] for key in sorted(ledger)],
    }


def print_summary(results: dict[str, Any]) -> None:
    """Print a table of the splits, what the packing costs beside concatenation, and the ledger, on stdout."""
    names = ("documents", "tokens", "bytes", "sequences", "padding")
    rows = [(split, *(about[name] for name in names)) for split, about in results["splits"].items()]
    table(("split", *names), rows)
    rows = []
    for split, about in results["splits"].items():
        of = max(1, about["documents"])
        if results["packing"] != "concat":
            rows.append(
                (split, results["packing"], about["sequences"], *_cost(about["waste"], about["documents_cut"], of))
            )
        sequences = -(-about["tokens"] // results["seq_len"])
        waste = 1 - about["tokens"] / max(1, sequences * results["seq_len"])
        rows.append((split, "concat", sequences, *_cost(waste, about["documents_cut_end_to_end"], of)))
    table(("split", "packing", "sequences", "waste (padding)", "documents cut", "of all"), rows)
    rows = [
        (*(row[name] for name in LEDGER), split, row["documents"], row["tokens"], _ratio(row), row["epochs"])
        for split, about in results["splits"].items()
        for row in about["ledger"]
    ]
    table((*LEDGER, "split", "documents", "tokens", "bytes per token", "epochs"), rows)


def _cost(waste: float, cut: int, documents: int) -> tuple[str, int, str]:
    return f"{waste:.2%}", cut, f"{cut / documents:.1%}"


def _ratio(row: dict[str, Any]) -> float:
    return float(row["bytes"] / max(1, row["tokens"]))
