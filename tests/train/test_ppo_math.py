"""Each function against a slow reference: loops over the answers' own tokens in Python's floats, from the papers' formulas.

Padding holds large numbers, so that whatever leaks from it is seen.
"""

import math

import pytest
import torch

from eval.rollout import entropy
from train import ppo_math

LENGTHS = (7, 1, 4, 6)
BETA, GAMMA, LAM, CLIP = 0.13, 0.97, 0.9, 0.2


@pytest.fixture
def world():
    """Tensors as the trainer has them, and the same as lists of each answer's own numbers."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    names = ("logp", "drawn", "reference", "values", "old_values", "advantages", "returns", "rewards")
    tensors = {}
    for name in names:
        x = torch.randn(mask.shape, generator=generator)
        x = x * 0.4 - 2 if name in ("logp", "drawn", "reference") else x
        tensors[name] = torch.where(mask, x, 1e4 * x)
    tensors["scores"] = torch.randn(len(LENGTHS), generator=generator)
    lists = {name: [tensors[name][n, :size].tolist() for n, size in enumerate(LENGTHS)] for name in names}
    return mask, tensors, {**lists, "scores": tensors["scores"].tolist()}


def same(found, wanted, mask):
    for n, answer in enumerate(wanted):
        assert found[n, : len(answer)].tolist() == pytest.approx(answer, abs=1e-5), n
    assert (found[~mask] == 0).all()


def slow_rewards(lists):
    """Ziegler 2019, equation 2: the score at the end, minus beta log(pi / rho) everywhere."""
    out = []
    for logp, reference, score in zip(lists["logp"], lists["reference"], lists["scores"], strict=True):
        rewards = [-BETA * (p - r) for p, r in zip(logp, reference, strict=True)]
        rewards[-1] += score
        out.append(rewards)
    return out


def slow_advantages(rewards, values):
    """Schulman 2016, equation 16, as the sum that it is: no recursion."""
    out = []
    for reward, value in zip(rewards, values, strict=True):
        following = [*value[1:], 0.0]
        delta = [r + GAMMA * f - v for r, f, v in zip(reward, following, value, strict=True)]
        out.append([sum((GAMMA * LAM) ** k * delta[t + k] for k in range(len(delta) - t)) for t in range(len(delta))])
    return out


def slow_whiten(lists, centre):
    flat = [x for answer in lists for x in answer]
    mean = sum(flat) / len(flat)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
    return [[(x - mean) / deviation + (0 if centre else mean) for x in answer] for answer in lists]


def test_rewards_advantages_and_returns(world):
    mask, tensors, lists = world
    rewards = ppo_math.token_rewards(tensors["scores"], tensors["logp"], tensors["reference"], mask, BETA)
    wanted = slow_rewards(lists)
    same(rewards, wanted, mask)
    advantages, returns = ppo_math.gae(rewards, tensors["values"], mask, GAMMA, LAM)
    slow = slow_advantages(wanted, lists["values"])
    same(advantages, slow, mask)
    same(
        returns,
        [[a + v for a, v in zip(*pair, strict=True)] for pair in zip(slow, lists["values"], strict=True)],
        mask,
    )
    same(ppo_math.whiten(advantages, mask, centre=True), slow_whiten(slow, True), mask)
    same(ppo_math.whiten(rewards, mask, centre=False), slow_whiten(wanted, False), mask)


def test_lambda_one_is_the_whole_return_and_lambda_zero_the_one_step_error(world):
    mask, tensors, lists = world
    rewards, values = tensors["rewards"], tensors["values"]
    _, returns = ppo_math.gae(rewards, values, mask, 1.0, 1.0)
    same(returns, [[sum(answer[t:]) for t in range(len(answer))] for answer in lists["rewards"]], mask)
    advantages, _ = ppo_math.gae(rewards, values, mask, 1.0, 0.0)
    pairs = zip(lists["rewards"], lists["values"], strict=True)
    steps = [[r + f - v for r, f, v in zip(reward, [*value[1:], 0], value, strict=True)] for reward, value in pairs]
    same(advantages, steps, mask)


def test_policy_loss_and_its_gradient(world):
    """Schulman 2017, equation 7, by cases; the gradient is A r where the minimum is the plain term, else nothing."""
    mask, tensors, lists = world
    logp = tensors["logp"].clone().requires_grad_()
    losses, clipped = ppo_math.policy_losses(logp, tensors["drawn"], tensors["advantages"], mask, CLIP)
    losses.sum().backward()
    wanted, gradient, held, kls = [], [], 0, 0.0
    for new, old, advantage in zip(lists["logp"], lists["drawn"], lists["advantages"], strict=True):
        wanted.append([])
        gradient.append([])
        for n, o, a in zip(new, old, advantage, strict=True):
            ratio = math.exp(n) / math.exp(o)
            beyond = (a > 0 and ratio > 1 + CLIP) or (a < 0 and ratio < 1 - CLIP)
            limit = 1 + CLIP if a > 0 else 1 - CLIP
            wanted[-1].append(-a * (limit if beyond else ratio))
            gradient[-1].append(0.0 if beyond else -a * ratio)
            held += beyond
            kls += ratio - 1 - math.log(ratio)
    same(losses, wanted, mask)
    same(logp.grad, gradient, mask)
    assert 0 < held < mask.sum()
    assert int(clipped.sum()) == held
    assert float(ppo_math.kl_terms(tensors["drawn"], tensors["logp"], mask).sum()) == pytest.approx(kls, abs=1e-5)


def test_value_loss_and_its_gradient(world):
    mask, tensors, lists = world
    values = tensors["values"].clone().requires_grad_()
    losses = ppo_math.value_losses(values, tensors["old_values"], tensors["returns"], mask, CLIP)
    losses.sum().backward()
    wanted, gradient = [], []
    for new, old, target in zip(lists["values"], lists["old_values"], lists["returns"], strict=True):
        wanted.append([])
        gradient.append([])
        for v, o, r in zip(new, old, target, strict=True):
            held = min(max(v, o - CLIP), o + CLIP)
            free = (v - r) ** 2 >= (held - r) ** 2
            wanted[-1].append(0.5 * max((v - r) ** 2, (held - r) ** 2))
            gradient[-1].append(v - r if free else 0.0)
    same(losses, wanted, mask)
    same(values.grad, gradient, mask)
    free = ppo_math.value_losses(tensors["values"], tensors["old_values"], tensors["returns"], mask, None)
    pairs = zip(lists["values"], lists["returns"], strict=True)
    same(free, [[0.5 * (v - r) ** 2 for v, r in zip(*pair, strict=True)] for pair in pairs], mask)


def test_kl_entropy_and_explained_variance(world):
    mask, tensors, lists = world
    kls = ppo_math.answer_kl(tensors["logp"], tensors["reference"], mask).tolist()
    pairs = zip(lists["logp"], lists["reference"], strict=True)
    assert kls == pytest.approx([sum(a - b for a, b in zip(*pair, strict=True)) for pair in pairs], abs=1e-4)
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    wanted = [-0.25 * math.log(0.25) - 0.75 * math.log(0.75), math.log(2.0)]
    assert entropy(logits).tolist() == pytest.approx(wanted, abs=1e-6)
    returns = tensors["returns"]
    assert ppo_math.explained_variance(returns, returns, mask) == 1.0
    assert ppo_math.explained_variance(torch.zeros_like(returns), returns, mask) == pytest.approx(0.0)
    assert ppo_math.explained_variance(-returns, returns, mask) == pytest.approx(-3.0, abs=1e-5)
    assert ppo_math.explained_variance(returns, torch.ones_like(returns), mask) == 0.0


@pytest.mark.parametrize(
    ("kl", "wanted"),
    [(6.0, 1.0), (60.0, 1.02), (0.0, 0.98), (6.6, 1.01), (5.4, 0.99)],  # error 0, clipped at 0.2, at -0.2, +-0.1
)
def test_the_coefficient_is_steered(kl, wanted):
    assert ppo_math.next_coefficient(0.5, kl, 6.0, 0.1) == pytest.approx(0.5 * wanted)
