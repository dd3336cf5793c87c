"""The counts against hand computation."""

import pytest

from workbench.model_size import Shape, Sizes, activations, states


def test_flops_by_hand():
    # 7B LLaMA: 6,738,415,616 parameters, of which 32,000 x 4,096 only look up; 32 layers, width 4,096, T 2,048
    llama = Shape(6_738_415_616, 32_000 * 4_096, 32, 4_096)
    expected = 6 * (6_738_415_616 - 131_072_000) + 12 * 32 * 4_096 * 2_048
    assert llama.flops_per_token(2_048) == expected
    assert expected / 1e9 == pytest.approx(42.87, abs=0.01)


def test_more_devices_need_less_each():
    sizes = Sizes(64, 2, 64, 64, 128, 256, tied=False)
    few, many = states(sizes, 2), states(sizes, 8)
    assert few["ddp"] == many["ddp"]
    assert all(many[s] < few[s] for s in ("zero1", "zero2", "zero3", "fsdp2"))
    assert activations(sizes, 100)["full"] < activations(sizes, 100)["none"]


def test_sizes_of_a_config():
    # LLaMA-7B: 6,738,415,616 parameters as published
    config = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008}
    sizes = Sizes.of({**config, "vocab_size": 32_000})
    assert sizes.shape.parameters == 6_738_415_616
    assert sizes.ends["down_proj"] == 4_096 + 11_008
    assert Sizes.of({**config, "vocab_size": 32_000, "head_dim": 64, "num_key_value_heads": 8}).kv_width == 512
