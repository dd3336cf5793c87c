"""A poisoned batch is caught on a falling curve, the policy acts, the run recovers; a clean run raises no alarm."""

import json
import math
import shutil

import numpy as np
import pytest

from tests.train.test_pt import exact, run, series
from tests.train.toy import make_corpus, make_tokenizer, make_tokens
from tokenizer.shards import TokenShards
from train.cli import command
from train.data import MicroBatches, Order
from train.spikes import SpikeSettings, Watch, next_sample
from train.trainer import Discipline
from workbench.runs import metrics

AT = 25  # the poisoned step
LINE = ("steps=45", "checkpoint.every=10", "optim.lr=5e-3")


def falling(n, seed, noise=0.02):
    curve = 2 + 8 * np.exp(-np.arange(n) / 30)
    return curve * np.exp(np.random.default_rng(seed).normal(0, noise, n))


@pytest.mark.parametrize("seed", range(10))
def test_a_falling_curve_raises_no_alarm_and_a_spike_on_it_does(seed):
    losses = falling(200, seed)
    watch = Watch(SpikeSettings())
    assert [watch.judge(x, 1.0) for x in losses] == [None] * 200
    losses[20] *= 1.35  # hardly above where the curve stood at the window's beginning
    watch = Watch(SpikeSettings())
    found = [n for n, x in enumerate(losses) if watch.judge(x, 1.0)]
    assert found == [20]


def test_the_gradient_norm_is_watched_too():
    watch = Watch(SpikeSettings())
    found = [watch.judge(2.0, 30.0 if n == 30 else 1.0) for n in range(40)]
    assert [n for n, f in enumerate(found) if f] == [30]
    assert found[30][0] == "grad_norm"
    assert found[30][2] == pytest.approx(1.0)


def test_a_level_that_stays_becomes_the_normal():
    watch = Watch(SpikeSettings(in_a_row=3))
    found = [bool(watch.judge(2.0 if n < 20 else 4.0, 1.0)) for n in range(60)]
    assert [n for n, f in enumerate(found) if f] == [20, 21, 22]


def test_what_is_not_finite_and_what_is_switched_off():
    watch = Watch(SpikeSettings())
    assert not any(watch.judge(2.0, math.inf) for _ in range(30))
    off = Watch(SpikeSettings(action=None))
    assert not any(off.judge(2.0 if n != 20 else 50.0, 1.0) for n in range(30))


def test_the_memory_survives_a_checkpoint():
    losses = falling(60, 1)
    one, other = Watch(SpikeSettings()), Watch(SpikeSettings())
    for x in losses:
        one.judge(x, 1.0)
    one.skipped, one.lowered = [(4, 8)], [(10, 20)]
    other.load(json.loads(json.dumps(one.state())))
    assert other.state() == one.state()
    assert [other.rate_factor(n) for n in (9, 10, 19, 20)] == [1.0, 0.5, 0.5, 1.0]


def test_left_out_batches_are_jumped_over_by_every_rank():
    order = Order(50, 3)
    ranks = [MicroBatches(order, size=2, total=9, rank=r, world=2) for r in range(2)]
    for rank in ranks:
        rank.skipped = [(4, 8), (8, 12), (20, 24)]
    streams = [iter(rank) for rank in ranks]
    taken = [i for _ in range(4) for stream in streams for i in next(stream)]
    assert taken == [order[k] for k in [*range(4), *range(12, 20), *range(24, 28)]]
    assert next_sample(5, [(4, 8), (8, 12)]) == 12


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """As ``toy``, with enough text for one pass."""
    folder = tmp_path_factory.mktemp("world")
    corpus = make_corpus(folder / "corpus", train=260)
    make_tokens(folder / "tokens", make_tokenizer(folder / "tok"), train=260, corpus=corpus)
    return folder


@pytest.fixture(scope="module")
def clean(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("clean") / "run"
    return out, run(world, out, *LINE)


@pytest.fixture(scope="module")
def poisoned(world, tmp_path_factory):
    """The toy world with random ids in the four sequences of step 25 (seed 0, first pass)."""
    folder = tmp_path_factory.mktemp("poisoned")
    for name in ("tok", "tokens", "corpus"):
        shutil.copytree(world / name, folder / name)
    shards = TokenShards.open(folder / "tokens", "train")
    order = Order(len(shards), 0)
    assert len(shards) >= 4 * 48
    ids = np.memmap(folder / "tokens/train/shard-00000.bin", "<u2", "r+").reshape(-1, shards.seq_len)
    documents = set()
    for k in range(4 * (AT - 1), 4 * AT):
        ids[order[k]] = np.random.default_rng(k).integers(3, 259, shards.seq_len)
        documents |= set(shards.documents(order[k]))
    ids.flush()
    return folder, documents


def spikes(out):
    return [(row["step"], row["spike"]) for row in metrics.read(out) if "spike" in row]


def test_no_false_alarm_on_a_clean_run(clean):
    assert spikes(clean[0]) == []


def test_skip_the_step_is_not_taken_and_the_run_recovers(poisoned, clean, tmp_path, capsys):
    folder, documents = poisoned
    out = tmp_path / "run"
    results = run(folder, out, *LINE)
    ((step, spike),) = spikes(out)
    assert step == spike["step"] == AT
    assert set(spike["documents"]) == documents
    assert spike["samples"] == [4 * (AT - 1), 4 * AT]
    assert spike["action"] == "the step is not taken"
    assert spike["value"] > 1.2 * spike["expected"]
    assert "spike at step 25" in capsys.readouterr().err
    losses, good = series(out), series(clean[0])
    assert all(losses[n] == good[n] for n in range(1, AT))
    assert losses[AT + 1] == pytest.approx(good[AT + 1], rel=0.1)
    assert results["bits_after"] == pytest.approx(clean[1]["bits_after"], rel=0.05)

    assert command(["spikes", str(out), "--corpus", str(folder / "corpus")]) == 0
    text = capsys.readouterr().out
    assert "1 spikes of" in text
    assert all(name in text for name in documents)
    assert "医生" in text or "老师" in text or "农民" in text or "诗人" in text


def test_rollback_goes_back_and_never_sees_the_batch(poisoned, clean, tmp_path):
    out = tmp_path / "run"
    results = run(poisoned[0], out, *LINE, "spikes.action=rollback")
    ((step, spike),) = spikes(out)
    assert (step, spike["step"]) == (20, AT)
    state = json.loads((out / "checkpoints/step-000045/state.json").read_text())
    assert state["spikes"]["skipped"] == [[4 * (AT - 3), 4 * AT]]
    assert state["cursor"] == 4 * 45 + 4 * 3
    losses, good = series(out), series(clean[0])
    assert sorted(losses) == list(range(1, 46))
    for n in range(1, AT - 2):
        assert losses[n] == pytest.approx(good[n], abs=1e-6)  # the replayed steps are those that were
    assert max(losses[n] for n in range(22, 46)) < spike["value"]
    assert results["bits_after"] == pytest.approx(clean[1]["bits_after"], rel=0.05)


def test_rollback_with_nothing_to_go_back_to_skips(poisoned, tmp_path):
    out = tmp_path / "run"
    run(poisoned[0], out, "steps=27", "optim.lr=5e-3", "checkpoint.every=none", "spikes.action=rollback")
    ((_, spike),) = spikes(out)
    assert spike["action"] == "the step is not taken"


def test_lower_takes_the_step_at_half_the_rate(poisoned, clean, tmp_path):
    out = tmp_path / "run"
    run(poisoned[0], out, *LINE, "spikes.action=lower", "spikes.lower_steps=10")
    ((_, spike),) = spikes(out)
    assert "x 0.5 for 10 steps" in spike["action"]
    rates, good = series(out, "lr"), series(clean[0], "lr")
    for step in range(1, 46):
        factor = 0.5 if AT <= step < AT + 10 else 1.0
        assert rates[step] == pytest.approx(factor * good[step], rel=1e-9), step


@pytest.mark.parametrize("action", ["skip", "rollback", "lower"])
def test_a_stop_after_the_spike_changes_nothing(poisoned, tmp_path, monkeypatch, action):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    line = ("steps=36", "checkpoint.every=10", "optim.lr=5e-3", f"spikes.action={action}", "spikes.lower_steps=10")
    run(poisoned[0], whole, *line)
    step = Discipline.check_step

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 33:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run(poisoned[0], cut, *line)
    monkeypatch.undo()
    run(poisoned[0], cut, *line)
    assert exact(cut) == exact(whole)
    assert spikes(cut) == spikes(whole)
