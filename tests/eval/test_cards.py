"""The cards: every column of the table has one, sizes are those of the official files, bad ones are refused."""

import subprocess
from collections import Counter

import pytest
import yaml

from corpus.sources.benchmarks import BENCHMARKS
from eval.cards import SHIPPED, as_text, cards
from eval.published import published
from workbench.errors import ConfigError


def test_every_benchmark_of_the_table_has_a_card_with_its_shots():
    known = cards()
    for benchmark in published().benchmarks:
        card = known[benchmark.id]
        assert (card.name.en, card.shots) == (benchmark.name, benchmark.shots) or benchmark.id == "bbh"
        assert card.paper is not None
        assert card.code.startswith("https://github.com/")
    assert set(known) - {b.id for b in published().benchmarks} == {"math500", "medical"}


def test_both_languages_everywhere_and_each_fault_has_a_source():
    for card in cards().values():
        assert len(card.faults) >= 2, card.id
        for text in (card.measures, card.verdict, *(s.use for s in card.sizes), *(f.text for f in card.faults)):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh), text
            assert not any("\u4e00" <= letter <= "\u9fff" for letter in text.en), text
        assert all(fault.source for fault in card.faults)


def test_a_card_as_text():
    text = as_text(cards()["cmmlu"])
    assert text.startswith("CMMLU  (cmmlu)\n")
    for part in ("11,582", "11,528", "论文称 11,528 题", "arXiv 2306.09212", "5-shot", "counted in the official files"):
        assert part in text
    assert "as the paper states" in as_text(cards()["math"])
    assert "paper" not in as_text(cards()["medical"])


def test_the_sizes_are_those_of_the_official_files(shared, tmp_path):
    for archive in (shared / "benchmarks").glob("*.tar.xz"):
        subprocess.run(["tar", "-xJf", archive, "-C", tmp_path], check=True)
    counts = Counter()
    for name, read in BENCHMARKS.items():
        counts.update((item.benchmark, item.split) for item in read(tmp_path / name))
    counted = {
        (card.id, size.split): size.items
        for card in cards().values()
        for size in card.sizes
        if size.counted and card.id != "medical"
    }
    assert counted == dict(counts)


def change(tmp_path, edit):
    data = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    edit(data["cards"][0])
    path = tmp_path / "cards.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda card: card.pop("shots"), "shots: is missing"),
        (lambda card: card.update(measures="one language"), "measures: is in one language"),
        (lambda card: card["sizes"][0].pop("items"), "items: is missing"),
        (lambda card: card["sizes"][0].update(items=0), "items: 0 is out of range"),
        (lambda card: card["paper"].update(yaer=2020), "yaer: no such key; did you mean year"),
        (lambda card: card["faults"][0].pop("source"), "source: is missing"),
        (lambda card: card.update(faults=[]), "faults: is empty"),
        (lambda card: card.update(id="ceval"), "id: 'ceval' is there twice"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path, edit, said):
    with pytest.raises(ConfigError) as caught:
        cards(change(tmp_path, edit))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
