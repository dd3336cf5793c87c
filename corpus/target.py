"""What is missing to a target: ``corpus plan --target 125B``, from the ledgers of built corpora.

The yield of a source is effective / raw, in tokens where every corpus counted them with one tokenizer, else in
characters. What is missing is told per source, and as raw text (UTF-8, gigabytes of 10⁹) at that yield; and the epochs
over what there is, if nothing more came. It is arithmetic on what was measured: more of a source repeats more of
itself, so its yield falls as it grows, and two corpora may hold the same documents. Cost: nothing; reports are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.ledger import Amount
from corpus.rows import MADE_BY
from workbench import manifest
from workbench.command import did_you_mean
from workbench.console import emit_json, note, table
from workbench.errors import ConfigError, InputError
from workbench.files import read_json

DEFAULT = Path("data/corpus")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12, "万": 10**4, "亿": 10**8}


@dataclass
class Stock:
    """What built corpora hold of one source."""

    raw: Amount = field(default_factory=Amount)
    effective: Amount = field(default_factory=Amount)


@dataclass(frozen=True)
class Stocks:
    """What several corpora hold."""

    unit: str  # tokens | chars
    tokenizer: str | None
    sources: Mapping[str, Stock]


def parse_amount(word: str) -> int:
    """Return a number such as 125B, 1.5T, 20M, 3e9, 1250亿.

    Raises:
        ConfigError: If it is none, or not above zero.
    """
    found = re.fullmatch(r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?)\s*([KkMmBbGgTt万亿]?)", word.strip())
    value = round(float(re.sub("[_,]", "", found[1])) * _UNITS[found[2].upper()]) if found else 0
    if value <= 0:
        raise ConfigError(f"--target {word}", "is no amount", "write a number with K, M, B or T, as in 125B or 1.5T")
    return value


def parse_shares(words: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Return the share of each named source.

    Args:
        words: ``name=share``, the share between 0 and 1.
        known: Names that a source can have.

    Raises:
        ConfigError: For an unknown name, one given twice, a share that is none, or shares of more than 1 together.
    """
    shares: dict[str, float] = {}
    for word in words:
        name, equals, number = word.partition("=")
        place = f"--share {word}"
        if not equals:
            raise ConfigError(place, "is not name=share", "write e.g. --share wudao=0.5")
        if name not in known:
            raise ConfigError(place, "no such source", did_you_mean(name, known))
        if name in shares:
            raise ConfigError(place, "is given twice", "keep one of them")
        try:
            shares[name] = float(number)
        except ValueError:
            raise ConfigError(place, f"{number!r} is no number", "write a share between 0 and 1") from None
        if not 0 <= shares[name] <= 1:
            raise ConfigError(place, "lies outside of 0 to 1", "write a share between 0 and 1")
    if sum(shares.values()) > 1 + 1e-9:
        raise ConfigError("--share", f"the shares add up to {sum(shares.values()):g}", "let them add up to 1 at most")
    return shares


def read_stocks(corpora: Sequence[Path]) -> Stocks:
    """Add up the ledgers of built corpora.

    Raises:
        InputError: If one is no complete corpus, has no ledger, is named twice, or counted with another tokenizer.
    """
    sources: dict[str, Stock] = {}
    counted: dict[str, tuple[Path, str]] = {}  # by sha256 of the tokenizer: a corpus, the tokenizer's file
    uncounted: list[Path] = []
    seen: set[str] = set()
    for corpus in corpora:
        made = manifest.read(corpus, "corpus", MADE_BY)
        if made.fingerprint in seen:
            raise InputError(corpus, "is the same corpus as one before it", "name each corpus once")
        seen.add(made.fingerprint)
        ledger = read_json(corpus / "report.json").get("ledger")
        if ledger is None:
            raise InputError(corpus, "its report has no ledger", "build it again with --overwrite")
        if ledger["tokenizer"] is None:
            uncounted.append(corpus)
        else:
            digests = [entry["sha256"] for entry in made.inputs if entry["path"] == ledger["tokenizer"]]
            counted.setdefault(digests[0] if digests else ledger["tokenizer"], (corpus, ledger["tokenizer"]))
        for row in ledger["rows"]:
            stock = sources.setdefault(row["source"], Stock())
            if row["kind"] in ("raw", "effective"):
                amount = Amount(**{name: row.get(name, 0) for name in ("documents", "chars", "bytes", "tokens")})
                setattr(stock, row["kind"], getattr(stock, row["kind"]) + amount)
    if len(counted) > 1 and not uncounted:
        one, two = list(counted.values())[:2]
        found = f"its tokens were counted by {two[1]}, those of {one[0]} by {one[1]}"
        raise InputError(two[0], found, "tokens of two tokenizers do not add up: build with one --tokenizer")
    if uncounted:
        if counted:
            note(f"{uncounted[0]} did not count tokens (corpus build --tokenizer): the target is taken in characters")
        return Stocks("chars", None, sources)
    return Stocks("tokens", next(iter(counted.values()))[1], sources)


def plan_target(stocks: Stocks, target: int, shares: Mapping[str, float]) -> dict[str, Any]:
    """Say what is missing to a target.

    Args:
        stocks: What there is.
        target: Effective tokens (or characters, as the stocks are) wanted.
        shares: The share of each named source in the target; the others share the rest as they stand now.

    Returns:
        unit, target, effective, missing, raw_gb (None if it cannot be told), epochs, and a row a source.

    Raises:
        ConfigError: If the shares leave a rest that no source can take.
        InputError: If no corpus holds any text.
    """
    unit = stocks.unit
    have = {name: getattr(stock.effective, unit) for name, stock in stocks.sources.items()}
    whole = sum(have.values())
    if not whole:
        raise InputError("--corpus", "the corpora hold no effective text", "build one first")
    rest, others = 1 - sum(shares.values()), sum(n for name, n in have.items() if name not in shares)
    if rest > 1e-9 and not others:
        remedy = "let them add up to 1, or name a corpus with another source"
        raise ConfigError("--share", f"the shares add up to {1 - rest:g} and no other source has text", remedy)
    rows = []
    for name in sorted({*have, *shares}):
        stock = stocks.sources.get(name, Stock())
        share = shares[name] if name in shares else max(0.0, rest) * have.get(name, 0) / max(1, others)
        rows.append(_row(name, stock, share, round(share * target), unit))
    gigabytes = [row["missing_raw_gb"] for row in rows if row["missing"]]
    return {
        "unit": "tokens" if unit == "tokens" else "characters",
        "tokenizer": stocks.tokenizer,
        "target": target,
        "effective": whole,
        "missing": sum(row["missing"] for row in rows),
        "missing_raw_gb": None if None in gigabytes else round(sum(gigabytes), 3),
        "epochs": round(target / whole, 3),
        "sources": rows,
    }


def _row(name: str, stock: Stock, share: float, wanted: int, unit: str) -> dict[str, Any]:
    raw, effective = getattr(stock.raw, unit), getattr(stock.effective, unit)
    missing = max(0, wanted - effective)
    a_gigabyte = effective / (stock.raw.bytes / 1e9) if effective else None  # effective units of a GB of raw text
    return {
        "source": name,
        "share": share,
        "raw_gb": stock.raw.bytes / 1e9,
        "raw": raw,
        "effective": effective,
        "yield": effective / raw if raw else None,
        "wanted": wanted,
        "missing": missing,
        "missing_raw_gb": 0.0 if not missing else missing / a_gigabyte if a_gigabyte else None,
        "epochs": wanted / effective if effective else None,
    }


def print_target(corpora: Sequence[Path], word: str, share_words: Sequence[str], *, as_json: bool) -> None:
    """Print what is missing to a target.

    Args:
        corpora: Built corpora; empty: all complete ones in ``data/corpus``.
        word: The target, such as 125B.
        share_words: ``name=share``.
        as_json: Whether to print JSON.
    """
    from corpus.sources import SOURCES

    target = parse_amount(word)
    found = list(corpora) or sorted(file.parent for file in DEFAULT.glob(f"*/{manifest.NAME}"))
    if not found:
        raise InputError(DEFAULT, "holds no built corpus", "name some: corpus plan --target 125B --corpus DIR")
    stocks = read_stocks(found)
    plan = plan_target(stocks, target, parse_shares(share_words, sorted({*SOURCES, *stocks.sources})))
    if as_json:
        emit_json(plan)
        return
    unit = plan["unit"]
    columns = (
        "source",
        "share",
        "raw GB",
        f"raw {unit}",
        "effective",
        "yield",
        "wanted",
        "missing",
        "= raw GB",
        "epochs",
    )
    rows = [tuple(row.values()) for row in plan["sources"]]
    table(
        columns,
        rows,
        f"{short(target)} effective {unit} from {len(found)} {'corpus' if len(found) == 1 else 'corpora'}",
    )
    print(_sentence(plan))


def _sentence(plan: Mapping[str, Any]) -> str:
    unit, gigabytes = plan["unit"], plan["missing_raw_gb"]
    there = f"{short(plan['effective'])} {unit} are there, {short(plan['target'])} are wanted"
    if not plan["missing"]:
        return f"{there}: nothing is missing, the target is {plan['epochs']:.2f} epochs of what there is"
    if gigabytes is None:
        names = ", ".join(row["source"] for row in plan["sources"] if row["missing_raw_gb"] is None)
        raw = f"in raw text it cannot be told: no corpus has a yield for {names}"
    else:
        raw = f"about {gigabytes:,.2f} GB of raw text at these yields, which fall as a source grows"
    epochs = f"if nothing more came, the target is {plan['epochs']:,.1f} epochs of what there is"
    if plan["epochs"] > 4:
        epochs += " (past 4, repeated text teaches less and less: Muennighoff et al. 2023)"
    return f"{there}; {short(plan['missing'])} are missing, {raw}; {epochs}"


def short(number: float) -> str:
    """Return a number in three digits: 125B, 1.5T, 20.4M."""
    for sign, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{sign}" if number < 1000 * size else f"{number / size:,.0f}{sign}"
    return f"{number:g}"
