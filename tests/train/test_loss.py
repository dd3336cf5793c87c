import math

import pytest
import torch
from torch.nn import functional

from eval.packing import IGNORED
from tests.train.test_data import tiny
from train.loss import ChunkedCrossEntropy, summed_loss, use_chunked_loss


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_value_and_gradients_are_those_of_cross_entropy(chunk):
    torch.manual_seed(1)
    hidden = torch.randn(50, 16, requires_grad=True)
    weight = torch.randn(97, 16, requires_grad=True)
    targets = torch.randint(0, 97, (50,))
    reference = functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    wanted = torch.autograd.grad(reference / 3, (hidden, weight))
    ours = ChunkedCrossEntropy.apply(hidden, weight, targets, chunk)
    found = torch.autograd.grad(ours / 3, (hidden, weight))
    assert torch.allclose(ours, reference, rtol=1e-6)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


class Head:
    def __init__(self, weight):
        self.lm_head = torch.nn.Linear(*weight.shape[::-1], bias=False)
        self.lm_head.weight = torch.nn.Parameter(weight)


def test_an_ignored_place_cannot_poison_the_rest():
    model, hidden = Head(torch.ones(5, 4)), torch.ones(1, 3, 4)
    hidden[0, 0] = torch.inf
    hidden.requires_grad_()
    loss = summed_loss(model, hidden, torch.tensor([[0, IGNORED, 2]]))
    assert loss.item() == pytest.approx(math.log(5))
    loss.backward()
    assert model.lm_head.weight.grad.isfinite().all()
    assert hidden.grad[0, [0, 2]].abs().max() == 0  # no target after the last, none wanted after the first


def test_a_batch_that_predicts_nothing_costs_nothing():
    model, hidden = Head(torch.ones(5, 4)), torch.ones(1, 3, 4, requires_grad=True)
    loss = summed_loss(model, hidden, torch.full((1, 3), IGNORED))
    loss.backward()
    assert loss == 0
    assert hidden.grad.abs().max() == 0


def test_a_nan_stays_a_nan():
    hidden = torch.full((2, 4), torch.nan)
    assert ChunkedCrossEntropy.apply(hidden, torch.ones(5, 4), torch.tensor([1, 2]), 8).isnan()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_the_model_trains_as_with_its_own_loss(tied, bf16):
    ids = torch.randint(0, 384, (2, 20))
    positions = torch.cat([torch.arange(8), torch.arange(12)]).repeat(2, 1)
    wanted = ids.clone()
    wanted[:, [0, 8]] = IGNORED
    grads, losses = [], []
    for chunked in (False, True):
        model = tiny(tie_word_embeddings=tied).train()
        if chunked:
            use_chunked_loss(model)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(input_ids=ids, position_ids=positions, labels=wanted)["loss"]
        loss.backward()
        losses.append(loss.item())
        grads.append({name: p.grad.clone() for name, p in model.named_parameters()})
    assert losses[0] == pytest.approx(losses[1], rel=2e-3 if bf16 else 1e-6)
    for name, expected in grads[0].items():
        assert (grads[1][name] - expected).abs().max() <= (0.05 if bf16 else 1e-5) * expected.abs().max() + 1e-7, name


def test_without_labels_the_model_is_what_it_was():
    model, plain = tiny(), tiny()
    use_chunked_loss(model)
    ids = torch.randint(0, 384, (1, 9))
    assert torch.equal(model(input_ids=ids).logits, plain(input_ids=ids).logits)
