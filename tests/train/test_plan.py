"""The plan's figures against hand computation, and against a real model's count."""

import json
import subprocess
import sys

import pytest

from train.cli import command
from train.plan import GIB, make_plan
from train.settings import resolve
from workbench.errors import ConfigError


def plan_of(*words):
    return make_plan(resolve([*words], planning=True)[1].value)


@pytest.fixture(scope="module")
def ziya():
    return plan_of("config=ziya-13b")


def test_ziya_by_hand(ziya):
    # LLaMA-13B's published 13,015,864,320 with 32,000 rows, and 7,424 more rows twice
    assert ziya.parameters == 13_015_864_320 + 2 * 7_424 * 5_120
    assert ziya.rows == 39_424 == 308 * 128
    assert ziya.batch_tokens == 160 * 8 * 2_048 == 2_621_440
    assert ziya.accumulation == 1
    assert ziya.steps == 41_962
    assert ziya.tokens == 110_000_000_000
    six_n = 6 * 13e9 * 110e9 / (160 * 118e12) / 86_400
    assert ziya.days["6N"]["none"] == pytest.approx(six_n)
    assert [round(ziya.days["6N"][r], 1) for r in ("none", "full")] == [5.3, 7.0]
    assert [round(ziya.days["with attention"][r], 1) for r in ("none", "full")] == [5.6, 7.4]
    attention = 12 * 40 * 5_120 * 2_048
    assert ziya.flops_per_token == 6 * (ziya.parameters - 39_424 * 5_120) + attention
    assert ziya.checkpoint_bytes == 12 * ziya.parameters


def test_what_fits_40_gib(ziya):
    n = ziya.parameters
    assert ziya.states["ddp"] == 18 * n
    assert ziya.states["zero1"] == pytest.approx(4 * n + 12 * n / 160)
    assert ziya.states["zero2"] == pytest.approx(2 * n + 14 * n / 160)
    layer = 4 * 5_120**2 + 3 * 5_120 * 13_824 + 2 * 5_120
    assert ziya.states["zero3"] == pytest.approx(16 * n / 160 + 4 * layer)
    tokens = 8 * 2_048
    one = 2 * tokens * (10 * 5_120 + 4 * 13_824)
    assert ziya.activations["none"] == 40 * one
    assert ziya.activations["full"] == 40 * 2 * tokens * 5_120 + one
    fits = {(s, r) for s in ziya.states for r in ziya.activations if ziya.memory(s, r) <= 40 * GIB}
    assert fits == {("zero2", "full"), ("zero3", "full"), ("fsdp2", "full")}
    assert ziya.memory("zero2", "full") > 0.9 * 40 * GIB  # tight


def test_the_printed_plan_says_what_is_inference(capsys):
    assert command(["config=ziya-13b", "--plan"]) == 0
    out = capsys.readouterr().out
    for part in ("13,091,886,080", "41,962", "5.3 days", "7.0 days", "5.6 days", "7.4 days", "8 days", "our inference"):
        assert part in out
    assert "88% of 125B" in out


def test_json(capsys):
    assert command(["config=tiny-cpu", "--plan", "--json", "plan.seq_len=256"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 200


@pytest.mark.parametrize("tied", ["true", "false"])
def test_the_count_is_that_of_a_real_model(tied):
    from transformers import LlamaForCausalLM

    from train.meter import shape_of
    from train.model import fresh_config

    words = ["stage=pt", f"model.tied={tied}", "model.kv_heads=1", "model.layers=2", "plan.vocabulary=300"]
    settings = resolve([*words, "batch_tokens=2048"], planning=True)[1].value
    model = LlamaForCausalLM(fresh_config(settings.model, 300, {}))
    found = make_plan(settings)
    assert found.parameters == shape_of(model).parameters
    assert found.flops_per_token == shape_of(model).flops_per_token(2_048)


def test_devices_divide_the_batch():
    assert plan_of("config=ziya-13b", "plan.devices=80").accumulation == 2
    with pytest.raises(ConfigError, match="give"):
        plan_of("config=ziya-13b", "plan.devices=96")


def test_the_plan_asks_the_data_and_the_weights_that_are_there(toy, tmp_path):
    from tests.train.test_pt import run

    run(toy, tmp_path / "run", "steps=1")
    words = [f"data={toy / 'tokens'}", f"tokenizer={toy / 'tok'}", f"model.weights={tmp_path / 'run'}"]
    found = plan_of("stage=pt", *words, "batch_tokens=256", "micro_batch=4")
    assert (found.seq_len, found.rows, found.accumulation) == (32, 384, 2)
    assert found.data_tokens > 1_000


def test_no_torch_is_needed():
    code = (
        "import sys; from train.cli import command; command(['config=ziya-13b', '--plan']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_lora_by_hand():
    found = plan_of("config=llama-7b-lora")
    assert found.parameters == 6_738_415_616 + 2 * 7_424 * 4_096  # LLaMA-7B, and the padded new rows twice
    matrices = 32 * 8 * (4 * 2 * 4_096 + 3 * (4_096 + 11_008))
    assert matrices == 19_988_480
    assert found.trained == matrices + 2 * 7_410 * 4_096
    layer = 4 * 4_096**2 + 3 * 4_096 * 11_008 + 2 * 4_096
    assert found.states == {"ddp": 4 * found.parameters + 16 * found.trained + 2 * layer}
    assert found.checkpoint_bytes == 12 * found.trained
    frozen = found.parameters - 39_424 * 4_096
    assert found.flops_per_token == 4 * frozen + 12 * 32 * 4_096 * 2_048
    assert found.memory("ddp", "full") < 40 * GIB


def test_qlora_by_hand():
    whole, found = plan_of("config=llama-7b-lora"), plan_of("config=llama-7b-lora", "tune=qlora")
    assert found.trained == whole.trained
    packed = 32 * (4 * 4_096**2 + 3 * 4_096 * 11_008)
    saved = whole.states["ddp"] - found.states["ddp"]
    assert saved == pytest.approx(packed * (4 - (4 + 8 / 64 + 32 / 16_384) / 8))
    assert found.memory("ddp", "full") < 16 * GIB


def test_the_adapter_count_is_that_of_a_real_one(toy, tmp_path):
    from tests.train.test_pt import run

    run(toy, tmp_path / "base", "steps=1")
    words = ["tune=lora", f"model.weights={tmp_path / 'base'}", "lora.rows_from=300", "lora.rank=3"]
    results = run(toy, tmp_path / "run", "steps=1", *words)
    found = plan_of("stage=pt", *words, "plan.vocabulary=320", "batch_tokens=2048")
    assert found.trained == results["trained_parameters"]
