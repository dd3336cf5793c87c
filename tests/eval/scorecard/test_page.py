"""The page, the JSON and the command."""

import json
from pathlib import Path

import pytest

from eval.cli import command
from eval.scorecard.figures import figures
from eval.scorecard.judge import judge
from eval.scorecard.page import scorecard_page
from eval.scorecard.report import as_dict
from tests.eval.test_table import HOSTILE, Page, fetches
from workbench.errors import ConfigError


@pytest.fixture(scope="module")
def text(medical, medical_figures, table):
    return scorecard_page(medical, medical_figures, table.benchmarks)


def test_the_page_shows_what_a_team_argues_over(text):
    shown = " ".join("".join(Page(text).text).split())
    for words in (
        "各档首选 Winner by class",
        "8 > 6",
        "5 > 4",
        "幻方量化",
        "虎博科技，几十人",
        "≠ 不一致 disagrees",
        "只增加了金融数据",
        "与之矛盾 contradicts it",
        "相符 bears it out",
        "84.91 chat · not stated",
        "3.2 万",
        "缺单位；发布方称 3.2 万亿 token",
    ):
        assert words in shown, words
    assert shown.count("disagrees") == 2
    assert "<s class='b'>LLaMa?</s>" in text
    assert "class='n over'" in text


def test_the_page_stands_alone(text):
    page = Page(text)
    assert fetches(page.tags) == []
    assert not [tag for tag, given in page.tags if "href" in given]
    assert "prefers-color-scheme: dark" in text
    assert "<html lang='zh-CN'>" in text
    assert "http" not in text


def test_tags_are_balanced(text):
    for tag in ("table", "thead", "tbody", "div", "span", "small", "ol", "ul", "details", "s", "sup", "b", "p"):
        assert text.count(f"<{tag}>") + text.count(f"<{tag} ") == text.count(f"</{tag}>"), tag


def test_hostile_text_is_shown_and_not_run(read, table):
    changes = [
        ("title: 选型", f"title: {json.dumps(HOSTILE)}"),
        ("name: A, sizes", f"name: {json.dumps(HOSTILE)}, sizes"),
        ("reason: many", f"reason: {json.dumps(HOSTILE)}"),
        ("facts: {base: own}", f"facts: {{base: {json.dumps(HOSTILE)}}}"),
        ("reason: of 2019", f"reason: {{en: {json.dumps(HOSTILE)}, zh: 旧}}"),
        ("reason: alone", f"reason: {json.dumps(HOSTILE)}"),
        ("members: [A, B]", f"members: [{json.dumps(HOSTILE)}]"),
        ("name: too old", f"name: {json.dumps(HOSTILE)}"),
    ]
    found = judge(read(*changes))
    shown = scorecard_page(found, figures(found, [], "x"), table.benchmarks)
    assert fetches(Page(shown).tags) == []
    assert shown.count("&lt;script&gt;") >= 8
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_file_without_scores_or_places_has_a_page(write, capsys, tmp_path):
    path = write()
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("scores", "  a: ", "  b: ", "placed"))]
    (tmp_path / "bare.yaml").write_text("\n".join(kept), encoding="utf-8")
    assert command(["scorecard", str(tmp_path / "bare.yaml"), "--out", str(tmp_path / "out")]) == 0
    assert "nobody has a place" in capsys.readouterr().out
    assert "此档无人排名" in (tmp_path / "out/scorecard.html").read_text(encoding="utf-8")


def test_json(medical, medical_figures):
    found = json.loads(json.dumps(as_dict(medical, medical_figures)))
    assert found["winner_by_class"] == {"about-30b": "yi", "from-50b": "qwen"}
    assert found["totals"] == {"deepseek": 40, "tigerbot": 48}
    assert found["reference_total"] == 64
    assert found["scores"]["deepseek"]["stars"] == {"points": 3, "reason": {"en": "909 stars", "zh": "909 星"}}
    assert [c["reference_points"] for c in found["criteria"]] == [9, 6, 10, 3, 7, 7, 3, 8, 4, 5, 2]
    assert {x["candidate"]: x["reason"]["en"] for x in found["eliminated"]}["xuanyuan-70b"] == (
        "only financial data was added"
    )
    yuan = next(x for x in found["eliminated"] if x["candidate"] == "yuan-2")
    assert [claim["verdict"]["en"] for claim in yuan["claims"]] == ["bears it out", "contradicts it"]
    assert found["ranking"]["from-50b"][0]["by"] == "hand"
    assert found["ranking"]["from-50b"][0]["reason"]["en"].startswith("put first by the source")
    assert [rank["agrees"] for rank in found["figures"]] == [False, True, True] * 2
    xverse = next(c for c in found["candidates"] if c["id"] == "xverse")
    assert xverse["facts"]["tokens"]["value"]["zh"] == "3.2 万"
    assert len(found["excesses"]) == len(found["warnings"]) == 2


def test_the_command(tmp_path, capsys):
    assert command(["scorecard", "medical-2023", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for words in ("TigerBot", "winner", "disagrees", "contradicts it", "hand: put first by the source"):
        assert words in printed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scorecard.html", "scorecard.json"]
    assert command(["scorecard", "medical-2023", "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["name"] == "medical-2023"
    assert "幻方量化" in printed
    assert (tmp_path / "out/scorecard.json").read_text(encoding="utf-8") == printed


def test_check_warns_and_changes_nothing(write, capsys):
    assert command(["scorecard", "medical-2023", "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "warning: medical-2023: scores.deepseek.tokens: 8 exceeds its 6 reference points",
        "warning: medical-2023: scores.deepseek.company: 5 exceeds its 4 reference points",
        "medical-2023: 2 warnings; nothing was changed",
    ]
    path = write(("points: 3, reason: fits", "points: 6, reason: fits"))
    before = Path(path).read_text(encoding="utf-8")
    assert command(["scorecard", path, "--check", "--json"]) == 0
    printed = capsys.readouterr()
    assert "6 exceeds its 5 reference points" in printed.err
    assert json.loads(printed.out)["totals"]["a"] == 8
    assert Path(path).read_text(encoding="utf-8") == before


def test_own_runs_stand_in_a_scorecard(write, tmp_path, capsys):
    for model, value in (("A", 50), ("B", 60)):
        (tmp_path / model).mkdir()
        scores = {"model": model, "kind": "base", "tasks": {"mmlu": {"value": value, "shots": 5}}}
        (tmp_path / model / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    path = write(
        ("reference_points: 5", "benchmarks: [mmlu]"),
        ("sizes: [7B], selected: yes, family", "row: A, sizes: [7B], selected: yes, family"),
        ("sizes: [7B, 70B]", "row: B, sizes: [7B, 70B]"),
    )
    assert command(["scorecard", path, "--json", "--scores", str(tmp_path / "A"), str(tmp_path / "B")]) == 0
    (rank,) = json.loads(capsys.readouterr().out)["figures"]
    assert rank["ranks"] == {"a": 2, "b": 1}
    assert not rank["agrees"]
    with pytest.raises(ConfigError, match="the table has no row 'A'"):
        command(["scorecard", path])
