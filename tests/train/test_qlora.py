"""An adapter over a base in 4 bits: learns, resumes and merges exactly, in every stage that takes an adapter."""

import json
from importlib.util import find_spec

import pytest
import torch

from eval.merge import merge
from tests.train.talk import SHARED, dialogues, make_base, preferences, write
from tests.train.talk import run as run_talk
from tests.train.test_parallel import LINE, finish, near, torchrun
from tests.train.test_ppo import run as run_ppo
from tests.train.test_ppo import words as words_ppo
from tests.train.test_ppo import world  # noqa: F401
from tests.train.test_pt import exact, run, words
from train.cli import command
from train.settings import resolve
from train.trainer import Discipline
from workbench.errors import ConfigError

needed = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
QLORA = ("tune=qlora", "lora.rank=4", "lora.rows_from=300", "optim.lr=1e-2", "checkpoint.every=4")
SHORT = ("steps=4", "batch=4", "micro_batch=2", "optim.lr=3e-3", "held_out=0.2", "tune=qlora", "lora.rank=4")


@pytest.fixture(scope="module")
def base(toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("base") / "run"
    run(toy, out, "steps=10")
    return out


@pytest.fixture(scope="module")
def tuned(toy, base, tmp_path_factory):
    out = tmp_path_factory.mktemp("qlora") / "run"
    return out, run(toy, out, "steps=10", f"model.weights={base}", *QLORA)


@pytest.fixture(scope="module")
def talkative(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("talk"))


def counts(run):
    return json.loads((run / "manifest.json").read_text())["results"]["parameters"]


@needed
def test_the_products_are_in_four_bits_and_nothing_else(base):
    from bitsandbytes.nn import Linear4bit

    from eval.models import load_model
    from eval.quantised import quantise
    from train.meter import shape_of

    model = load_model(base, "cpu").float()
    before, weights = shape_of(model), model.model.layers[0].mlp.up_proj.weight.detach().clone()
    quantise(model, "fp32", "cpu")
    small = {name for name, module in model.named_modules() if isinstance(module, Linear4bit)}
    assert len(small) == 2 * 7
    assert "lm_head" not in small
    assert shape_of(model) == before  # counted as what they stand for
    packed = model.model.layers[0].mlp.up_proj.weight
    assert packed.dtype == torch.uint8
    assert packed.numel() == weights.numel() // 2
    assert {p.dtype for p in model.parameters()} == {torch.uint8, torch.float32}


@needed
def test_it_learns_and_merges_into_what_was_trained(toy, base, tuned, tmp_path):
    from eval.bits import bits_of_shards, total
    from eval.models import load_model
    from tokenizer.shards import TokenShards

    out, results = tuned
    plain = run(toy, tmp_path / "lora", "steps=10", f"model.weights={base}", *QLORA, "tune=lora")
    for key in ("parameters", "trained_parameters", "rows"):
        assert results[key] == plain[key]
    assert results["bits_after"] < results["bits_before"]
    assert results["bits_before"] != plain["bits_before"]  # the base is rounded
    assert results["bits_before"] == pytest.approx(plain["bits_before"], rel=0.02)
    merged = merge(out, tmp_path / "merged")
    assert merged["difference"] < 1e-5
    assert merged["parameters"] == counts(base)
    model = load_model(tmp_path / "merged", "cpu")
    found = total(bits_of_shards(model, TokenShards.open(toy / "tokens", "validation")))
    assert found.per_byte == pytest.approx(results["bits_after"], rel=1e-5)
    again = run(toy, tmp_path / "next", "steps=1", f"model.weights={tmp_path / 'merged'}", "optim.lr=0")
    assert again["bits_before"] == pytest.approx(results["bits_after"], rel=1e-5)


@needed
def test_a_crash_changes_nothing(toy, base, tuned, tmp_path, monkeypatch):
    step, line = Discipline.check_step, ("steps=10", f"model.weights={base}", *QLORA)

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 7:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run(toy, tmp_path / "run", *line)
    monkeypatch.undo()
    run(toy, tmp_path / "run", *line)
    assert exact(tmp_path / "run") == exact(tuned[0])


@needed
def test_recomputation_changes_nothing(toy, base, tuned, tmp_path):
    run(toy, tmp_path / "run", "steps=10", f"model.weights={base}", *QLORA, "recompute=full")
    assert exact(tmp_path / "run") == exact(tuned[0])


@needed
@pytest.mark.parametrize("stage", ["sft", "rm", "dpo", "kto"])
def test_the_stages_on_dialogues_and_pairs(talkative, tmp_path, stage):
    from eval.models import load_model, load_reward_model

    data = dialogues(tmp_path / "d.jsonl", 30) if stage == "sft" else preferences(tmp_path / "p.jsonl", 30)
    if stage == "kto":  # each answer is a row of its own
        pairs = map(json.loads, data.read_text(encoding="utf-8").splitlines())
        rated = [(pair, side) for pair in pairs for side in ("chosen", "rejected")]
        said = [[*pair["messages"], {"role": "assistant", "content": pair[side]}] for pair, side in rated]
        rows = [{"messages": one, "label": side == "chosen"} for one, (_, side) in zip(said, rated, strict=True)]
        data = write(tmp_path / "r.jsonl", rows)
    more = ("packing=false",) if stage == "sft" else ()
    results = run_talk(stage, talkative, data, tmp_path / "run", *SHORT, *more)
    assert results["loss_last"] < results["loss_first"] or stage == "rm"
    if stage in ("dpo", "kto"):  # the reference is the rounded base: a coin's throw before a step
        assert results["scores"]["margin"][0] == pytest.approx(0, abs=1e-6)
    assert merge(tmp_path / "run", tmp_path / "merged")["difference"] < 1e-5
    (load_reward_model if stage == "rm" else load_model)(tmp_path / "merged", "cpu")


@needed
@pytest.mark.parametrize("stage", ["ppo", "grpo", "rloo"])
def test_reinforcement_holds_its_adapter_to_the_rounded_base(world, tmp_path, stage):  # noqa: F811
    few = ("tune=qlora", "lora.rank=4", "optim.lr=2e-2", "steps=4", "prompts=8", "minibatch=8", "epochs=2")
    found, loaded = resolve([f"stage={stage}", *words_ppo(world, tmp_path / "run", *few)[1:]])
    found.run(loaded, False)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 1e-3
    assert merge(tmp_path / "run", tmp_path / "merged")["difference"] < 1e-5
    with pytest.raises(
        ConfigError, match=r"reward: .* is an adapter over a base in 4 bits; merge it first: train merge"
    ):
        run_ppo(world, tmp_path / "next", f"reward={tmp_path / 'run'}")


@needed
def test_a_pipeline_hands_on_what_its_four_bits_stand_for(talkative, tmp_path):
    """Each stage over four bits; the next goes on from the merged model, ppo is scored by the merged reward model."""
    data = {"sft": dialogues(tmp_path / "d.jsonl", 40), **dict.fromkeys(("rm", "ppo"), preferences(tmp_path / "p", 40))}
    line = ["pipeline=sft,rm,ppo", f"out={tmp_path}/all", "prompts=4", "max_new=4", "items=4"]
    line += [f"sft.model.weights={talkative}", *(f"{stage}.data={path}" for stage, path in data.items())]
    line += [f"{stage}.{word}" for stage in ("sft", "rm") for word in (*SHORT, *SHARED)]
    drawn = ("steps=2", "prompts=4", "minibatch=8", "rollout.max_new=4", "rollout.max_prompt=64", "tune=qlora")
    line += [f"ppo.{word}" for word in drawn]
    assert command(line) == 0
    made = {name: json.loads((tmp_path / "all" / name / "manifest.json").read_text()) for name in ("03-ppo", "02-rm")}
    assert made["02-rm"]["config"]["model"]["weights"] == str(tmp_path / "all/01-sft-merged")
    assert made["03-ppo"]["config"]["reward"] == str(tmp_path / "all/02-rm-merged")
    first = json.loads((tmp_path / "all/03-ppo/metrics.jsonl").read_text().splitlines()[0])
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    assert (tmp_path / "all/03-ppo-merged/model/model.safetensors").is_file()
    assert command(line) == 0  # and does nothing


@needed
@pytest.mark.slow
def test_two_processes_train_what_one_does(toy, base, tmp_path):
    line = (*LINE, f"model.weights={base}", *QLORA)
    run(toy, tmp_path / "one", *line)
    code, _, err = finish(torchrun(2, words(toy, tmp_path / "two", *line)))
    assert code == 0, err
    near(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "there", "said"),
    [
        (
            ("model.weights=x",),
            False,
            r"tune: qlora needs bitsandbytes; pip install 'yanmo\[qlora\]', or use tune=lora",
        ),
        ((), True, "tune: qlora over fresh weights trains next to nothing; name a model with model.weights="),
        (("model.weights=x", "parallel=fsdp2"), True, "parallel: fsdp2 divides|tune=qlora"),
        (("model.weights=x", "parallel=zero3"), True, "parallel: zero3 divides|tune=qlora"),
    ],
)
def test_what_cannot_be_is_one_line(toy, tmp_path, monkeypatch, change, there, said):
    from train.stage import check_run

    monkeypatch.setattr("eval.quantised.find_spec", lambda name: object() if there else None)
    monkeypatch.setattr("train.sharded.find_spec", lambda name: object())
    monkeypatch.setenv("WORLD_SIZE", "2")
    settings = resolve(words(toy, tmp_path, "tune=qlora", *change))[1].value
    with pytest.raises(ConfigError, match=said) as caught:
        check_run("pt", settings, settings.model.weights)
    assert "\n" not in str(caught.value)
