"""A team's own file: what it may say, and the one line that each mistake gets."""

import pytest

from eval.scorecard.judge import judge
from eval.scorecard.read import read_scorecard
from workbench.errors import ConfigError, InputError


def test_a_small_file(read):
    card = read()
    assert card.title.en == card.title.zh == "选型"
    assert card.criteria[1].name.zh == "星数"
    assert card.criteria[1].reference_points is None
    assert [s.parameters for s in card.candidates["b"].sizes] == [7e9, 70e9]
    assert card.candidates["c"].sizes[0].parameters == 560e6
    assert card.size_in("b", card.classes[0]).text == "7B"
    assert card.size_in("b", card.classes[1]).text == "70B"
    assert card.size_in("c", card.classes[1]) is None
    assert not card.candidates["d"].selected


def test_the_least_that_a_file_needs(tmp_path, table):
    path = tmp_path / "least.yaml"
    path.write_text(
        "title: t\ncriteria: [{id: a, name: A}]\nclasses: [{id: all, name: All}]\ncandidates: [{id: m, name: M, sizes: 7B}]\n",
        encoding="utf-8",
    )
    found = judge(read_scorecard(str(path), []))
    assert found.ranking == {"all": ()}
    assert found.winner("all") is None
    assert found.warnings == ()


def test_the_shipped_one_by_name_with_and_without_yaml(table):
    ids = [b.id for b in table.benchmarks]
    assert read_scorecard("medical-2023", ids) == read_scorecard("medical-2023.yaml", ids)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: 选型", "titel: 选型", "title: is missing; titel is there: did you mean title?"),
        ("title: 选型", "title: 选型\nscoring: 1", "scoring: no such key; did you mean scores?"),
        ("title: 选型", "title: [1]", "title: [1] is not a text"),
        ("title: 选型", "title: {de: Wahl}", "title.de: no such key; choose from: en, zh"),
        ("title: 选型", "title: ' '", "title: is empty"),
        ("id: stars, name", "id: size, name", "criteria[1] (size).id: 'size' is there twice"),
        ("reference_points: 5", "reference_points: five", "(size).reference_points: 'five' is not a number"),
        ("reference_points: 5", "refrence_points: 5", "refrence_points: no such key; did you mean reference_points?"),
        ("reference_points: 5", "benchmarks: [mmul]", "benchmarks[0]: 'mmul' is not known; did you mean mmlu?"),
        ("below: 10B", "below: ten", "classes[0] (small).below: 'ten' is not a number of parameters; write 7B"),
        ("from: 10B", "from: 10B, below: 5B", "classes[1] (large).below: is not above from"),
        ("sizes: [560M]", "sizes: [0B]", "candidates[2] (c).sizes[0]: '0B' is not a number of parameters"),
        ("sizes: [560M]", "sizes: {value: '?'}", "candidates[2] (c).sizes.corrected: is missing"),
        ("sizes: [8B]}", "size: [8B]}", "candidates[3] (d).sizes: is missing; size is there: did you mean sizes?"),
        ("family: f}", "family: g}", "candidates[0] (a).family: 'g' is not known; choose from: f"),
        ("facts: {base: own}", "facts: {bas: own}", "candidates[1] (b).facts.bas: no such key; did you mean base?"),
        ("facts: {base: own}", "facts: {base: yes}", "facts.base: True is not a text; write a text (quote yes, no"),
        ("facts: {base: own}", "facts: {base: {value: x}}", "(b).facts.base.corrected: is missing"),
        ("selected: yes, family", "selected: perhaps, family", "(a).selected: 'perhaps' is not true or false"),
        ("candidate: c, rule: old", "candidate: cc, rule: old", "eliminated[0] (cc).candidate: 'cc' is not known"),
        ("rule: old", "rule: odl", "eliminated[0] (c).rule: 'odl' is not known; did you mean old?"),
        ("reason: of 2019", "why: of 2019", "eliminated[0] (c).reason: is missing"),
        ("  a: {size", "  aa: {size", "scores.aa: no such key"),
        ("stars: {points: 2, reason: many}", "star: 2", "scores.a.star: no such key; did you mean stars?"),
        (", stars: {points: 2, reason: many}", "", "scores.a.stars: is missing; write its points"),
        ("points: 2, reason: many", "points: -2, reason: many", "scores.a.stars.points: -2 is out of range"),
        ("points: 2, reason: many", "points: .nan, reason: many", "scores.a.stars.points: nan is not a number"),
        ("stars: {points: 2, reason: many}", "stars: many", "scores.a.stars: 'many' is not a number"),
        ("{candidate: b, reason: alone}", "{candidate: c, reason: alone}", "candidate: c is eliminated"),
        ("{candidate: b, reason: alone}", "{candidate: b}", "placed.large[0] (b).reason: is missing"),
        ("{candidate: b, reason: alone}", "{candidate: a, reason: x}", "a has no size of that class (7B)"),
        ("placed: {large:", "placed: {larg:", "placed.larg: no such key; did you mean large?"),
        (
            "elimination_rules: [{id: old, name: too old}]",
            "elimination_rules: old",
            "elimination_rules: 'old' is not a",
        ),
        ("elimination_rules: [{id: old, name: too old}]", "elimination_rules: [old]", "[0]: 'old' is not an entry"),
        ("title: 选型", "title: 选型\ntitle: 又", "title: is written twice"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_finding_and_remedy(read, old, new, said):
    with pytest.raises(ConfigError) as caught:
        read((old, new))
    line = str(caught.value)
    assert said in line
    assert "card.yaml:" in line
    assert "; " in line
    assert "\n" not in line


def test_files_that_are_none(tmp_path, table):
    (tmp_path / "x.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "gbk.yaml").write_bytes("title: 选型".encode("gbk"))
    for name, kind, said in (
        ("medical-2032", ConfigError, "did you mean medical-2023?"),
        (str(tmp_path / "nowhere.yaml"), InputError, "cannot be read"),
        (str(tmp_path / "x.yaml"), InputError, "is not YAML"),
        (str(tmp_path / "gbk.yaml"), InputError, "is not UTF-8 at byte"),
        (str(tmp_path), InputError, "cannot be read"),
    ):
        with pytest.raises(kind) as caught:
            read_scorecard(name, [])
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
