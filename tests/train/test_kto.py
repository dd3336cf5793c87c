"""KTO's loss is the paper's, and good answers become likelier than bad ones, on questions never seen."""

import math

import numpy as np
import pytest
import torch

from tests.train.talk import make_base, material, run, sentence, write
from tests.train.test_pt import series
from train.instruct import StartSettings
from train.kto import KtoSettings, rated_loss
from workbench.runs import metrics


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(80):
        good = bool(rng.integers(2))
        answer = (
            f"诗人{rng.choice(['在山上', '在城里'])}饮酒。" if good else f"农民{rng.choice(['在河边', '在家中'])}种田。"
        )
        said = [{"role": "user", "content": f"{n}{sentence(rng)}"}, {"role": "assistant", "content": answer}]
        rows.append({"messages": said, "label": good})
    return write(tmp_path_factory.mktemp("data") / "评价.jsonl", rows)


def test_the_loss_by_hand():
    settings = KtoSettings(data=("a",), model=StartSettings(weights="b"), beta=0.2, good_weight=1.5, bad_weight=0.5)
    own, other = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, 1.0, 0.0])
    label = torch.tensor([1.0, -1.0, -1.0])
    found = rated_loss(own, other, label, settings)

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    z = 0.5
    good = 1.5 * (1 - sigmoid(0.2 * (1.0 - z)))
    bad = 0.5 * (1 - sigmoid(0.2 * (z + 2.0))) + 0.5 * (1 - sigmoid(0.2 * (z - 3.0)))
    assert found["loss"].item() == pytest.approx((good + bad) / 3, abs=1e-6)
    assert found["pair_accuracy"].item() == pytest.approx(2 / 3)
    assert rated_loss(own, -other, label, settings)["kl"].item() == 0  # a divergence is not below zero


def test_beside_each_answer_stands_the_next_rows(base, data):
    rows = material(base, data, "kto")
    found = rows.compared(rows.train)
    assert [pair.label for pair in found] == [1.0 if row.good else -1.0 for row in rows.train]
    for pair, following in zip(found, [*found[1:], found[0]], strict=True):
        assert pair.rejected.tolist() == following.chosen.tolist()


@pytest.mark.parametrize("tune", ["full", pytest.param("lora", marks=pytest.mark.slow)])
def test_good_answers_become_likelier_than_bad_ones(base, data, tmp_path, tune):
    words = ("steps=25", "batch=8", "micro_batch=8", "optim.weight_decay=0", "held_out=0.3", f"tune={tune}", "beta=0.2")
    rate = "2e-3" if tune == "full" else "2e-2"
    results = run("kto", base, data, tmp_path / "run", *words, f"optim.lr={rate}")
    before, after = results["scores"]["accuracy"]
    assert before == pytest.approx(0.5, abs=0.1)
    assert after > 0.95
    assert results["scores"]["margin"][1] > 0.5
    assert series(tmp_path / "run")[1] == pytest.approx(0.5, abs=1e-3)  # no ratio yet: 1 - sigmoid(0)
    assert series(tmp_path / "run")[25] < 0.45
    assert all(row["kl"] >= 0 for row in metrics.read(tmp_path / "run") if "lr" in row)
