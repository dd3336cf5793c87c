"""A reward model learns a separable preference on held-out pairs; its loss is TRL's; its report says what it does not know."""

import json
import shutil
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from eval.merge import merge
from eval.models import load_model, load_reward_model
from eval.pairs import batch
from eval.reward import Judged, judge, report, rewards, wilson
from tests.train.talk import make_base, material, preferences, run, write
from tests.train.test_pt import exact
from train.rm import pair_loss
from train.trainer import Discipline
from workbench.errors import InputError
from workbench.runs import metrics

WORDS = ("steps=30", "batch=8", "micro_batch=4", "optim.lr=3e-3", "optim.weight_decay=0", "held_out=0.4")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return preferences(tmp_path_factory.mktemp("data") / "喜好.jsonl", 100, axis="helpful", margin=0.5)


@pytest.fixture(scope="module")
def learnt(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("rm") / "run"
    return out, run("rm", base, data, out, *WORDS)


def encoded(base, path, window=96):
    rows = material(base, path, "rm", window)
    return rows.pairs(rows.train)


def test_a_separable_preference_is_learnt_for_pairs_never_seen(base, data, learnt):
    out, results = learnt
    before, after = results["scores"]["accuracy"]
    found = json.loads((out / "reward-report.json").read_text(encoding="utf-8"))
    assert found["all"]["n"] >= 30
    assert before < 0.5
    assert after == found["all"]["accuracy"] >= 0.95
    assert found["axes"]["helpful"]["n"] == found["all"]["n"]
    assert found["axes"]["honest"] == {"n": 0, "accuracy": None, "interval": None}
    assert list(found["sources"]) == ["喜好"]
    assert abs(found["mean_reward"]) < 1
    assert ["axis harmless", "no data", ""] in results["told"]
    rows = [row for row in metrics.read(out) if "lr" in row]
    assert rows[-1]["pair_accuracy"] > 0.9 > rows[0]["pair_accuracy"]
    assert rows[-1]["reward_margin"] > 1 > rows[0]["reward_margin"]
    assert "text-classification" in (out / "model/README.md").read_text(encoding="utf-8")


def test_the_saved_model_gives_the_same_numbers_to_those_who_load_it(base, data, learnt):
    """Also through transformers' own forward, which finds the last id by the padding's."""
    model = load_reward_model(learnt[0], "cpu")
    some = encoded(base, data)[:6]
    inputs = batch(some, 384)
    with torch.inference_mode():
        ours = rewards(model, inputs["input_ids"], inputs["lengths"])
        mask = torch.arange(inputs["input_ids"].shape[1]) < inputs["lengths"][:, None]
        theirs = model(input_ids=inputs["input_ids"], attention_mask=mask.long()).logits[:, 0]
        assert torch.allclose(ours, theirs, atol=1e-5)
        judged = judge(model, some, 4)
    assert [pair.chosen for pair in judged] == pytest.approx(ours[:6].tolist(), abs=1e-5)


def test_the_loss_is_trls(base, data):
    """TRL's RewardTrainer.compute_loss on our collator's batch, with its margin and its centring."""
    from trl import RewardTrainer

    torch.manual_seed(0)
    model = load_reward_model(base, "cpu", fresh=True).eval()
    model.config.pad_token_id = 0
    inputs = batch(encoded(base, data)[:5], 384)
    mask = torch.arange(inputs["input_ids"].shape[1]) < inputs["lengths"][:, None]
    alike = {"gather": lambda x: x, "gather_for_metrics": lambda x: x}
    trainer = SimpleNamespace(
        model=model,
        args=SimpleNamespace(center_rewards_coefficient=0.03),
        accelerator=SimpleNamespace(**alike),
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    given = {"input_ids": inputs["input_ids"], "attention_mask": mask.long(), "margin": inputs["label"]}
    theirs = RewardTrainer.compute_loss(trainer, model, given)
    chosen, rejected = rewards(model, inputs["input_ids"], inputs["lengths"]).chunk(2)
    ours = pair_loss(chosen, rejected, inputs["label"], 0.03)["loss"]
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    without = pair_loss(chosen, rejected, 0 * inputs["label"], 0.03)["loss"]
    assert without.item() != pytest.approx(theirs.item(), abs=1e-3)
    grads = [torch.autograd.grad(loss, model.score.weight, retain_graph=True)[0] for loss in (ours, theirs)]
    assert torch.allclose(*grads, atol=1e-6)


def test_a_crash_changes_nothing_and_an_adapter_carries_its_head(base, data, tmp_path, monkeypatch):
    short = ("steps=6", "batch=4", "micro_batch=2", "optim.lr=3e-3", "checkpoint.every=2", "tune=lora", "lora.rank=4")
    whole, out, step = tmp_path / "whole", tmp_path / "run", Discipline.check_step
    results = run("rm", base, data, whole, *short)

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 4:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run("rm", base, data, out, *short)
    monkeypatch.undo()
    assert run("rm", base, data, out, *short)["scores"] == results["scores"]
    assert exact(out) == exact(whole)
    assert merge(out, tmp_path / "merged")["difference"] < 1e-5
    model = load_reward_model(tmp_path / "merged", "cpu")
    head = load_file(out / "adapter/adapter_model.safetensors")
    (name,) = [name for name in head if "score" in name]
    assert torch.equal(model.score.weight, head[name])
    again = run(
        "rm", tmp_path / "merged", data, tmp_path / "again", "steps=1", "batch=4", "micro_batch=4", "optim.lr=0"
    )
    assert again["scores"]["accuracy"][0] == pytest.approx(results["scores"]["accuracy"][1], abs=1e-6)


def test_what_is_no_reward_model_is_said(base, learnt, tmp_path):
    with pytest.raises(InputError, match="is no reward model: it has no score head; make one with: train stage=rm"):
        load_reward_model(base)
    with pytest.raises(InputError, match="is a reward model, which cannot continue text"):
        load_model(learnt[0])
    headless = tmp_path / "model"
    shutil.copytree(learnt[0] / "model", headless)
    tensors = load_file(headless / "model.safetensors")
    del tensors["score.weight"]
    save_file(tensors, headless / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"is a reward model without its head \(score.weight\)"):
        load_reward_model(headless)


def test_a_prompt_that_is_too_long_loses_its_oldest_exchanges_the_same_for_both(base, tmp_path):
    user, said = {"role": "user", "content": "1" * 50}, {"role": "assistant", "content": "好。"}
    last = {"role": "user", "content": "二"}
    rows = [
        {"messages": [user, said, last], "chosen": "好。", "rejected": "不好。"},
        {"messages": [last], "chosen": "好。" * 40, "rejected": "不好。"},
        {"messages": [last], "chosen": "好。", "rejected": "不好。"},
    ]
    found = material(base, write(tmp_path / "a.jsonl", rows), "rm", 48)
    first, second = found.pairs(found.train)
    assert first.prompt.tolist() == second.prompt.tolist()
    assert found.shortened == 1
    (faulty,) = found.left_out
    assert faulty.place.startswith("a.jsonl:2")
    assert "the window is 48" in faulty.cause


def test_the_report_by_hand():
    judged = [
        Judged(2.0, 1.0, 10, 5, "a", "helpful"),
        Judged(0.0, 1.0, 3, 5, "a", "helpful"),
        Judged(1.0, 1.0, 4, 4, "b", None),
        Judged(3.0, 0.0, 9, 2, "b", "harmless"),
    ]
    found = report(judged)
    assert found["all"]["accuracy"] == 2.5 / 4
    assert found["sources"]["a"]["accuracy"] == 0.5
    assert found["sources"]["b"]["accuracy"] == 0.75
    assert found["axes"]["harmless"]["accuracy"] == 1.0
    assert found["length"]["length_only"]["accuracy"] == 2.5 / 4
    assert found["length"]["chosen_shorter"] == {"n": 1, "accuracy": 0.0, "interval": list(wilson(0, 1))}
    half, three = 1 / (1 + 2.718281828**-1), 1 / (1 + 2.718281828**-3)
    bins = found["calibration"]["bins"]
    assert [row["n"] for row in bins] == [1, 0, 2, 0, 1]
    assert bins[2]["confidence"] == pytest.approx(half)
    expected = (abs(0.5 - 0.5) + 2 * abs(half - 0.5) + abs(three - 1)) / 4
    assert found["calibration"]["expected_error"] == pytest.approx(expected)
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)  # Newcombe 1998, table I's method
    empty = report([])
    assert empty["all"]["accuracy"] is None
    assert ["held-out pairs", "no data", ""] in empty["told"]
