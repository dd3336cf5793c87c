"""DPO's losses are the papers', its reference needs no copy, and the margin of held-out pairs grows."""

import json
import math

import numpy as np
import pytest
import torch

from eval.models import load_model
from eval.pairs import answer_log_probs, batch
from tests.train.talk import make_base, material, preferences, run
from tests.train.test_pt import exact, series
from train.dpo import preference_loss
from train.trainer import Discipline
from workbench.errors import ConfigError
from workbench.runs import metrics

WORDS = ("steps=20", "batch=8", "micro_batch=4", "optim.lr=2e-3", "optim.weight_decay=0", "held_out=0.3")
SHORT = ("steps=6", "batch=4", "micro_batch=2", "optim.lr=3e-3", "checkpoint.every=2")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("other"), "seed=7")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return preferences(tmp_path_factory.mktemp("data") / "喜好.jsonl", 60)


@pytest.fixture(scope="module")
def some(base, data):
    rows = material(base, data, "dpo")
    return rows.pairs(rows.train)[:5]


def slow_log_prob(model, prompt, answer):
    """log p(answer | prompt) in double precision, id by id, without padding or batches."""
    ids = torch.tensor([[*prompt.tolist(), *answer.tolist()]])
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[0].double()
    total = 0.0
    for at in range(len(prompt), ids.shape[1]):
        row = logits[at - 1]
        total += float(row[ids[0, at]]) - math.log(float(torch.exp(row - row.max()).sum())) - float(row.max())
    return total


def slow_loss(kind, beta, smoothing, h):
    """The papers' equations in plain numbers."""

    def one(x):
        if kind == "sigmoid":  # Rafailov et al., 7
            return math.log(1 + math.exp(-beta * x))
        if kind == "ipo":  # Azar et al., 17
            return (x - 1 / (2 * beta)) ** 2
        return max(0.0, 1 - beta * x)  # Zhao et al., on DPO's ratio

    return (1 - smoothing) * one(h) + smoothing * one(-h)


@pytest.mark.parametrize("kind", ["sigmoid", "ipo", "hinge"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_the_loss_of_our_batch_is_the_papers(base, other, some, kind, smoothing, beta):
    policy, reference = load_model(other, "cpu").double(), load_model(base, "cpu").double()
    inputs = batch(some, 384)
    inputs.pop("label")
    with torch.no_grad():
        over = answer_log_probs(policy, **inputs, per_token=False) - answer_log_probs(
            reference, **inputs, per_token=False
        )
    chosen, rejected = over.chunk(2)
    ours = preference_loss(chosen - rejected, beta, kind, smoothing)
    for pair, found in zip(some, ours.tolist(), strict=True):
        h = [
            slow_log_prob(policy, pair.prompt, a) - slow_log_prob(reference, pair.prompt, a)
            for a in (pair.chosen, pair.rejected)
        ]
        expected = slow_loss(kind, beta, smoothing, h[0] - h[1])
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_the_gradient_is_autograds_over_whole_logits(base, some):
    model = load_model(base, "cpu").float()
    inputs = batch(some, 384)
    inputs.pop("label")
    ours = answer_log_probs(model, **inputs, per_token=True)
    logits = model(input_ids=inputs["input_ids"], use_cache=False).logits.log_softmax(-1)
    at = torch.arange(inputs["input_ids"].shape[1] - 1) + 1
    answers = (at >= inputs["prompts"][:, None]) & (at < inputs["lengths"][:, None])
    each = logits[:, :-1].gather(2, inputs["input_ids"][:, 1:, None])[..., 0]
    plain = (each * answers).sum(1) / answers.sum(1)
    assert torch.allclose(ours, plain, atol=1e-5)
    weights = torch.linspace(-1, 2, len(ours))
    parameters = list(model.parameters())
    one = torch.autograd.grad((ours * weights).sum(), parameters, retain_graph=True)
    two = torch.autograd.grad((plain * weights).sum(), parameters)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("kind", ["sigmoid", "ipo", "hinge"])
def test_the_margin_grows_on_pairs_never_seen(base, data, tmp_path, kind):
    out = tmp_path / "run"
    results = run("dpo", base, data, out, *WORDS, f"loss={kind}", "beta=0.2")
    before, after = results["scores"]["margin"]
    assert before == pytest.approx(0, abs=1e-4)  # the policy is its own reference
    assert after > 0.5 if kind != "ipo" else after == pytest.approx(0.5, abs=0.15)  # ipo pulls beta h to a half
    assert results["scores"]["accuracy"][1] > 0.9
    rows = [row for row in metrics.read(out) if "lr" in row]
    assert rows[0]["loss"] == pytest.approx({"sigmoid": math.log(2), "ipo": 6.25, "hinge": 1.0}[kind], abs=1e-3)
    assert rows[-1]["reward_margin"] > 0.35
    assert rows[-1]["reward_chosen"] > rows[-1]["reward_rejected"]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]


def test_a_reference_without_a_copy_is_the_precomputed_one(base, data, tmp_path):
    words = (*SHORT, "tune=lora", "lora.rank=4")
    adapter = run("dpo", base, data, tmp_path / "adapter", *words)
    before = run("dpo", base, data, tmp_path / "before", *words, "reference=precomputed")
    assert [adapter["reference"], before["reference"]] == ["adapter switched off", "precomputed"]
    assert not (tmp_path / "adapter/reference.npy").exists()
    one, two = series(tmp_path / "adapter"), series(tmp_path / "before")
    assert one == pytest.approx(two, abs=1e-5)
    assert one[6] < one[1]
    kept = np.load(tmp_path / "before/reference.npy")
    seen = ~np.isnan(kept).any(1)
    assert seen.sum() == 24 + (len(kept) - before["samples"])  # six steps of four, and the held-out ones


@pytest.mark.slow
def test_a_crash_changes_nothing(base, data, tmp_path, monkeypatch):
    whole, out, step = tmp_path / "whole", tmp_path / "run", Discipline.check_step
    run("dpo", base, data, whole, *SHORT)

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 4:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run("dpo", base, data, out, *SHORT)
    monkeypatch.undo()
    run("dpo", base, data, out, *SHORT)
    assert exact(out) == exact(whole)
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["config"]["stage"] == "dpo"


def test_an_adapter_that_is_not_there_is_no_reference(base, data, tmp_path):
    with pytest.raises(ConfigError, match="reference: adapter, but tune=full has none"):
        run("dpo", base, data, tmp_path / "run", "reference=adapter")
