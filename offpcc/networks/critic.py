"""Critic: N heads on one feature of the history, each K numbers for an action."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offpcc.networks.mlp import Activation, EnsembleMLP


class Critic(nn.Module):
    """Q_i(h, a): features (B, T, F) and actions (B, T, A) -> values (N, B, T, K)."""

    def __init__(
        self,
        inputs: int,
        actions: int,
        hidden: Sequence[int],
        *,
        heads: int = 1,
        atoms: int = 1,
        activation: Activation = "relu",
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = EnsembleMLP(
            heads, inputs + actions, hidden, atoms, activation=activation, norm=norm
        )

    def forward(self, feature: Tensor, action: Tensor, heads: int | None = None) -> Tensor:
        """Values (N, B, T, K); of the first `heads` heads only, if that is given."""
        rows = torch.cat((feature, action.to(feature.dtype)), -1)
        values = self.trunk(rows.flatten(0, -2), heads)  # (N, B * T, K)
        return values.unflatten(1, action.shape[:-1])


class DiscreteCritic(nn.Module):
    """Q_i(h, ·) of all A choices at once."""

    def __init__(
        self,
        inputs: int,
        choices: int,
        hidden: Sequence[int],
        *,
        heads: int = 1,
        activation: Activation = "relu",
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = EnsembleMLP(heads, inputs, hidden, choices, activation=activation, norm=norm)

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """Values (N, B, T, 1) of one-hot actions (B, T, A)."""
        return (self.every(feature) * action).sum(-1, keepdim=True)

    def every(self, feature: Tensor) -> Tensor:
        """Values (N, B, T, A) at features (B, T, F)."""
        values: Tensor = self.trunk(feature.flatten(0, -2))
        return values.unflatten(1, feature.shape[:-1])
