import pytest

from eval.published import published
from eval.scorecard.figures import figures
from eval.scorecard.judge import judge
from eval.scorecard.read import read_scorecard

SMALL = """
title: 选型
criteria:
  - {id: size, name: Size, reference_points: 5}
  - {id: stars, name: {en: Stars, zh: 星数}}
facts: [{id: base, name: Base}]
classes:
  - {id: small, name: Small, below: 10B}
  - {id: large, name: Large, from: 10B}
elimination_rules: [{id: old, name: too old}]
families: [{id: f, name: F, members: [A, B]}]
candidates:
  - {id: a, name: A, sizes: [7B], selected: yes, family: f}
  - {id: b, name: B, sizes: [7B, 70B], selected: yes, facts: {base: own}}
  - {id: c, name: C, sizes: [560M], selected: yes}
  - {id: d, name: D, sizes: [8B]}
eliminated: [{candidate: c, rule: old, reason: of 2019}]
scores:
  a: {size: {points: 3, reason: fits}, stars: {points: 2, reason: many}}
  b: {size: {points: 2.5, reason: fits}, stars: {points: 1, reason: few}}
placed: {large: [{candidate: b, reason: alone}]}
"""


@pytest.fixture(scope="session")
def table():
    return published()


@pytest.fixture
def write(tmp_path):
    """Write SMALL, changed, to a file; every change must strike."""

    def written(*changes, name="card.yaml"):
        text = SMALL
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


@pytest.fixture
def read(write, table):
    return lambda *changes: read_scorecard(write(*changes), [b.id for b in table.benchmarks])


@pytest.fixture(scope="session")
def medical(table):
    """The shipped scorecard, judged."""
    return judge(read_scorecard("medical-2023", [b.id for b in table.benchmarks]))


@pytest.fixture(scope="session")
def medical_figures(medical, table):
    return figures(medical, table.rows, "medical-2023")
