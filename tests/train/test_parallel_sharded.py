"""Weights and moments divided between two gloo processes: the losses of one process, exact resume, whole final models."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from safetensors.torch import load_file

from tests.train.talk import dialogues, make_base
from tests.train.talk import words as talk_words
from tests.train.test_parallel import LINE, finish, near, torchrun
from tests.train.test_pt import run, series, words
from train import checkpoint
from train.settings import resolve
from train.sharded import check
from workbench import manifest
from workbench.errors import ConfigError

ZERO = [
    pytest.param(
        kind,
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed"),
        ],
    )
    for kind in ("zero1", "zero2", "zero3")
]
# whatever rises a little over the trend is a spike: the policy is put to work on a few steps of each run
TOUCHY = ("spikes.window=6", "spikes.deviations=1", "spikes.loss_factor=1", "spikes.norm_factor=1", "spikes.in_a_row=9")


@pytest.fixture(scope="module")
def single(toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("single") / "run"
    run(toy, out, *LINE)
    return out


def cut_back(out, step):
    """Make a finished run one that was cut off after a step."""
    mark = json.loads((out / "manifest.json").read_text())["fingerprint"]
    (out / "manifest.json").unlink()
    (out / "unfinished.json").write_text(json.dumps({"kind": "run", "fingerprint": mark}))
    for path in (out / "checkpoints").iterdir():
        if checkpoint.step_of(path) > step:
            shutil.rmtree(path)


def six(out):
    return {step: round(loss, 6) for step, loss in series(out).items()}


@pytest.mark.parametrize("kind", ["fsdp2", *ZERO])
def test_divided_as_whole_and_gone_on_from_a_checkpoint(toy, single, tmp_path, kind):
    out = tmp_path / "run"
    code, _, err = finish(torchrun(2, words(toy, out, *LINE, f"parallel={kind}")))
    assert code == 0, err
    near(out, single)
    for key, places in (("grad_norm", 1e-4), ("lr", 0), ("bits_per_byte", 1e-5), ("tokens", 0)):
        assert series(out, key) == pytest.approx(series(single, key), abs=places), key
    ours, whole = (load_file(folder / "model/model.safetensors") for folder in (out, single))
    assert sorted(ours) == sorted(whole)
    assert max(float((ours[name] - whole[name]).abs().max()) for name in whole) < 1e-3
    folder = out / "checkpoints/step-000008"
    listed = {entry["path"] for entry in json.loads((folder / "manifest.json").read_text())["files"]}
    assert {f"shard-0000{rank}-of-00002.safetensors" for rank in (0, 1)} <= listed
    assert listed == {path.name for path in folder.iterdir()} - {"manifest.json"}
    before = six(out)
    cut_back(out, 8)
    code, _, err = finish(torchrun(2, words(toy, out, *LINE, f"parallel={kind}")))
    assert code == 0, err
    assert series(out, "events")[9] == ["resumed from step-000008"]
    assert six(out) == before
    (folder / "shard-00001-of-00002.safetensors").unlink()
    assert manifest.wrong_with(folder) == "lacks shard-00001-of-00002.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp2", *ZERO[1:2]])
def test_all_ranks_killed_and_the_same_command_goes_on(toy, tmp_path, kind):
    out, uncut = tmp_path / "run", tmp_path / "uncut"
    line = ("steps=40", "checkpoint.every=5", "micro_batch=2", "eval.sequences=4", f"parallel={kind}")
    process = torchrun(2, words(toy, out, *line))
    until = time.monotonic() + 90
    while time.monotonic() < until and not ((out / "metrics.jsonl").is_file() and max(series(out), default=0) >= 8):
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGKILL)
    assert finish(process)[0] != 0
    assert not (out / "manifest.json").exists()
    for folder in (out, uncut):
        code, _, err = finish(torchrun(2, words(toy, folder, *line)))
        assert code == 0, err
    assert six(out) == six(uncut)
    assert any("resumed" in event for events in series(out, "events").values() for event in events)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp2", *ZERO[1:2]])
def test_another_number_of_processes(toy, single, tmp_path, kind):
    out = tmp_path / "run"
    line = words(toy, out, *LINE, "micro_batch=1", f"parallel={kind}")
    code, _, err = finish(torchrun(2, line))
    assert code == 0, err
    cut_back(out, 8)
    code, _, err = finish(torchrun(4, line))
    if kind == "fsdp2":
        assert code == 0, err
        near(out, single)
    else:
        assert code != 0
        assert err.count("was written by 2, and ZeRO's shards fit no other number; start 2") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "action"), [("fsdp2", "rollback"), *((p.values[0], "skip") for p in ZERO[1:])])
def test_the_policy_on_spikes_is_that_of_one_process(toy, tmp_path, kind, action):
    if kind != "fsdp2" and find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed")
    restless = "optim.lr=0.03"  # so high that the loss leaves its trend by itself
    line = (
        "steps=16",
        "checkpoint.every=4",
        "micro_batch=2",
        restless,
        *TOUCHY,
        f"spikes.action={action}",
        "spikes.rollbacks=1",
    )
    run(toy, tmp_path / "one", *line)
    code, _, err = finish(torchrun(2, words(toy, tmp_path / "two", *line, f"parallel={kind}")))
    assert code == 0, err
    spikes = [
        [(step, spike["step"], spike["action"]) for step, spike in series(tmp_path / name, "spike").items()]
        for name in ("one", "two")
    ]
    assert spikes[0] == spikes[1] != []
    near(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_dialogues_under_fsdp2(tmp_path):
    base, data = make_base(tmp_path / "base"), dialogues(tmp_path / "d.jsonl", 30)
    more = ["batch=4", "micro_batch=2", "steps=4", "optim.lr=3e-3", "held_out=0.2", "packing=false"]
    for name, ranks, kind in (("one", 2, "ddp"), ("two", 2, "fsdp2")):
        code, _, err = finish(
            torchrun(ranks, talk_words("sft", base, data, tmp_path / name, *more, f"parallel={kind}"))
        )
        assert code == 0, err
    for key in ("loss", "held_out_loss"):
        assert series(tmp_path / "two", key) == pytest.approx(series(tmp_path / "one", key), abs=1e-5), key


def test_deepspeed_says_nothing_where_it_is_not_used(toy, tmp_path):
    pytest.importorskip("deepspeed")
    environment = {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}
    command = [sys.executable, "-m", "train", *words(toy, tmp_path / "run", "steps=1")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "accelerator" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("stage", "more", "says"),
    [
        ("pt", ("parallel=ddp", "offload=true"), "ddp keeps everything"),
        ("pt", ("parallel=fsdp2", "tune=lora", "model.weights=x"), "use parallel=ddp"),
        ("pt", ("parallel=zero3", "tune=qlora", "model.weights=x"), "tune=qlora trains too little to divide"),
        ("pt", ("parallel=fsdp2", "precision=fp16"), "no loss scaler"),
        ("dpo", ("parallel=fsdp2",), "stage=dpo runs under ddp only"),
        ("pt", ("parallel=zero2", "spikes.action=rollback"), "use skip or lower"),
    ],
)
def test_what_does_not_go_together_is_refused(toy, tmp_path, monkeypatch, stage, more, says):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("train.sharded.find_spec", lambda name: object())
    settings = resolve(words(toy, tmp_path, *more))[1].value
    with pytest.raises(ConfigError, match=says):
        check(stage, settings)


def test_one_process_and_a_missing_deepspeed_are_refused(toy, tmp_path, monkeypatch):
    settings = resolve(words(toy, tmp_path, "parallel=zero2"))[1].value
    with pytest.raises(ConfigError, match="torchrun"):
        check("pt", settings)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("train.sharded.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"yanmo\[parallel\]"):
        check("pt", settings)
