from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from corpus.cli import command
from corpus.ledger import Amount
from corpus.target import Stock, Stocks, parse_amount, parse_shares, plan_target, read_stocks, short
from workbench.errors import ConfigError, InputError

from .everything import make_everything


def stocks(**effective: tuple[int, int]) -> Stocks:
    """Sources with raw and effective tokens; a raw token is 4 bytes."""
    made = {
        name: Stock(raw=Amount(1, 0, 4 * raw, raw), effective=Amount(1, 0, 0, kept))
        for name, (raw, kept) in effective.items()
    }
    return Stocks("tokens", "tok", made)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("125B", 125 * 10**9),
        ("1.5T", 15 * 10**11),
        ("20M", 20 * 10**6),
        ("3k", 3000),
        ("1250亿", 125 * 10**9),
        ("2万", 20_000),
        ("1,000", 1000),
        ("3e9", 3 * 10**9),
        (" 7 ", 7),
    ],
)
def test_amounts(word: str, value: int) -> None:
    assert parse_amount(word) == value


@pytest.mark.parametrize("word", ["", "B", "12X", "-3B", "0", "0.0M", "1.2.3B", "nan", "inf", "١٢"])
def test_what_is_no_amount(word: str) -> None:
    with pytest.raises(ConfigError, match="is no amount"):
        parse_amount(word)


def test_what_is_missing_keeps_the_mix_as_it_is() -> None:
    plan = plan_target(stocks(wudao=(4000, 3000), books=(2000, 1000)), 40_000, {})
    books, wudao = plan["sources"]
    assert (wudao["share"], books["share"]) == (0.75, 0.25)
    assert (wudao["wanted"], books["wanted"]) == (30_000, 10_000)
    assert (wudao["missing"], books["missing"]) == (27_000, 9_000)
    assert (wudao["yield"], books["yield"]) == (0.75, 0.5)
    assert wudao["missing_raw_gb"] == pytest.approx(27_000 / 0.75 * 4 / 1e9)
    assert plan["missing_raw_gb"] == round((27_000 / 0.75 + 9_000 / 0.5) * 4 / 1e9, 3)
    assert (plan["effective"], plan["missing"], plan["epochs"]) == (4000, 36_000, 10.0)
    assert [row["epochs"] for row in plan["sources"]] == [10.0, 10.0]


def test_shares_are_kept_and_the_others_share_the_rest() -> None:
    plan = plan_target(stocks(a=(100, 100), b=(300, 300), c=(100, 100)), 1000, {"b": 0.5})
    assert [row["share"] for row in plan["sources"]] == [0.25, 0.5, 0.25]
    assert [row["missing"] for row in plan["sources"]] == [150, 200, 150]
    assert [row["epochs"] for row in plan["sources"]] == [2.5, 500 / 300, 2.5]


def test_a_source_with_more_than_its_share_lacks_nothing() -> None:
    plan = plan_target(stocks(a=(1000, 900), b=(100, 90)), 800, {"a": 0.5, "b": 0.5})
    assert [row["missing"] for row in plan["sources"]] == [0, 310]
    assert plan["missing"] == 310


def test_a_source_that_was_never_built_has_no_yield() -> None:
    plan = plan_target(stocks(a=(1000, 900)), 10_000, {"code": 0.2})
    assert [(row["source"], row["missing_raw_gb"] is None) for row in plan["sources"]] == [("a", False), ("code", True)]
    assert plan["missing_raw_gb"] is None


def test_shares_that_leave_a_rest_nobody_can_take() -> None:
    with pytest.raises(ConfigError, match="no other source has text"):
        plan_target(stocks(a=(10, 9)), 100, {"a": 0.5})
    with pytest.raises(InputError, match="no effective text"):
        plan_target(stocks(a=(10, 0)), 100, {})
    assert plan_target(stocks(a=(10, 9)), 100, {"a": 1.0})["missing"] == 91


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["wudoa=0.5"], "did you mean wudao"),
        (["wudao"], "is not name=share"),
        (["wudao=x"], "is no number"),
        (["wudao=1.5"], "outside of 0 to 1"),
        (["wudao=nan"], "outside of 0 to 1"),
        (["wudao=0.6", "books=0.6"], "add up to 1.2"),
        (["wudao=0.6", "wudao=0.1"], "given twice"),
    ],
)
def test_bad_shares_are_one_line(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_shares(words, ["wudao", "books"])
    assert told in str(caught.value)


def test_corpora_add_up(everything: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In tokens where all counted them with one tokenizer, else in characters."""
    ledger = json.loads((everything / "report.json").read_text(encoding="utf-8"))["ledger"]["rows"]
    one = read_stocks([everything])
    assert one.unit == "tokens"
    for source, stock in one.sources.items():
        (raw,) = [row for row in ledger if row["source"] == source and row["kind"] == "raw"]
        assert (stock.raw.tokens, stock.raw.bytes) == (raw["tokens"], raw["bytes"])
    plain = make_everything(tmp_path / "plain", proxy=False)
    both = read_stocks([everything, plain])
    assert both.unit == "chars"
    assert "did not count tokens" in capsys.readouterr().err
    assert both.sources["wudao"].effective.chars == 2 * one.sources["wudao"].effective.chars


def test_corpora_that_do_not_add_up(everything: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same corpus"):
        read_stocks([everything, everything])
    with pytest.raises(InputError, match="no such folder"):
        read_stocks([tmp_path / "none"])
    other = tmp_path / "other"
    shutil.copytree(everything, other)
    for name, old, new in (
        ("manifest.json", '"fingerprint": "', '"fingerprint": "f'),
        ("manifest.json", '"sha256": "', '"sha256": "0'),
    ):
        text = (other / name).read_text(encoding="utf-8")
        (other / name).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="two tokenizers do not add up"):
        read_stocks([everything, other])
    (other / "report.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="has no ledger"):
        read_stocks([other])


def test_cli_words(
    everything: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command(["plan", "--target", "10M", "--corpus", str(everything), "--share", "wudao=0.7", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["unit"], plan["target"]) == ("tokens", 10_000_000)
    assert [row["share"] for row in plan["sources"]] == [pytest.approx(0.3), 0.7]
    assert command(["plan", "--target", "10M", "--corpus", str(everything)]) == 0
    said = capsys.readouterr().out
    assert "are missing, about" in said
    assert "epochs" in said
    assert command(["plan", "--target", "1K", "--corpus", str(everything)]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    assert command(["plan", "--target", "10M", "--corpus", str(everything), "--share", "code=0.1"]) == 0
    assert "no corpus has a yield for code" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="neither --src nor --target"):
        command(["plan"])
    with pytest.raises(ConfigError, match="both --src and --target"):
        command(["plan", "--src", "wudao", "--target", "1B"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="holds no built corpus"):
        command(["plan", "--target", "1B"])
    shutil.copytree(everything, tmp_path / "data" / "corpus" / "mine")
    assert command(["plan", "--target", "1B"]) == 0


@pytest.mark.parametrize(
    ("number", "said"), [(125e9, "125B"), (1.5e12, "1.5T"), (999, "999"), (20_400_000, "20.4M"), (1234e12, "1,234T")]
)
def test_short_numbers(number: float, said: str) -> None:
    assert short(number) == said
