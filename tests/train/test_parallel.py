"""Two gloo processes against one: the same losses, the same samples; killed, resumed, resumed with another number."""

import os
import signal
import subprocess
import sys
import time

import pytest

from eval import parallel
from tests.train.test_pt import run, series, words
from workbench.errors import ConfigError
from workbench.runs import metrics

LINE = ("steps=12", "checkpoint.every=4", "micro_batch=2")


def torchrun(ranks, line, **other):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [*command, "-m", "train", *line],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **other,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def single(toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("single") / "run"
    return out, run(toy, out, *LINE)


def near(out, other):
    a, b = series(out), series(other)
    assert sorted(a) == sorted(b)
    for step in a:
        assert a[step] == pytest.approx(b[step], abs=1e-5), step


def test_two_processes_train_as_one_and_then_another_number_goes_on(toy, single, tmp_path):
    out = tmp_path / "run"
    code, text, err = finish(torchrun(2, words(toy, out, *LINE)))
    assert code == 0, err
    near(out, single[0])
    assert text.count("bits per byte") == 1  # one process speaks
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-000008", "step-000012"]
    assert [row["step"] for row in metrics.read(out)] == [*range(13), 12]
    # cut back to step 8, and gone on by one process
    import json
    import shutil

    mark = json.loads((out / "manifest.json").read_text())["fingerprint"]
    (out / "manifest.json").unlink()
    (out / "unfinished.json").write_text(json.dumps({"kind": "run", "fingerprint": mark}))
    shutil.rmtree(out / "checkpoints/step-000012")
    run(toy, out, *LINE)
    near(out, single[0])
    assert series(out, "events")[9] == ["resumed from step-000008"]


@pytest.mark.slow
def test_a_rank_killed_the_others_end_and_the_same_command_goes_on(toy, tmp_path):
    out, uncut = tmp_path / "run", tmp_path / "uncut"
    line = ("steps=80", "checkpoint.every=5", "micro_batch=2", "eval.sequences=4")
    process = torchrun(2, words(toy, out, *line))
    until = time.monotonic() + 60
    while time.monotonic() < until and not ((out / "metrics.jsonl").is_file() and max(series(out), default=0) >= 8):
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
    assert finish(process)[0] != 0
    assert not (out / "manifest.json").exists()
    for folder in (out, uncut):
        code, _, err = finish(torchrun(2, words(toy, folder, *line)))
        assert code == 0, err
    assert {n: round(x, 6) for n, x in series(out).items()} == {n: round(x, 6) for n, x in series(uncut).items()}
    assert any("resumed" in event for events in series(out, "events").values() for event in events)


def test_a_mistake_is_said_once_and_all_leave(toy, tmp_path):
    (tmp_path / "mine.txt").write_text("letters")
    code, _, err = finish(torchrun(2, words(toy, tmp_path, *LINE)))
    assert code != 0
    assert err.count("is not empty and holds no run") == 1


def test_alone_there_is_nothing_to_agree_on():
    assert parallel.world() == 1
    assert parallel.by_first(lambda: 5) == 5
    assert parallel.agree(2.5, True) == (2.5, True)


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(ConfigError, match="torchrun"), parallel.joined():
        pass


@pytest.mark.parametrize(("world", "torn_down"), [("1", True), ("2", False)])
def test_one_of_several_leaves_without_tearing_the_interpreter_down(world, torn_down):
    script = (
        "import atexit\nfrom eval.parallel import leave\n"
        "class Held:\n    def __del__(self): print('torn down', flush=True)\n"
        "held = Held()\natexit.register(print, 'registered for the exit')\nprint('last words')\nleave(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "WORLD_SIZE": world},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.splitlines()[:2] == ["last words", "registered for the exit"]
    assert ("torn down" in done.stdout) is torn_down
