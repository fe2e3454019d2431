"""Actors whose likelihood is learned from: the policy gradient's, continuous and discrete.

What such an actor says of a feature is one flat tensor (…, P), its distribution's parameters; the
rest are functions of it.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from offpcc.data import AgentSpec
from offpcc.networks.actor import Actor
from offpcc.networks.mlp import MLP, Activation

GAIN = 0.01  # of the last layer at the start: the first policy hardly depends on what it sees
# The logit of an illegal choice: its probability is 0 in float32, and 0 times its log is 0, where
# -inf would give NaN.
ILLEGAL = -1e8


class DistributionActor(Actor):
    """π(·|h) by its parameters (…, P); all that is said of it is in nats, (…)."""

    trunk: MLP

    @abstractmethod
    def describe(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """The distribution's parameters (…, P) at features (…, F); action_mask: see `Actor`."""

    @abstractmethod
    def mode(self, described: Tensor) -> Tensor:
        """The likeliest action (…, A)."""

    @abstractmethod
    def sample(self, described: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions (…, A) drawn from it, without gradient."""

    @abstractmethod
    def log_prob(self, described: Tensor, action: Tensor) -> Tensor:
        """log π(a|h)."""

    @abstractmethod
    def entropy(self, described: Tensor) -> Tensor:
        """-E log π."""

    @abstractmethod
    def divergence(self, before: Tensor, described: Tensor) -> Tensor:
        """KL(π_before ‖ π)."""

    def forward(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Greedy actions (…, A)."""
        return self.mode(self.describe(feature, action_mask))

    def draw(
        self,
        feature: Tensor,
        generator: torch.Generator | None = None,
        action_mask: Tensor | None = None,
    ) -> Tensor:
        """Actions (…, A) drawn from π."""
        return self.sample(self.describe(feature, action_mask), generator)


class NormalActor(DistributionActor):
    """N(μ(h), σ²), σ being the same at every history. Environments cut what lies beyond ±1."""

    def __init__(
        self, inputs: int, actions: int, hidden: Sequence[int], activation: Activation = "tanh"
    ) -> None:
        super().__init__()
        self.trunk = MLP(inputs, hidden, actions, activation).orthogonal(GAIN)
        self.log_std = nn.Parameter(torch.zeros(actions))

    def describe(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """μ and log σ, side by side."""
        mean = cast(Tensor, self.trunk(feature))
        return torch.cat((mean, self.log_std.expand_as(mean)), -1)

    def mode(self, described: Tensor) -> Tensor:
        """μ, cut to ±1 as environments cut it."""
        return described.chunk(2, -1)[0].clamp(-1, 1)

    @torch.no_grad()
    def sample(self, described: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `DistributionActor`."""
        mean, log_std = described.chunk(2, -1)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + log_std.exp() * noise

    def log_prob(self, described: Tensor, action: Tensor) -> Tensor:
        """Σ -½ ((a - μ) / σ)² - log σ - ½ log 2π."""
        mean, log_std = described.chunk(2, -1)
        gap = (action - mean) * (-log_std).exp()
        return (-0.5 * gap.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, described: Tensor) -> Tensor:
        """Σ log σ + ½ log 2πe."""
        log_std = described.chunk(2, -1)[1]
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def divergence(self, before: Tensor, described: Tensor) -> Tensor:
        """Σ log σ/σ₀ + (σ₀² + (μ₀ - μ)²) / 2σ² - ½."""
        (mean0, log_std0), (mean, log_std) = before.chunk(2, -1), described.chunk(2, -1)
        square = (2 * log_std0).exp() + (mean0 - mean).square()
        return (log_std - log_std0 + 0.5 * square * (-2 * log_std).exp() - 0.5).sum(-1)


class CategoricalActor(DistributionActor):
    """One choice in each part of an action, one-hot; P is A: all choices' log-probabilities.

    An action mask takes the illegal choices out of π: their probability is 0, and so is the
    gradient of their logits (Huang & Ontañón, 2020, 2006.14171, section 3).
    """

    def __init__(
        self,
        inputs: int,
        choices: Sequence[int],
        hidden: Sequence[int],
        activation: Activation = "tanh",
    ) -> None:
        super().__init__()
        self.choices = list(choices)
        self.trunk = MLP(inputs, hidden, sum(choices), activation).orthogonal(GAIN)

    def describe(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """log p of every choice, about -1e8 of an illegal one."""
        logits = cast(Tensor, self.trunk(feature))
        if action_mask is not None:
            logits = logits.masked_fill(~action_mask, ILLEGAL)
        parts = logits.split(self.choices, -1)
        return torch.cat([part.log_softmax(-1) for part in parts], -1)

    def mode(self, described: Tensor) -> Tensor:
        """The likeliest choice of each part."""
        parts = described.split(self.choices, -1)
        chosen = [nn.functional.one_hot(part.argmax(-1), part.shape[-1]) for part in parts]
        return torch.cat(chosen, -1).to(described.dtype)

    @torch.no_grad()
    def sample(self, described: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The largest of log p plus Gumbel noise, in each part."""
        noise = torch.empty_like(described).exponential_(generator=generator)
        return self.mode(described - noise.log())

    def log_prob(self, described: Tensor, action: Tensor) -> Tensor:
        """Σ of the chosen ones' log p."""
        return (described * action).sum(-1)

    def entropy(self, described: Tensor) -> Tensor:
        """-Σ p log p."""
        return -(described.exp() * described).sum(-1)

    def divergence(self, before: Tensor, described: Tensor) -> Tensor:
        """Σ p₀ (log p₀ - log p)."""
        return (before.exp() * (before - described)).sum(-1)


def distribution_actor(
    spec: AgentSpec, inputs: int, hidden: Sequence[int], activation: Activation = "tanh"
) -> DistributionActor:
    """The one that fits an environment's actions."""
    if spec.choices:
        return CategoricalActor(inputs, spec.choices, hidden, activation)
    return NormalActor(inputs, spec.action, hidden, activation)
