import time

import pytest

from train.meter import Meter, peak_tflops, shape_of
from workbench.model_size import Shape


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_count_as_lm_head(tied):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=256,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        tie_word_embeddings=tied,
    )
    shape = shape_of(LlamaForCausalLM(config))
    table = 256 * 32
    layer = 32 * 32 * 2 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32
    assert shape.parameters == table * (1 if tied else 2) + 2 * layer + 32
    assert (shape.layers, shape.width) == (2, 32)
    # either way: everything that multiplies, the lm_head with it, and the attention
    assert shape.flops_per_token(64) == 6 * (table + 2 * layer + 32) + 12 * 2 * 32 * 64


def test_mfu_only_where_the_peak_is_known():
    assert peak_tflops("NVIDIA A100-SXM4-40GB") == 312.0
    assert peak_tflops("cpu, 2 threads") is None
    meter = Meter(Shape(10**6, 0, 1, 1), 8, devices=2, device_name="NVIDIA A100-SXM4-40GB")
    time.sleep(0.02)
    meter.step(1_000)
    speed = meter.read()
    assert speed.tokens_per_second < 1_000 / 0.02
    assert speed.tflops == pytest.approx(speed.tokens_per_second * (6e6 + 96) / 2 / 1e12)
    assert speed.mfu == pytest.approx(speed.tflops / 312)
    assert Meter(Shape(1, 0, 1, 1), 8).peak is None


def test_waiting_resuming_and_what_is_no_training_time():
    meter = Meter(Shape(1, 0, 1, 1), 8)
    meter.resume(500, 10.0)
    time.sleep(0.05)
    meter.restart()
    time.sleep(0.02)
    meter.wait(0.01)
    seconds = meter.step(100)
    assert 0.02 <= seconds < 0.05
    assert meter.tokens == 600
    assert meter.seconds == pytest.approx(10 + seconds)
    assert meter.read().data_wait == pytest.approx(0.01 / seconds)
    assert meter.seconds_left(300) == pytest.approx(3 * seconds)
