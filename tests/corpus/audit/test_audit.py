from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from corpus.audit import Request, audit
from corpus.audit.checks import interval
from corpus.audit.gates import gates
from corpus.audit.standard import load_standard, shipped
from corpus.classifier import train
from corpus.cli import command
from corpus.flat import FlatText
from corpus.spacing import spaced
from workbench.errors import ConfigError, GateFailed, InputError, UserError

from ..everything import GAMBLING, IMAGE, SCRIPT, parquet
from ..report.pages import Page

SMALL = """
name: small
people: {{clause: p, sample: {sample}, min_pass: 0.96}}
technical: {{clause: t, share: {share}, min_pass: 0.98}}
source: {{clause: s, max_harmful_share: {harmful}}}
harmful: {{gambling: A.1, porn: A.1, fraud: A.1, politics: A.1, terror: A.1, drugs: A.1, insult: A.4}}
told: [spam]
"""


def standard(folder: Path, *, sample: int = 40, share: float = 1.0, harmful: float = 0.05) -> str:
    path = folder / "small.yaml"
    path.write_text(SMALL.format(sample=sample, share=share, harmful=harmful), encoding="utf-8")
    return str(path)


@pytest.fixture
def corpus(everything: Path, tmp_path: Path) -> Path:
    """A copy that may be written into."""
    shutil.copytree(everything, tmp_path / "corpus")
    return tmp_path / "corpus"


def fill(path: Path, word: str, most: int = 10**6, category: str = "") -> None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:most]:
        row["verdict"], row["category"] = word, category
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def states(report: dict[str, Any]) -> dict[str, str]:
    return {gate["gate"].split(",")[0].split(" of ")[0]: gate["state"] for gate in report["gates"]}


def test_shipped_figures_are_those_of_the_standard() -> None:
    assert shipped() == ["tc260-003"]
    rules = load_standard("tc260-003")
    assert (rules.people.sample, rules.people.min_pass, rules.people.clause) == (4000, 0.96, "9.2 a)")
    assert (rules.technical.share, rules.technical.min_pass, rules.technical.clause) == (0.1, 0.98, "9.2 b)")
    assert (rules.source.max_harmful_share, rules.source.clause) == (0.05, "5.1 a)")
    assert (rules.lexicon.min_terms, rules.lexicon.clause) == (10_000, "8.1 a)")


def test_harmful_content_is_counted_by_source_and_category(corpus: Path, tmp_path: Path) -> None:
    """With a share of 1 every document is looked at, so the counts are exact."""
    report = audit(Request(corpus, standard(tmp_path)))
    gone, kept = parquet(corpus / "rejected"), parquet(corpus / "kept")
    sensitive = gone.filter(pl.col("reason") == "sensitive_topic")
    assert len(sensitive) >= 5
    by_name = {one["source"]: one for one in report["sources"]}
    wudao = by_name["wudao"]
    assert wudao["documents"] == {
        "kept": kept.filter(pl.col("source") == "wudao").height,
        "rejected": gone.filter(pl.col("source") == "wudao").height,
    }
    assert wudao["collected"]["sampled"] == sum(wudao["documents"].values())
    assert wudao["categories"]["gambling"] >= len(sensitive)
    assert wudao["collected"]["harmful"] >= len(sensitive)
    assert by_name["jsonl"]["collected"]["harmful"] == 0
    assert wudao["kept"]["harmful"] == 0
    assert report["keywords"]["sampled"] == len(kept)
    assert report["keywords"]["library"] == "the build's: shipped lists"
    low, high = wudao["collected"]["low"], wudao["collected"]["high"]
    assert low < wudao["collected"]["share"] < high


def test_a_source_over_the_limit_is_flagged_and_fails_the_gate(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", str(corpus), "--standard", standard(tmp_path, harmful=0.01)]
    with pytest.raises(GateFailed, match="harmful content of wudao") as caught:
        command(words)
    assert caught.value.exit_code == 3
    assert "missed" in capsys.readouterr().out
    report = json.loads((corpus / "audit" / "audit.json").read_text(encoding="utf-8"))
    assert {one["source"]: one["flagged"] for one in report["sources"]} == {"jsonl": False, "wudao": True}
    assert "未达到" in (corpus / "audit" / "audit.html").read_text(encoding="utf-8")


def test_before_anybody_read_the_audit_is_pending_and_passes(corpus: Path, tmp_path: Path, capsys: Any) -> None:
    assert command(["audit", str(corpus), "--standard", standard(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "pending" in said
    assert "not stated: jsonl (origin, kind, licence); wudao" in said
    assert "40 documents to read" in said
    assert "short" in said  # the keyword library


def test_verdicts_are_read_back(corpus: Path, tmp_path: Path) -> None:
    request = Request(corpus, standard(tmp_path))
    audit(request)
    path = corpus / "audit" / "sample.csv"
    fill(path, "合格")
    read = Request(corpus, request.standard, verdicts=path)
    report = audit(read)
    assert (report["people"]["read"], report["people"]["pass_rate"], report["people"]["state"]) == (40, 1.0, "met")
    fill(path, "fail", 2, category=SCRIPT)  # 38 of 40: 95 %
    report = audit(read)
    assert (report["people"]["failed"], report["people"]["state"]) == (2, "missed")
    assert sum(counts.get(SCRIPT, 0) for counts in report["people"]["categories"].values()) == 2
    assert Page((corpus / "audit" / "audit.html").read_text(encoding="utf-8")).foreign == []
    with pytest.raises(GateFailed, match="read by people"):
        command(["audit", str(corpus), "--standard", request.standard, "--verdicts", str(path)])


def test_a_table_with_verdicts_is_not_written_over(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request(corpus, standard(tmp_path))
    audit(request)
    path = corpus / "audit" / "sample.csv"
    before = path.read_bytes()
    audit(request)
    assert path.read_bytes() == before  # the same sample again
    fill(path, "pass", 3)
    mine = path.read_bytes()
    audit(request)
    assert "stays as it is" in capsys.readouterr().err
    assert path.read_bytes() == mine
    with pytest.raises(InputError, match="verdicts of another sample"):
        audit(Request(corpus, request.standard, seed=1))
    assert path.read_bytes() == mine
    audit(Request(corpus, request.standard, seed=1, out=tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "audit.html").is_file()


def test_the_sample_is_seeded_and_laid_out(corpus: Path, tmp_path: Path) -> None:
    names = []
    for seed in (0, 0, 1):
        audit(Request(corpus, standard(tmp_path), seed=seed, out=tmp_path / "a"))
        with (tmp_path / "a" / "sample.csv").open(encoding="utf-8-sig", newline="") as stream:
            names.append([row["id"] for row in csv.DictReader(stream)])
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 40
    shown = Page((tmp_path / "a" / "sample-1.html").read_text(encoding="utf-8"))
    assert all(name in shown.text for name in names[2])
    assert shown.foreign == []


def test_a_corpus_smaller_than_the_sample_is_read_whole(corpus: Path, tmp_path: Path) -> None:
    report = audit(Request(corpus, standard(tmp_path, sample=4000)))
    assert report["people"]["sample"] == parquet(corpus / "kept").height < 4000
    assert "须全部阅读" in (corpus / "audit" / "audit.html").read_text(encoding="utf-8")


def test_hostile_documents_are_shown_and_not_run(corpus: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "<b>类.txt").write_text("天色已经晚了\t1\n大家都很高兴\t1\n谁也没有说话\t1\n", encoding="utf-8")
    report = audit(Request(corpus, standard(tmp_path, sample=4000), sensitive=lists))
    assert "<b>类" in report["keywords"]["terms_by_category"]
    assert any(one["categories"].get("<b>类", 0) == one["collected"]["harmful"] > 0 for one in report["sources"])
    assert report["keywords"]["worst"], "believed words of every text: something must fail"
    for file in (corpus / "audit").glob("*.html"):
        assert Page(file.read_text(encoding="utf-8")).foreign == []
    shown = Page((corpus / "audit" / "sample-1.html").read_text(encoding="utf-8")).text
    assert SCRIPT in shown
    assert IMAGE in shown
    assert "<b>类" in Page((corpus / "audit" / "audit.html").read_text(encoding="utf-8")).text


def test_other_lists_are_weighed_anew_and_miss_the_gate(corpus: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "porn.txt").write_text("天色已经晚了\t1\n大家都很高兴\t1\n谁也没有说话\t1\n", encoding="utf-8")
    report = audit(Request(corpus, standard(tmp_path), sensitive=lists))
    assert report["keywords"]["state"] == "missed"
    assert str(lists) in report["keywords"]["library"]
    assert report["keywords"]["failed"] > 0.02 * report["keywords"]["sampled"]


def test_spam_is_told_and_not_counted(corpus: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "spam.txt").write_text("天色已经晚了\t1\n大家都很高兴\t1\n谁也没有说话\t1\n", encoding="utf-8")
    report = audit(Request(corpus, standard(tmp_path), sensitive=lists))
    assert sum(one["categories"].get("spam", 0) for one in report["sources"]) > 10
    assert report["keywords"]["failed"] == 0
    assert report["keywords"]["state"] == "met"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "harm.bin"
    good = spaced(FlatText.of(pl.Series(["老师在河边写下了一封信天色已经晚了", "医生在车站看见了旧地图"] * 60)))[0]
    bad = spaced(FlatText.of(pl.Series([GAMBLING, GAMBLING[5:]] * 60)))[0]
    train([*(f"__label__clean {text}\n" for text in good), *(f"__label__gambling {text}\n" for text in bad)], path)
    return path


def test_a_classifier_checks_too(corpus: Path, tmp_path: Path, classifier: Path) -> None:
    report = audit(Request(corpus, standard(tmp_path), classifier=classifier))
    assert report["classifier"]["harmful_labels"] == ["gambling"]
    assert report["classifier"]["sampled"] == parquet(corpus / "kept").height
    assert states(report)["classification model"] == report["classifier"]["state"] == "met"
    turned = audit(Request(corpus, standard(tmp_path), classifier=classifier, harmful_labels=("clean",)))
    assert turned["classifier"]["state"] == "missed"
    assert turned["classifier"]["worst"][0]["why"] == "clean"
    with pytest.raises(ConfigError, match="has labels"):
        audit(Request(corpus, standard(tmp_path), classifier=classifier, harmful_labels=("harm",)))
    with pytest.raises(InputError, match="no such model file"):
        audit(Request(corpus, standard(tmp_path), classifier=tmp_path / "none.bin"))
    (tmp_path / "bad.bin").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="is no fastText model"):
        audit(Request(corpus, standard(tmp_path), classifier=tmp_path / "bad.bin"))


def test_origin_is_declared_in_a_file_or_beside_the_source(corpus: Path, tmp_path: Path, everything: Path) -> None:
    given = tmp_path / "origin.yaml"
    given.write_text(f'wudao: {{origin: "{SCRIPT}", kind: open, licence: CC BY-NC-SA 4.0}}\n', encoding="utf-8")
    report = audit(Request(corpus, standard(tmp_path), origin=given))
    by_name = {one["source"]: one["origin"] for one in report["sources"]}
    assert by_name["wudao"]["licence"] == "CC BY-NC-SA 4.0"
    assert by_name["wudao"]["lacks"] == []
    assert by_name["wudao"]["stated_in"] == [f"{given}: wudao"]
    assert by_name["jsonl"]["origin"] == "not stated 未说明"
    assert by_name["jsonl"]["lacks"] == ["origin", "kind", "licence"]
    shown = Page((corpus / "audit" / "audit.html").read_text(encoding="utf-8"))
    assert SCRIPT in shown.text
    assert shown.foreign == []
    beside = everything.parent / "mine" / "origin.yaml"
    beside.write_text("origin: 自采\nkind: own\n", encoding="utf-8")
    try:
        report = audit(Request(corpus, standard(tmp_path)))
    finally:
        beside.unlink()
    found = next(one["origin"] for one in report["sources"] if one["source"] == "jsonl")
    assert (found["origin"], found["lacks"], found["stated_in"]) == ("自采", ["evidence"], [str(beside)])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wudoa: {origin: x}", "did you mean wudao"),
        ("wudao: x", "is no mapping"),
        ("wudao: {license: x}", "did you mean licence"),
        ("wudao: {kind: stolen}", "is none of its choices"),
        ("- wudao", "not settings"),
    ],
)
def test_bad_origins_are_one_line(corpus: Path, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "o.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        audit(Request(corpus, standard(tmp_path), origin=path))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x", "harmful: is not set"),
        ("harmful: {porn: A}\npeople: {sampel: 3}", "did you mean people.sample"),
        ("harmful: {porn: A}\npeople: {min_pass: 96}", "must be between 0 and 1"),
        ("harmful: {porn: A}\nsource: {of: raw}", "is none of its choices"),
    ],
)
def test_bad_standards_are_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_standard(str(path))
    assert told in str(caught.value)


def test_what_is_no_standard_and_no_corpus(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean tc260-003"):
        audit(Request(corpus, "tc260-004"))
    with pytest.raises(InputError, match="no such folder"):
        audit(Request(tmp_path / "none"))
    with pytest.raises(ConfigError, match="is no 64-bit number"):
        audit(Request(corpus, seed=-1))
    with pytest.raises(InputError, match="no such folder"):
        audit(Request(corpus, sensitive=tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read"):
        audit(Request(corpus, verdicts=tmp_path / "none.csv"))
    shutil.rmtree(corpus / "kept")
    with pytest.raises(InputError, match="has no kept document"):
        audit(Request(corpus))


def test_a_source_without_a_sampled_document_has_no_share() -> None:
    rules = load_standard("tc260-003")
    share = {"share": None, "harmful": 0, "sampled": 0}
    report = {
        "sources": [{"source": "a", "collected": share, "flagged": False}],
        "people": {"read": 0, "sample": 3, "pass_rate": None, "state": "pending"},
        "keywords": {"pass_rate": 0.979, "sampled": 1000, "state": "missed", "terms": 10_000},
        "classifier": None,
    }
    found = gates(report, rules)
    assert [gate["state"] for gate in found] == ["met", "pending", "missed", "not run", "met"]
    assert found[0]["found"] == "–"
    assert found[2]["found"] == "97.9 % of 1,000"


def test_intervals_are_wilsons() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(5, 100)
    assert (round(low, 4), round(high, 4)) == (0.0215, 0.1118)
    assert interval(0, 10)[0] == 0.0
    assert interval(10, 10)[1] == 1.0
