"""Supervision: a run that was killed is started again and completes; one that dies at one step is given up."""

import json
import sys

import pytest

from tests.train.test_pt import run, series, words
from train.cli import command
from workbench.errors import ConfigError, GateFailed

# a run whose first process is killed after step 5, and which then is left alone
KILLED_ONCE = """
import os, pathlib, signal, sys
from workbench.runs import metrics
mark, write = pathlib.Path(sys.argv.pop(1)), metrics.Metrics.write
def once(self, row):
    write(self, row)
    if row["step"] == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
metrics.Metrics.write = once
from train.cli import main
main()
"""
# writes the row of step 7 and fails
DIES = "import sys, pathlib\nout = pathlib.Path(sys.argv[1].removeprefix('out='))\nout.mkdir(exist_ok=True)\n(out / 'metrics.jsonl').write_text('{\"step\": 7}\\n')\nsys.exit(1)"


def test_a_killed_run_is_started_again_and_equals_one_uncut(toy, tmp_path, capsys):
    line = ("steps=8", "checkpoint.every=2", "eval.sequences=4")
    run(toy, tmp_path / "uncut", *line)
    launch = [sys.executable, "-c", KILLED_ONCE, str(tmp_path / "mark"), *words(toy, tmp_path / "run", *line)]
    assert command(["supervise", "--max-restarts", "2", "--", *launch]) == 0
    assert series(tmp_path / "run") == series(tmp_path / "uncut")
    assert "exit code -9 after step 5: restart 1 of at most 2" in capsys.readouterr().err


def test_repeated_failure_at_one_step_is_given_up_with_a_report(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(GateFailed, match="3 failures after step 7"):
        command(["supervise", "--", sys.executable, "-c", DIES, f"out={out}"])
    report = json.loads((out / "supervision.json").read_text())
    assert [(attempt["exit_code"], attempt["step"]) for attempt in report["attempts"]] == [(1, 7)] * 3


def test_restarts_are_counted_and_a_mistake_is_not_repeated(tmp_path):
    with pytest.raises(GateFailed, match="2 failures"):
        command(["supervise", "--max-restarts", "1", "--", sys.executable, "-c", DIES, f"out={tmp_path / 'run'}"])
    assert command(["supervise", "--", sys.executable, "-c", "raise SystemExit(2)", f"out={tmp_path}"]) == 2
    with pytest.raises(ConfigError, match="no out="):
        command(["supervise", "--", "train", "stage=pt"])
