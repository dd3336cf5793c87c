"""The data judged by what is learnt from it: an n-gram model of each bucket, tried on held-out reference text.

Character trigram models are estimated on as many characters of head, of middle and of tail, with the same share of each
domain, so that buckets are compared and not domains; documents are drawn by the hash of their id and count with their
first 1,000 characters. Each model predicts the same held-out documents: of the recipe's reference domains where it
names some, as many characters from each bucket, none of them in a sample. Fewer bits per character: more learnt of what
such text is like. All characters count, over one closed alphabet: what a model has not seen shares its <unk> evenly, so
nothing is gained by a small alphabet.

A bucket has two models, of disjoint samples: how far they part tells the error of the training samples, which is added
to that of the held-out documents (paired). A difference is believed beyond three standard errors.

It is a check, not proof: buckets are cut by the perplexity of a model of such reference text, so head is expected to
win; where it does not, the cut says little. Cost: 0.6 CPU-seconds, however large the corpus (it samples at most 64
parts of a bucket); ``corpus build --no-proxy`` leaves it out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText
from corpus.ngram import estimate
from corpus.ngram.counts import SPECIALS
from corpus.rows import BUCKETS
from corpus.sampling import keys_of
from corpus.spacing import spaced

ORDER = 3
MODELS = 2  # a bucket
TRAIN_CHARS = 100_000  # that each model learns from, at most; white space not counted
HELD_OUT_CHARS = 40_000  # from each bucket, at most; a fifth of the smallest bucket's reference text
DOCUMENT_CHARS = 1_000  # of a document: a few long ones would be the whole sample
LEAST_CHARS = 5_000  # a sample below which nothing is judged
DOMAINS = 50  # with a share of their own; the others share one
PARTS = 64  # parquet files of a bucket that are sampled, at most
BELIEVED = 3.0  # standard errors

Bits = NDArray[np.float64]
_Key = tuple[str, int]  # bucket, number of its model


class _Model(NamedTuple):
    scores: Bits  # log10 of the probability of each held-out document
    alphabet: CodePoints


def judge(kept: Sequence[Path], domains: Sequence[str]) -> dict[str, Any]:
    """Train on each bucket, score held-out text, compare.

    Args:
        kept: The parquet files of the kept documents, ``bucket=<name>/part-*.parquet``.
        domains: The reference domains of the recipe; empty: all.

    Returns:
        ``skipped`` with the reason; or order, models (a bucket), held_out (documents, chars, domains, reference),
        buckets (train_chars of a model, bits_per_char, perplexity, unseen_share), pairs (bucket, against, gain,
        standard_error, verdict) and order_holds. And cpu_seconds.
    """
    clock = time.process_time()
    found = _judge(kept, domains)
    return {**found, "cpu_seconds": round(time.process_time() - clock, 3)}


def _judge(kept: Sequence[Path], domains: Sequence[str]) -> dict[str, Any]:
    rows = _candidates(kept, domains)
    held = _held_out(rows)
    rest = rows.join(held, on="id", how="anti", maintain_order="left")
    sample = _matched(rest)
    sizes = {bucket: int(sample.filter(pl.col("bucket") == bucket)["chars"].sum()) for bucket in BUCKETS}
    least = min(sizes, key=lambda bucket: sizes[bucket])
    if sizes[least] < LEAST_CHARS or held.is_empty():
        found = f"{sizes[least]:,} characters of {least} can be matched with the other buckets, domain by domain"
        return {"skipped": f"{found}; {LEAST_CHARS:,} are needed"}
    texts = _texts(kept, pl.concat([held, sample.select(held.columns)]))
    held, sample = (part.join(texts, on="id", maintain_order="left") for part in (held, sample))
    tried, tokens = _beginnings(held["text"])
    samples = {
        (bucket, n): _beginnings(sample.filter((pl.col("bucket") == bucket) & (pl.col("model") == n))["text"])[0]
        for bucket in BUCKETS
        for n in range(MODELS)
    }
    train_chars = min(len(flat.chars) for flat in samples.values())
    models = {key: _learn(_cut(flat, train_chars), tried) for key, flat in samples.items()}
    bits, unseen = _bits(models, tried)
    chars = tokens.astype(np.float64) + 1  # and the end of the text, which is predicted too
    mean = {bucket: np.mean([bits[bucket, n] for n in range(MODELS)], axis=0) for bucket in BUCKETS}
    each = np.array([[bits[bucket, n].sum() / chars.sum() for n in range(MODELS)] for bucket in BUCKETS])
    training_error = float(np.sqrt(each.var(axis=1, ddof=1).mean() / MODELS))  # of a bucket's mean
    buckets = [
        {
            "bucket": bucket,
            "train_chars": train_chars,
            "bits_per_char": float(mean[bucket].sum() / chars.sum()),
            "perplexity": float(2 ** (mean[bucket].sum() / chars.sum())),
            "unseen_share": sum(unseen[bucket, n] for n in range(MODELS)) / MODELS / max(1, int(tokens.sum())),
        }
        for bucket in BUCKETS
    ]
    pairs = [compared(one, two, mean[one], mean[two], chars, training_error) for one, two in pairwise(BUCKETS)]
    return {
        "order": ORDER,
        "models": MODELS,
        "held_out": {
            "documents": len(held),
            "chars": int(tokens.sum()),
            "domains": sorted(held["domain"].unique().to_list()),
            "reference": bool(domains) and bool(held["reference"].all()),
        },
        "buckets": buckets,
        "pairs": pairs,
        "order_holds": all(pair["verdict"] == "better" for pair in pairs),
    }


def _candidates(kept: Sequence[Path], domains: Sequence[str]) -> pl.DataFrame:
    """Return the documents of the commonest language in the order of their hash: no texts yet.

    Columns id, bucket, domain, group (domain or "" for the rarer ones), reference, chars (at most those that count).
    """
    chosen: list[Path] = []
    for bucket in BUCKETS:
        files = [file for file in kept if file.parent.name == f"bucket={bucket}"]
        order = keys_of(pl.Series([file.name for file in files], dtype=pl.String)).arg_sort()
        chosen += [files[n] for n in order.head(PARTS).to_list()]
    schema = {"id": pl.String, "bucket": pl.String, "domain": pl.String, "lang": pl.String, "chars": pl.UInt32}
    parts = [pl.read_parquet(file, columns=list(schema), hive_partitioning=False) for file in chosen]
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    tongues = rows.group_by("lang").agg(pl.col("chars").cast(pl.Int64).sum()).sort("chars", "lang")["lang"]
    rows = rows.filter(pl.col("lang") == tongues[-1]) if len(tongues) else rows
    sizes = rows.group_by("domain").agg(pl.col("chars").cast(pl.Int64).sum()).sort("chars", "domain", descending=True)
    large = sizes["domain"].head(DOMAINS).implode()
    reference = pl.col("domain").is_in(list(domains)) if domains else pl.lit(value=True)
    rows = rows.with_columns(
        keys_of(rows["id"]),
        pl.col("chars").cast(pl.Int64).clip(upper_bound=DOCUMENT_CHARS),
        pl.when(pl.col("domain").is_in(large)).then(pl.col("domain")).otherwise(pl.lit("")).alias("group"),
        reference.fill_null(value=False).alias("reference"),
    )
    return rows.sort("key", "id").select("id", "bucket", "domain", "group", "reference", "chars")


def _held_out(rows: pl.DataFrame) -> pl.DataFrame:
    """Return as much reference text from each bucket; of all domains where the reference ones are not there."""
    some = rows.filter("reference")
    for pool in (some, rows):
        sizes = [int(pool.filter(pl.col("bucket") == bucket)["chars"].sum()) for bucket in BUCKETS]
        if min(sizes) >= LEAST_CHARS:
            each = min(HELD_OUT_CHARS, min(sizes) // 5)
            return pl.concat([_first(pool.filter(pl.col("bucket") == bucket), each) for bucket in BUCKETS])
    return rows.clear()


def _matched(rows: pl.DataFrame) -> pl.DataFrame:
    """Return as many characters of each domain from every bucket, dealt out to its models, in the order of the hash."""
    sizes = rows.group_by("group", "bucket").agg(pl.col("chars").sum())
    common = sizes.group_by("group").agg(pl.len().alias("buckets"), pl.col("chars").min())
    common = common.filter(pl.col("buckets") == len(BUCKETS)).drop("buckets")
    share = min(1.0, MODELS * TRAIN_CHARS / max(1, int(common["chars"].sum())))
    quota = common.select("group", (pl.col("chars") * share).alias("quota"))
    before = pl.col("chars").cum_sum().over("group", "bucket") - pl.col("chars")
    chosen = rows.join(quota, on="group", maintain_order="left").filter(before < pl.col("quota")).drop("quota")
    return chosen.with_columns((pl.int_range(pl.len()).over("group", "bucket") % MODELS).alias("model"))


def _first(rows: pl.DataFrame, chars: int) -> pl.DataFrame:
    """Return the first documents that hold at least so many characters together."""
    return rows.filter(pl.col("chars").cum_sum() - pl.col("chars") < chars)


def _texts(kept: Sequence[Path], rows: pl.DataFrame) -> pl.DataFrame:
    """Read the texts of some documents, from the parts of their buckets."""
    ids = rows["id"].implode()
    buckets = {f"bucket={bucket}" for bucket in rows["bucket"].unique()}
    files = [file for file in kept if file.parent.name in buckets]
    scan = pl.scan_parquet(files, hive_partitioning=False)
    return scan.filter(pl.col("id").is_in(ids)).select("id", "text").collect()


def _beginnings(texts: pl.Series) -> tuple[FlatText, NDArray[np.int64]]:
    """Return the characters of each text that count, without white space, and how many they are."""
    heads, tokens = spaced(FlatText.of(texts), DOCUMENT_CHARS)
    return FlatText.of(pl.Series(heads, dtype=pl.String).str.replace_all(" ", "", literal=True)), tokens


def _cut(flat: FlatText, chars: int) -> FlatText:
    """Return the beginning of a sample, so many characters: all models learn from as many."""
    ends = np.minimum(flat.offsets, chars)
    return FlatText(flat.chars[:chars], ends[: int(np.searchsorted(ends, chars)) + 1])


def _learn(sample: FlatText, tried: FlatText) -> _Model:
    """Estimate a model and score the held-out texts with it."""
    model = estimate([sample], order=ORDER)
    return _Model(model.query_table().score(tried)[0].astype(np.float64), model.vocabulary[SPECIALS:].copy())


def _bits(models: Mapping[_Key, _Model], tried: FlatText) -> tuple[dict[_Key, Bits], dict[_Key, int]]:
    """Return each held-out document's bits, and how many of all characters a model has not seen.

    A model gives all it has not seen the probability of <unk>; here they share it evenly, over the alphabet of all
    models and of the held-out text together, so that every model's probabilities add up to 1 over the same characters.
    """
    letters = np.unique(tried.chars)
    everything = np.unique(np.concatenate([letters, *(one.alphabet for one in models.values())]))
    bits, unseen = {}, {}
    for key, model in models.items():
        lacking = np.zeros(0x110000, np.int64)
        lacking[np.setdiff1d(everything, model.alphabet)] = 1
        ends = np.concatenate([[0], np.cumsum(lacking[tried.chars])])[tried.offsets]
        counts = np.diff(ends)
        bits[key] = -model.scores / math.log10(2) + counts * math.log2(max(1, int(lacking.sum())))
        unseen[key] = int(counts.sum())
    return bits, unseen


def compared(one: str, two: str, bits: Bits, other: Bits, chars: Bits, training_error: float = 0.0) -> dict[str, Any]:
    """Compare two models on the same documents.

    Args:
        one: The bucket that is expected to do better.
        two: The other.
        bits: Bits of each document by the first, shape (documents,).
        other: By the second.
        chars: Characters of each.
        training_error: The standard error of either's bits per character that comes from its training samples.

    Returns:
        ``gain`` (bits per character that the first saves), its ``standard_error`` (of a ratio of sums, by document, and
        of both buckets' training), and ``verdict``: better, worse, or no difference.
    """
    gain = float((other - bits).sum() / chars.sum())
    residual = (other - bits) - gain * chars
    n = len(chars)
    held_out_error = np.sqrt((residual**2).sum() * n / max(1, n - 1)) / chars.sum()
    error = float(np.sqrt(held_out_error**2 + 2 * training_error**2))
    verdict = "no difference" if abs(gain) <= BELIEVED * error else "better" if gain > 0 else "worse"
    return {"bucket": one, "against": two, "gain": gain, "standard_error": error, "verdict": verdict}
