"""Half precision with loss scaling, genuine and tiny: real runs on a CPU refuse it, since it is emulated and slow."""

import pytest
import torch

from tests.train.test_data import tiny
from train.loss import use_chunked_loss


def losses(half):
    torch.manual_seed(0)
    model = tiny().train()
    use_chunked_loss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, enabled=half)
    ids = torch.randint(0, 384, (2, 16))
    out, kinds = [], set()
    model.model.layers[0].mlp.register_forward_hook(lambda module, given, made: kinds.add(made.dtype))
    for _ in range(6):
        with torch.autocast("cpu", torch.float16, enabled=half):
            loss = model(input_ids=ids, labels=ids)["loss"]
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        out.append(loss.item())
    return out, kinds, scaler.get_scale()


def test_fp16_with_loss_scaling_follows_fp32():
    half, kinds, scale = losses(half=True)
    full, plain, _ = losses(half=False)
    assert kinds == {torch.float16}
    assert plain == {torch.float32}
    assert half == pytest.approx(full, rel=1e-2)
    assert half[-1] < 0.95 * half[0]
    assert scale == 2.0**12  # no step overflowed


def test_a_scale_that_overflows_skips_the_step_and_is_lowered():
    model = torch.nn.Linear(2, 1)
    before = model.weight.clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    with torch.autocast("cpu", torch.float16):
        loss = model(torch.full((1, 2), 100.0)).sum()
    scaler.scale(loss.float() * 1e30).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() == 2.0**19
