import json
import random
from collections import namedtuple

import numpy as np
import pytest
import torch

from train import checkpoint
from train.checkpoint import CheckpointSettings
from workbench import manifest
from workbench.errors import OutputError


def put(run, step, text="x" * 100):
    def write(folder):
        (folder / "a.bin").write_text(text)
        return [folder / "a.bin"]

    return checkpoint.save(run, step, write, 1_000)


def test_the_newest_complete_one_is_taken(tmp_path):
    assert checkpoint.newest_complete(tmp_path) is None
    put(tmp_path, 9)
    newest = put(tmp_path, 10)
    assert checkpoint.newest_complete(tmp_path) == newest
    assert manifest.wrong_with(newest) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: (p / "manifest.json").unlink(), "no readable manifest"),
        (lambda p: (p / "manifest.json").write_text("{"), "no readable manifest"),
        (lambda p: (p / "a.bin").unlink(), "lacks a.bin"),
        (lambda p: (p / "a.bin").write_text("x" * 99), "99 of 100 bytes"),
        (lambda p: (p / "a.bin").write_text("y" * 100), "another hash"),
    ],
)
def test_a_damaged_one_is_told_and_passed_over(tmp_path, capsys, damage, said):
    good = put(tmp_path, 1)
    damage(put(tmp_path, 2))
    assert checkpoint.newest_complete(tmp_path) == good
    err = capsys.readouterr().err
    assert said in err
    assert "passed over" in err


def test_a_save_that_was_cut_off_leaves_no_checkpoint(tmp_path, capsys):
    good = put(tmp_path, 1)
    half = tmp_path / "checkpoints" / ".step-000002-all.tmp"
    half.mkdir()
    (half / "a.bin").write_text("x")
    assert checkpoint.newest_complete(tmp_path) == good
    assert "cut off" in capsys.readouterr().err
    assert not half.exists()


def test_a_save_that_fails_leaves_nothing_and_harms_nothing(tmp_path):
    good = put(tmp_path, 1)

    def fail(folder):
        (folder / "a.bin").write_text("half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        checkpoint.save(tmp_path, 2, fail, 1)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [good.name]


def test_no_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: usage(10, 9, 5_000_000))
    with pytest.raises(OutputError, match="GB are free, a checkpoint needs"):
        checkpoint.save(tmp_path, 1, lambda folder: [], 10_000_000)
    assert not (tmp_path / "checkpoints").exists()


def test_kept_by_count_and_by_milestone(tmp_path):
    for step in range(10, 70, 10):
        put(tmp_path, step)
        checkpoint.prune(tmp_path, CheckpointSettings(keep=2, milestone=20))
    kept = sorted(checkpoint.step_of(p) for p in (tmp_path / "checkpoints").iterdir())
    assert kept == [20, 40, 50, 60]


def test_generators_come_back_exactly(tmp_path):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    random.gauss(0, 1), np.random.normal(), torch.rand(3)
    rest = json.loads(json.dumps(checkpoint.save_rng(tmp_path)))
    draw = lambda: (random.gauss(0, 1), random.random(), np.random.normal(), torch.rand(2).tolist())  # noqa: E731
    first = draw()
    draw()
    checkpoint.load_rng(tmp_path, rest)
    assert draw() == first


def test_adamw_comes_back_exactly(tmp_path):
    def train(steps, model, optimizer):
        for n in range(steps):
            torch.manual_seed(n)
            model(torch.randn(4, 3)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    def fresh():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.8, 0.9), weight_decay=0.3)

    model, optimizer = fresh()
    train(3, model, optimizer)
    rest = json.loads(json.dumps(checkpoint.save_optimizer(optimizer, tmp_path)))
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    train(2, model, optimizer)
    other, its = fresh()
    other.load_state_dict(weights)
    checkpoint.load_optimizer(its, tmp_path, rest)
    train(2, other, its)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not [p for p in tmp_path.iterdir() if p.suffix in (".pt", ".pth", ".bin")]
