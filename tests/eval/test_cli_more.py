"""explain, import and compare as commands: what goes to stdout and to stderr, and the exit codes of mistakes."""

import json

import pytest

from eval.cli import command
from eval.samples import Sample, line_of
from workbench.errors import ConfigError, UserError

CSV = "dataset,version,metric,mode,m\nmmlu,-,naive_average,gen,46.83\ngsm8k,1d7fe4,accuracy,gen,16.76\nwinogrande,x,accuracy,ppl,60\n"


def run(folder, values, **changes):
    folder.mkdir()
    samples = [
        Sample("mmlu", f"mmlu/s/test/{n}", "s", "test", 5, "official", "mc", "q", "A", v) for n, v in enumerate(values)
    ]
    lines = (json.dumps({**json.loads(line_of(s)), **changes}, ensure_ascii=False) for s in samples)
    (folder / "samples-mmlu.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_explain(capsys):
    assert command(["explain", "ceval"]) == 0
    shown = capsys.readouterr().out
    assert "13,948" in shown
    assert "测试集标签不公开" in shown
    assert command(["explain", "ceval", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert [size["items"] for size in card["sizes"]] == [260, 1346, 12342]
    assert command(["explain"]) == 0
    assert "BIG-Bench Hard" in capsys.readouterr().out
    assert command(["explain", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 10
    with pytest.raises(ConfigError, match="cevla has no card; did you mean ceval"):
        command(["explain", "cevla"])


def test_import_and_then_the_table(tmp_path, capsys):
    source = tmp_path / "summary_1.csv"
    source.write_text(CSV, encoding="utf-8")
    assert command(["import", "opencompass", str(source), "--out", str(tmp_path / "run"), "--kind", "base"]) == 0
    shown = capsys.readouterr()
    assert "46.83" in shown.out
    assert "not among the benchmarks, left out: winogrande" in shown.err
    scores = json.loads((tmp_path / "run/scores.json").read_text(encoding="utf-8"))
    assert (scores["model"], scores["kind"], scores["tasks"]["mmlu"]["protocol"]) == ("m", "base", "opencompass")
    assert command(["table", "--scores", str(tmp_path / "run"), "--json"]) == 0
    assert "opencompass" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"holds scores\.json already"):
        command(["import", "opencompass", str(source), "--out", str(tmp_path / "run")])
    assert command(["import", "opencompass", str(source), "--out", str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["gsm8k"]["value"] == 16.76


def test_compare(tmp_path, capsys):
    first, second = run(tmp_path / "a", [1.0, 0.0] * 20), run(tmp_path / "b", [1.0, 1.0] * 19, shots=0)
    assert command(["compare", str(first), str(second)]) == 0
    shown = capsys.readouterr()
    assert "+50.00" in shown.out
    assert "0 : 19" in shown.out
    assert "mmlu: 2 items are in RUN1 only" in shown.err
    assert "not taken alike: shots 5 | 0 (RUN1 | RUN2)" in shown.err
    assert command(["compare", str(first), str(second), "--json", "--draws", "500"]) == 0
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert (task["n"], task["difference"]) == (38, 50)
    assert task["p"] < 0.05
    for words, said in ((["--draws", "5"], "--draws: 5 is below 100"), (["--seed", "-1"], "--seed: -1 is below 0")):
        with pytest.raises(ConfigError, match=said):
            command(["compare", str(first), str(second), *words])


def test_the_harnesses_of_the_command_are_those_there_are():
    from eval import cli_more
    from eval.imports import IMPORTERS

    assert set(cli_more._IMPORTED) == set(IMPORTERS)
