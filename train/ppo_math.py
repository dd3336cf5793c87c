"""PPO's arithmetic on answers: pure functions of tensors, each with the paper and section that it is from.

Every tensor is (answers, longest) and begins at the answer's first token; ``mask`` is true on the answer's tokens, its
end-of-text included, and an answer has at least one. What stands behind is padding: it may hold anything, and neither
a value nor a gradient depends on it. Losses are returned token by token, so that the caller divides by the count of
the whole minibatch, however it is cut into micro-batches and devices. Cost: 512 answers of 256 tokens, 30 ms.

Schulman 2016: GAE, arXiv 1506.02438. Schulman 2017: PPO, arXiv 1707.06347. Ziegler 2019: Fine-tuning language models
from human preferences, arXiv 1909.08593. Huang 2024: The N+ implementation details of RLHF with PPO, arXiv 2403.17031,
with its forerunner at ICLR's blog track (whitening, clipped value loss: details of the code of Ziegler 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-8
MOST_ERROR = 0.2  # of the adaptive coefficient, either way


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the masked places, a scalar."""
    return torch.where(mask, x, 0).sum() / mask.sum()


def whiten(x: Tensor, mask: Tensor, *, centre: bool) -> Tensor:
    """Scale to variance 1 over the masked places (Huang 2024, whitening): rewards keep their mean, advantages lose it.

    Args:
        x: Rewards or advantages.
        mask: The answers' tokens.
        centre: Whether the mean is taken off; rewards keep theirs, since its sign says whether an answer was good.
    """
    mean = masked_mean(x, mask)
    scaled = (x - mean) * torch.rsqrt(masked_mean((x - mean) ** 2, mask) + LEAST_VARIANCE)
    return torch.where(mask, scaled if centre else scaled + mean, 0)


def token_rewards(scores: Tensor, logp: Tensor, reference: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """Return R_t = [t is the last] r(x, y) - beta log(pi(y_t) / rho(y_t)): Ziegler 2019, section 2, equation 2.

    Args:
        scores: What the reward model says of each answer, shape (answers,).
        logp: Of the policy that drew them.
        reference: Of the model that the policy is held to.
        mask: The answers' tokens.
        coefficient: beta.
    """
    rewards = torch.where(mask, -coefficient * (logp - reference), 0)
    return rewards.scatter_add(1, mask.sum(1, keepdim=True) - 1, scores[:, None].to(rewards.dtype))


def answer_kl(logp: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Return log(pi(y) / rho(y)) of each answer, nats, shape (answers,); its mean is KL(pi, rho): Ziegler 2019, 2."""
    return torch.where(mask, logp - reference, 0).sum(1)


def next_coefficient(coefficient: float, kl: float, target: float, rate: float) -> float:
    """Return beta' = beta (1 + K clip((KL - target) / target, -0.2, 0.2)): Ziegler 2019, section 2.2; K is 0.1 there."""
    error = max(-MOST_ERROR, min(MOST_ERROR, (kl - target) / target))
    return coefficient * (1 + rate * error)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Return advantages and returns: Schulman 2016, section 3, equation 16, delta_t = r_t + gamma V_{t+1} - V_t.

    An answer ends its episode: after its last token the value is 0, also where it was cut off at the longest.

    Args:
        rewards: Of each token.
        values: V before each token.
        mask: The answers' tokens.
        gamma: Discount a token; 1 for answers.
        lam: Lambda, between one-step errors (0) and whole returns (1).
    """
    values, rewards = torch.where(mask, values, 0), torch.where(mask, rewards, 0)
    following = torch.nn.functional.pad(values[:, 1:], (0, 1))
    delta = rewards + gamma * following - values
    out, later = torch.zeros_like(values), torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        later = delta[:, t] + gamma * lam * later
        out[:, t] = later
    return out, out + values


def policy_losses(
    logp: Tensor, drawn: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return -min(r A, clip(r, 1 - eps, 1 + eps) A) a token: Schulman 2017, section 3, equation 7.

    Args:
        logp: Of the policy as it is now.
        drawn: Of the policy that drew the answers.
        advantages: Whitened or not.
        mask: The answers' tokens.
        clip: epsilon.

    Returns:
        The losses; whether the clip holds a token's gradient back; and r - 1 - log r, whose mean is KL(old, new).
    """
    change = torch.where(mask, logp - drawn, 0)
    ratio = change.exp()
    plain, clipped = -ratio * advantages, -ratio.clamp(1 - clip, 1 + clip) * advantages
    losses = torch.where(mask, torch.maximum(plain, clipped), 0)
    return losses, (clipped > plain) & mask, (ratio - 1 - change).detach()


def value_losses(values: Tensor, drawn: Tensor, returns: Tensor, mask: Tensor, clip: float | None) -> Tensor:
    """Return 1/2 max((V - R)^2, (V_old + clip(V - V_old, -eps, eps) - R)^2) a token: Huang 2024, clipped value loss.

    Args:
        values: As they are now.
        drawn: As they were when the answers were drawn.
        returns: What they should be.
        mask: The answers' tokens.
        clip: How far a value may go in a step's updates; None: as far as it likes.
    """
    losses = (values - returns) ** 2
    if clip is not None:
        held = drawn + (values - drawn).clamp(-clip, clip)
        losses = torch.maximum(losses, (held - returns) ** 2)
    return torch.where(mask, losses / 2, 0)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of each distribution of the last axis (the bonus of Schulman 2017, equation 9)."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Return 1 - Var(R - V) / Var(R): 1 if the values foresee everything, 0 if they foresee nothing, below if worse."""
    wanted, left = returns[mask], (returns - values)[mask]
    spread = float(wanted.var(correction=0))
    return 1 - float(left.var(correction=0)) / spread if spread > 0 else 0.0
