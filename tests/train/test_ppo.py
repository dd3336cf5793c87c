"""The stage: it learns what is rewarded and stays near its reference, and a broken loss does not pass for it.

One batch through the trainer equals a slow reference answer by answer; resumed, stopped or divided, a run is the same.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.train.test_ppo_math import slow_whiten
from tests.train.tiny_chat import make_model, make_prompts
from train import ppo_math
from train.cli import command
from train.settings import resolve
from workbench import manifest
from workbench.errors import ConfigError, InputError
from workbench.runs import metrics

SMALL = [
    "reward=rule:share:好",
    "steps=12",
    "prompts=32",
    "minibatch=32",
    "micro_batch=64",
    "epochs=6",
    "rollout.batch=64",
    "rollout.max_prompt=8",
    "rollout.max_new=8",
    "kl.target=2",
    "kl.rate=1",
    "optim.lr=2e-3",
    "optim.warmup=1",
    "optim.schedule=constant",
    "precision=fp32",
]
FEW = ("steps=5", "prompts=8", "minibatch=8", "epochs=2", "checkpoint.every=2")
TIMES = ("seconds", "tokens_per_second", "tflops", "draw_seconds", "events")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products of this size are done before a second thread has woken up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_model(folder / "sft", layers=1)
    make_prompts(folder / "prompts.jsonl")
    return folder


def words(world, out, *more):
    given = [f"data={world}/prompts.jsonl", f"model.weights={world}/sft", f"out={out}", *SMALL, *more]
    return ["stage=ppo", *(f"{key}={value}" for key, value in dict(w.split("=", 1) for w in given).items())]


def run(world, out, *more):
    stage, loaded = resolve(words(world, out, *more))
    return stage.run(loaded, False)


def figures(out):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in metrics.read(out)]


def near(out, other, tolerance):
    a, b = figures(out), figures(other)
    assert [row["step"] for row in a] == [row["step"] for row in b]
    for row, wanted in zip(a, b, strict=True):
        assert row == pytest.approx(wanted, abs=tolerance), row["step"]


# --- it learns ---------------------------------------------------------------------------------------------------------


def learned(out):
    """What the proof asks: two deviations more reward, near the reference, no step far from the one before."""
    rows = metrics.read(out)
    last = sum(row["reward"] for row in rows[-3:]) / 3
    return (
        last >= rows[0]["reward"] + 2 * rows[0]["reward_deviation"],
        max(row["kl"] for row in rows) <= 8,
        max(row["step_kl"] for row in rows) <= 0.2,
    )


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, run(world, out)


def test_it_raises_the_reward_and_stays_near_the_reference(whole):
    out, results = whole
    assert learned(out) == (True, True, True)
    first = metrics.read(out)[0]
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    assert results["reward"][1] > first["reward"] + 2 * first["reward_deviation"]


def flipped(world, monkeypatch):
    right = ppo_math.policy_losses
    monkeypatch.setattr(ppo_math, "policy_losses", lambda logp, old, a, mask, clip: right(logp, old, -a, mask, clip))


@pytest.mark.parametrize(
    ("change", "more", "fails"),
    [
        (flipped, (), 0),
        (None, ("clip=1e9",), 2),
        (None, ("kl.coefficient=0",), 1),
    ],
    ids=["the sign of the advantage", "no clip", "no penalty"],
)
def test_a_broken_loss_does_not_pass(world, tmp_path, monkeypatch, change, more, fails):
    if change is not None:
        change(world, monkeypatch)
    run(world, tmp_path / "run", *more)
    assert not learned(tmp_path / "run")[fails]


# --- a batch through the trainer, against answers one by one -----------------------------------------------------------


def make_trainer(world, out, *more):
    from transformers import AutoTokenizer

    from eval.models import load_model
    from eval.scorer import make_reward
    from eval.value_head import ValueHead
    from tokenizer.prompts import read_prompts
    from train.ppo_batch import Models
    from train.ppo_trainer import Ppo
    from workbench.console import Unseen

    settings = resolve(words(world, out, *more))[1].value
    tokenizer = AutoTokenizer.from_pretrained(world / "sft")
    head = ValueHead(64)
    torch.nn.init.normal_(head.out.weight, std=0.1, generator=torch.Generator().manual_seed(5))
    models = Models(load_model(world / "sft", "cpu"), head)
    prompts = read_prompts(settings.data, world / "sft", template="own", window=8).asked
    reward = make_reward(settings.reward, tokenizer, torch.device("cpu"), 8)
    return Ppo(settings, models, tokenizer, prompts, reward, "fp32", None, metrics.Metrics(out, writes=False), Unseen())


def alone(model, head, prompt, answer):
    """log-probabilities, values and entropies of one answer, without padding, with gradients."""
    ids = torch.tensor([[*prompt, *answer]])
    out = model(ids, output_hidden_states=True)
    logs = out.logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    logp = logs[torch.arange(len(answer)), torch.tensor(answer)]
    return logp, head(out.hidden_states[-1])[0, len(prompt) - 1 : -1], -(logs.exp() * logs).sum(-1)


def test_a_batch_equals_the_slow_reference(world, tmp_path):
    """Ziegler's rewards, Schulman's advantages and both clipped losses, with gradients, from unpadded answers."""
    more = ("prompts=6", "rollouts=2", "minibatch=12", "micro_batch=5", "lam=0.9", "gamma=0.98", "kl.coefficient=0.2")
    trainer = make_trainer(world, tmp_path, *more, "entropy_coefficient=0.01", "value_clip=0.05")
    with torch.no_grad():  # a policy that has already left its reference
        for n, parameter in enumerate(trainer.models.policy.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(n)), alpha=0.01)
    batch = trainer.collect()
    policy, head, frozen = trainer.models.policy, trainer.models.head, trainer.models.frozen
    pairs = list(zip(batch.prompts, batch.answers, strict=True))
    assert len({len(answer) for answer in batch.answers}) > 1
    with torch.no_grad():
        drawn = [alone(policy, head, *pair) for pair in pairs]
        held = [alone(frozen, head, *pair)[0] for pair in pairs]
    rewards, values = [], [found[1].tolist() for found in drawn]
    for (_, answer), found, reference in zip(pairs, drawn, held, strict=True):
        text = trainer.tokenizer.decode(answer, skip_special_tokens=True)
        rewards.append((-0.2 * (found[0] - reference)).tolist())
        rewards[-1][-1] += text.count("好") / max(1, len(text))
    advantages, returns = [], []
    for reward, value in zip(rewards, values, strict=True):
        delta = [r + 0.98 * f - v for r, f, v in zip(reward, [*value[1:], 0.0], value, strict=True)]
        count = len(delta)
        advantages.append([sum((0.98 * 0.9) ** k * delta[t + k] for k in range(count - t)) for t in range(count)])
        returns.append([a + v for a, v in zip(advantages[-1], value, strict=True)])
    advantages = slow_whiten(advantages, True)
    for n, answer in enumerate(batch.answers):
        assert batch.advantages[n, : len(answer)].tolist() == pytest.approx(advantages[n], abs=1e-5)
        assert batch.returns[n, : len(answer)].tolist() == pytest.approx(returns[n], abs=1e-5)

    with torch.no_grad():  # an update later, so that ratios are not 1
        for n, parameter in enumerate([*policy.parameters(), *head.parameters()]):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(100 + n)), alpha=0.01)
    tokens, total, slow = sum(map(len, batch.answers)), 0.0, {"policy": 0.0, "value": 0.0, "held": 0}
    for n, pair in enumerate(pairs):
        now = alone(policy, head, *pair)
        for t in range(len(pair[1])):
            ratio = torch.exp(now[0][t] - drawn[n][0][t])
            a, old, target = advantages[n][t], values[n][t], returns[n][t]
            plain, clipped = ratio * a, min(max(ratio, torch.tensor(0.8)), torch.tensor(1.2)) * a
            near_old = old + torch.clamp(now[1][t] - old, -0.05, 0.05)
            value = 0.5 * max((now[1][t] - target) ** 2, (near_old - target) ** 2)
            total = total + (-min(plain, clipped) + 0.1 * value - 0.01 * now[2][t]) / tokens
            slow["policy"] += float(-min(plain, clipped).detach()) / tokens
            slow["value"] += float(value.detach()) / tokens
            slow["held"] += int(clipped < plain)
    wanted = torch.autograd.grad(total, trainer.models.trained)
    found = sum(trainer.backward(batch, rows, tokens) for rows in ([0, 3, 4, 7, 11], [1, 2, 5, 6, 8], [9, 10]))
    assert float(found[0]) == pytest.approx(slow["policy"], abs=1e-5)
    assert float(found[1]) == pytest.approx(slow["value"], abs=1e-5)
    assert 0 < slow["held"] == round(float(found[3]) * tokens)
    for parameter, gradient in zip(trainer.models.trained, wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)


# --- it goes on exactly ------------------------------------------------------------------------------------------------

NOISY = """
import os, random, signal
import numpy as np, torch
calls = 0
def noisy(prompts, answers):
    global calls
    calls += 1
    if calls == int(os.environ.get("STOP_AT", "0")):
        os.kill(os.getpid(), signal.SIGTERM)
    return [a.count("好") + float(torch.rand(())) * 0.1 + np.random.rand() * 0.1 + random.random() * 0.1 for a in answers]
"""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    path = tmp_path_factory.mktemp("reward") / "奖励.py"
    path.write_text(NOISY, encoding="utf-8")
    return f"reward=python:{path}:noisy"


@pytest.fixture(scope="module")
def uncut(world, noisy, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "uncut"
    run(world, out, *FEW, noisy)
    return out


def test_a_crash_changes_nothing(world, noisy, uncut, tmp_path, monkeypatch):
    from train.ppo_trainer import Ppo

    update = Ppo.update

    def crash(self, batch):
        if self.step == 3:
            raise RuntimeError("power cut")
        return update(self, batch)

    monkeypatch.setattr(Ppo, "update", crash)
    with pytest.raises(RuntimeError):
        run(world, tmp_path / "run", *FEW, noisy)
    monkeypatch.undo()
    run(world, tmp_path / "run", *FEW, noisy)
    near(tmp_path / "run", uncut, 5e-7)
    assert metrics.read(tmp_path / "run")[2]["events"] == ["resumed from step-000002"]
    assert len({row["kl_coefficient"] for row in figures(uncut)}) == 5  # it moves, and is in the checkpoint
    for name in ("samples.jsonl", "model/model.safetensors", "model/value_head.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (uncut / name).read_bytes(), name


def test_a_signal_saves_and_the_same_command_goes_on(world, noisy, uncut, tmp_path, monkeypatch):
    monkeypatch.setenv("STOP_AT", "3")
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "run", *FEW, noisy)
    assert (tmp_path / "run/checkpoints/step-000003").is_dir()
    assert metrics.read(tmp_path / "run")[-1]["events"] == ["stopped by SIGTERM"]
    monkeypatch.delenv("STOP_AT")
    run(world, tmp_path / "run", *FEW, noisy)
    near(tmp_path / "run", uncut, 5e-7)


def test_a_checkpoint_without_value_head_is_refused_in_a_line(world, uncut, tmp_path):
    from train.ppo_trainer import Ppo
    from workbench.files import read_json, write_json

    trainer = make_trainer(world, tmp_path, *FEW)
    assert isinstance(trainer, Ppo)
    trainer.step = 2
    trainer.save()
    path = tmp_path / "checkpoints/step-000002"
    (path / "value_head.safetensors").unlink()
    record = read_json(path / manifest.NAME)
    record["files"] = [entry for entry in record["files"] if entry["path"] != "value_head.safetensors"]
    write_json(path / manifest.NAME, record)
    with pytest.raises(InputError, match=r"has no value_head.safetensors"):
        trainer.load(path)


def test_two_processes_train_as_one(world, tmp_path):
    line = words(world, tmp_path / "two", *FEW, "micro_batch=4")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*launch, *line], env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    run(world, tmp_path / "one", *FEW, "micro_batch=4")
    near(tmp_path / "two", tmp_path / "one", 1e-4)
    one, two = ([json.loads(x)["answer"] for x in (tmp_path / n / "samples.jsonl").open()] for n in ("one", "two"))
    assert one == two
    assert done.stdout.count("scored by") == 1  # one process speaks


# --- what it leaves, and its variants ----------------------------------------------------------------------------------


def test_the_folder_of_a_finished_run(world, whole, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, results = whole
    assert manifest.read(out, "run", "train").results == results
    for name in (
        "curves.png",
        "curves.html",
        "model/README.md",
        "model/value_head.safetensors",
        "model/tokenizer.json",
    ):
        assert (out / name).stat().st_size > 0
    keys = "reward reward_deviation kl kl_coefficient entropy clip_share value_loss explained_variance length finished"
    assert set(keys.split()) <= set(metrics.read(out)[-1])
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(samples) == 12 * 4
    assert samples[-1]["answer"].count("好") / max(1, len(samples[-1]["answer"])) == pytest.approx(samples[-1]["score"])
    model = AutoModelForCausalLM.from_pretrained(out / "model")
    assert len(AutoTokenizer.from_pretrained(out / "model")) == model.config.vocab_size
    assert command(words(world, out)) == 0  # again: nothing to do
    said = capsys.readouterr()
    assert "nothing to do" in said.err
    assert "KL" in said.out
    assert "reward" in (out / "curves.html").read_text(encoding="utf-8")
    assert resolve(["stage=rl", *words(world, out)[1:]])[0].name == "ppo"


def test_a_run_goes_on_from_another_with_its_value_head(world, whole, tmp_path, capsys):
    run(world, tmp_path / "run", f"model.weights={whole[0]}", "steps=1")
    assert "value head begins at zero" not in capsys.readouterr().err
    assert figures(tmp_path / "run")[0]["explained_variance"] != 0


def test_lora_trains_the_adapter_alone_and_its_reference_is_the_base(world, tmp_path):
    from peft import PeftModel
    from safetensors.torch import load_file

    from eval.models import load_model

    out = tmp_path / "run"
    results = run(world, out, "tune=lora", "lora.rank=4", "optim.lr=2e-2", "steps=6", "recompute=full")
    rows = figures(out)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 0.1
    assert rows[-1]["reward"] > rows[0]["reward"]
    saved = load_file(out / "checkpoints/step-000006/model.safetensors")
    assert all("lora_" in name for name in saved)
    assert sum(t.numel() for t in saved.values()) == results["trained_parameters"]
    base = load_model(world / "sft", "cpu")
    ids = torch.tensor([[4, 5, 6, 7]])
    with torch.no_grad():
        before = base(ids).logits
        tuned = PeftModel.from_pretrained(base, str(out / "adapter"))
        after = tuned(ids).logits
        with tuned.disable_adapter():
            again = tuned(ids).logits
    assert (out / "adapter/value_head.safetensors").is_file()
    assert torch.equal(before, again)
    assert not torch.allclose(before, after, atol=1e-3)


class FakeVllm:
    """Draws by the real adapter that it is handed, as the real one would, over its own copy of the base."""

    def __init__(self, model, **settings):
        self.base, self.settings, self.seen = model, settings, []

    def generate(self, prompts, params, *, use_tqdm, lora_request):
        from peft import PeftModel

        from eval.draw import draw_answers
        from eval.models import load_model

        tuned = PeftModel.from_pretrained(load_model(Path(self.base), "cpu"), lora_request.path).eval()
        self.seen.append(lora_request.number)
        ids = [prompt["prompt_token_ids"] for prompt in prompts]
        seeds, one = [p.seed for p in params], params[0]
        how = {"longest": one.max_tokens, "temperature": one.temperature, "end": one.stop_token_ids[0]}
        drawn = draw_answers(tuned.get_base_model(), ids, seeds, seed=0, size=64, **how)
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(answer))]) for answer in drawn]


@pytest.mark.slow
def test_vllm_draws_from_the_policy_as_it_stands(world, tmp_path, monkeypatch):
    lora = ("tune=lora", "rollout.engine=vllm", "optim.lr=2e-2", "steps=6")
    with pytest.raises(ConfigError, match="vllm is not installed"):
        run(world, tmp_path / "none", *lora)
    fake = SimpleNamespace(LLM=FakeVllm, SamplingParams=SimpleNamespace)
    request = SimpleNamespace(LoRARequest=lambda name, number, path: SimpleNamespace(number=number, path=path))
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setitem(sys.modules, "vllm.lora", SimpleNamespace(request=request))
    monkeypatch.setitem(sys.modules, "vllm.lora.request", request)
    run(world, tmp_path / "run", *lora)
    rows = figures(tmp_path / "run")
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 0.1  # an engine that kept the first adapter would draw from the reference
    assert rows[-1]["reward"] > rows[0]["reward"] + rows[0]["reward_deviation"] / 2
    with pytest.raises(ConfigError, match="on one device"):
        run(world, tmp_path / "full", "rollout.engine=vllm")


@pytest.mark.slow
def test_recomputed_activations_change_nothing(world, uncut, noisy, tmp_path):
    run(world, tmp_path / "run", *FEW, noisy, "recompute=full")
    near(tmp_path / "run", uncut, 1e-5)


def test_the_pretraining_loss_is_cross_entropy_and_keeps_what_was_learned(world, toy, tmp_path):
    from eval.packing import batch
    from tokenizer.shards import TokenShards
    from train.data import Order

    make_model(tmp_path / "sft", layers=1, seed=1)
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(tmp_path / "sft")
    model.resize_token_embeddings(384)
    model.save_pretrained(tmp_path / "sft")
    (tmp_path / "prompts.jsonl").write_bytes((world / "prompts.jsonl").read_bytes())
    more = (*FEW, f"ptx.data={toy}/tokens", "ptx.sequences=4")
    trainer = make_trainer(tmp_path, tmp_path / "x", *more, "ptx.coefficient=2.5", "micro_batch=3")
    shards = TokenShards.open(toy / "tokens", "train")
    order = Order(len(shards), 0)
    found = trainer.backward_ptx(shards, 1)
    gradient = trainer.models.policy.lm_head.weight.grad.clone()
    trainer.models.policy.zero_grad()
    given = batch(shards, [order[k] for k in range(4, 8)], 384)
    logits = trainer.models.policy(given["input_ids"], position_ids=given["position_ids"], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), given["labels"][:, 1:].flatten())
    (2.5 * loss).backward()
    assert found == pytest.approx(float(loss.detach()), abs=1e-5)
    torch.testing.assert_close(gradient, trainer.models.policy.lm_head.weight.grad, atol=1e-6, rtol=1e-4)
    run(tmp_path, tmp_path / "with", *more)
    losses = [row["ptx_loss"] for row in figures(tmp_path / "with")]
    assert losses[-1] < losses[0] - 0.05


# --- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("model.weights=none",), r"model.weights: is not set"),
        (("minibatch=7",), r"minibatch: 7 does not divide the 64 answers"),
        (("lora.dropout=0.1",), r"lora.dropout"),
        (("rollout.max_new=60",), r"64 positions"),
        (("reward=rule:lenght",), r"did you mean length"),
    ],
)
def test_what_does_not_go_together_is_one_line(world, tmp_path, change, said):
    with pytest.raises(ConfigError, match=said) as caught:
        run(world, tmp_path / "run", *change)
    assert "\n" not in str(caught.value)


def test_a_reward_function_that_fails_is_one_line(world, tmp_path):
    (tmp_path / "r.py").write_text("def f(prompts, answers):\n    raise ValueError('no')\n")
    with pytest.raises(InputError, match=r"raised ValueError: no \(r\.py:2\)"):
        run(world, tmp_path / "run", f"reward=python:{tmp_path}/r.py:f", "steps=1")


def test_a_damaged_value_head_and_a_nan_are_one_line(world, tmp_path, capsys):
    import shutil

    from safetensors.torch import save_file

    from train.ppo_trainer import NotFinite

    shutil.copytree(world / "sft", tmp_path / "sft")
    save_file({"out.weight": torch.zeros(1, 3), "out.bias": torch.zeros(1)}, tmp_path / "sft/value_head.safetensors")
    with pytest.raises(InputError, match="no value head over 64 hidden states"):
        run(world, tmp_path / "run", f"model.weights={tmp_path}/sft")
    with pytest.raises(NotFinite, match=r"step 1; the update was not taken"):
        run(world, tmp_path / "nan", "value_coefficient=1e300", "steps=1", "value_clip=none", "kl.coefficient=1e30")
