"""The documents: their example is a valid scorecard, their commands exist, both languages have the same ones."""

import json
import re
import shlex

import pytest

from eval.cli import parser
from eval.own_rows import own_row
from eval.scorecard.figures import figures
from eval.scorecard.judge import judge
from eval.scorecard.read import read_scorecard
from tests.conftest import ROOT

DOCS = [ROOT / "docs" / name for name in ("scorecard.md", "scorecard.zh-CN.md")]


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("language", ["sh", "yaml", "json"])
def test_both_languages_have_the_same_blocks(language):
    english, chinese = (blocks(path, language) for path in DOCS)
    assert english == chinese
    assert english


def test_the_example_is_a_valid_scorecard(tmp_path, table):
    path = tmp_path / "ours.yaml"
    path.write_text(blocks(DOCS[0], "yaml")[0], encoding="utf-8")
    found = judge(read_scorecard(str(path), [b.id for b in table.benchmarks]))
    assert {c.id: found.winner(c.id) for c in found.card.classes} == {"small": "qwen-7b", "large": "baichuan2"}
    assert found.warnings == ()
    ranks = figures(found, table.rows, str(path)).ranks
    assert [rank.agrees for rank in ranks] == [True, True]  # "first of the two on both" is true


def test_the_example_of_scores_is_read(tmp_path, table):
    scores = json.loads(blocks(DOCS[0], "json")[0])
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    assert own_row(tmp_path, table.benchmarks).remarks == ()


def test_the_commands_parse():
    for block in blocks(DOCS[0], "sh"):
        for line in block.strip().splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "evaluate"
            assert parser().parse_args(words[1:]).verb in ("table", "scorecard")
