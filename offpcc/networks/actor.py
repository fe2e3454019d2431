"""Actors: from a feature of the history to an action."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from offpcc.networks.mlp import MLP, Activation


class Actor(nn.Module, ABC):
    """A head: features (…, F) -> greedy actions (…, A).

    action_mask: the legal choices (…, A), bool; None: all of them. Continuous actions have none.
    """

    @abstractmethod
    def forward(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Greedy actions (…, A)."""

    def draw(
        self,
        feature: Tensor,
        generator: torch.Generator | None = None,
        action_mask: Tensor | None = None,
    ) -> Tensor:
        """Actions (…, A) of the policy itself; greedy where it is deterministic."""
        return cast(Tensor, self(feature, action_mask))


class SquashedActor(Actor):
    """One whose actions are the tanh of something."""

    @abstractmethod
    def raw(self, feature: Tensor) -> Tensor:
        """Greedy actions (…, A) before their tanh."""

    def forward(self, feature: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Greedy actions (…, A) in (-1, 1)."""
        return self.raw(feature).tanh()


class DeterministicActor(SquashedActor):
    """μ(h) = tanh(MLP(h)): features (…, F) -> actions (…, A)."""

    def __init__(
        self, inputs: int, actions: int, hidden: Sequence[int], activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.trunk = MLP(inputs, hidden, actions, activation)

    def raw(self, feature: Tensor) -> Tensor:
        """u (…, A), with μ = tanh u."""
        return cast(Tensor, self.trunk(feature))


class GaussianActor(SquashedActor):
    """π(·|h) = tanh N(μ(h), σ(h)²): one trunk, two outputs, log σ clamped to [-20, 2]."""

    def __init__(
        self, inputs: int, actions: int, hidden: Sequence[int], activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.trunk = MLP(inputs, hidden, 2 * actions, activation)

    def raw(self, feature: Tensor) -> Tensor:
        """μ (…, A)."""
        return cast(Tensor, self.trunk(feature).chunk(2, -1)[0])

    def draw(
        self,
        feature: Tensor,
        generator: torch.Generator | None = None,
        action_mask: Tensor | None = None,
    ) -> Tensor:
        """Actions (…, A) drawn from π."""
        return self._drawn(feature, generator)[0].tanh()

    def sample(
        self, feature: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """A reparametrised action (…, A) and its log π (…, 1), in nats."""
        raw, log_std, noise = self._drawn(feature, generator)
        return raw.tanh(), squashed_log_prob(log_std, noise, raw)

    def _drawn(
        self, feature: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Raw actions, log σ and the noise, (…, A) each."""
        mean, log_std = self.trunk(feature).chunk(2, -1)
        log_std = log_std.clamp(-20, 2)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + log_std.exp() * noise, log_std, noise


def squashed_log_prob(log_std: Tensor, noise: Tensor, raw: Tensor) -> Tensor:
    """log π(tanh u) (…, 1) of raw actions u = μ + σ ε (…, A): SAC, app. C (1812.05905).

    log N(u; μ, σ) - Σ log(1 - tanh² u), the last as 2 (ln 2 - u - softplus(-2u)), which is stable.
    """
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    squash = 2 * (math.log(2) - raw - softplus(-2 * raw))
    return (gaussian - squash).sum(-1, keepdim=True)
