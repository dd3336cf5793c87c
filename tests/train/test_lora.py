"""An adapter trains what it says and nothing else, resumes exactly, carries the vocabulary, and merges exactly."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from eval.merge import merge
from tests.train.test_pt import exact, run
from train.cli import command
from train.trainer import Discipline
from workbench.errors import ConfigError, InputError

LORA = ("tune=lora", "lora.rank=4", "lora.rows_from=300", "optim.lr=1e-2", "checkpoint.every=4")


@pytest.fixture(scope="module", params=["true", "false"])
def base(toy, tmp_path_factory, request):
    out = tmp_path_factory.mktemp("base") / "run"
    run(toy, out, "steps=10", f"model.tied={request.param}")
    return out


@pytest.fixture(scope="module")
def tuned(toy, base, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora") / "run"
    return out, run(toy, out, "steps=10", f"model.weights={base}", *LORA)


def test_only_the_adapter_and_the_new_rows_are_trained(base, tuned):
    out, results = tuned
    rank, layers, wide, mlp = 4, 2, 32, 64
    tied = json.loads((base / "model/config.json").read_text())["tie_word_embeddings"]
    matrices = layers * rank * (4 * 2 * wide + 3 * (wide + mlp))
    assert results["trained_parameters"] == matrices + (20 if tied else 40) * wide
    assert results["bits_after"] < results["bits_before"]
    assert sorted(p.name for p in (out / "adapter").iterdir() if p.suffix == ".safetensors") == [
        "adapter_model.safetensors"
    ]
    assert (out / "adapter/tokenizer.model").is_file()
    saved = load_file(out / "checkpoints/step-000010/model.safetensors")
    assert sum(t.numel() for t in saved.values()) == results["trained_parameters"]


def test_it_merges_exactly_and_old_rows_stay(toy, base, tuned, tmp_path):
    from eval.bits import bits_of_shards, total
    from eval.models import load_model
    from tokenizer.shards import TokenShards

    results = merge(tuned[0], tmp_path / "merged")
    assert results["difference"] < 1e-5
    model = load_model(tmp_path / "merged", "cpu")
    found = total(bits_of_shards(model, TokenShards.open(toy / "tokens", "validation")))
    assert found.per_byte == pytest.approx(tuned[1]["bits_after"], rel=1e-5)
    old, new = load_model(base, "cpu").get_input_embeddings().weight, model.get_input_embeddings().weight
    assert torch.equal(old[:300], new[:300])
    assert not torch.equal(old[300:320], new[300:320])
    assert (tmp_path / "merged/model/tokenizer.model").is_file()
    assert command(["merge", str(tuned[0]), "--out", str(tmp_path / "merged")]) == 0  # again: nothing to do
    again = run(toy, tmp_path / "next", "steps=1", f"model.weights={tmp_path / 'merged'}", "optim.lr=0")
    assert again["bits_before"] == pytest.approx(tuned[1]["bits_after"], rel=1e-5)


def test_a_crash_changes_nothing(toy, base, tuned, tmp_path, monkeypatch):
    step = Discipline.check_step

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 7:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run(toy, tmp_path / "run", "steps=10", f"model.weights={base}", *LORA)
    monkeypatch.undo()
    run(toy, tmp_path / "run", "steps=10", f"model.weights={base}", *LORA)
    assert exact(tmp_path / "run") == exact(tuned[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("tune=lora",), "name a model with model.weights="),
        (("parallel=zero3",), "start it with: torchrun"),
    ],
)
def test_what_is_not_there_is_refused(toy, tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        run(toy, tmp_path / "run", "steps=1", *change)


@pytest.mark.parametrize("change", ["lora.rows_from=320", "lora.targets=nothing"])
def test_rows_and_targets_that_are_not_there(toy, base, tmp_path, change):
    key = change.split("=", maxsplit=1)[0]
    with pytest.raises(ConfigError, match=key):
        run(toy, tmp_path / "run", "steps=1", f"model.weights={base}", "tune=lora", change)


def test_an_adapter_is_not_merged_into_a_quantised_base(toy, base, tmp_path):
    model = tmp_path / "base"
    shutil.copytree(base / "model", model)
    run(toy, tmp_path / "run", "steps=1", f"model.weights={model}", *LORA)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(InputError, match=r"config\.json: says that the weights are quantised \(gptq\); take the model"):
        merge(tmp_path / "run", tmp_path / "merged")


def test_a_run_without_an_adapter_is_not_merged(base, tmp_path):
    with pytest.raises(InputError, match="has no adapter"):
        merge(base, tmp_path / "merged")
