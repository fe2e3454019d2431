"""TQC: truncated quantile critics (Kuznetsov et al., 2020, 2005.04269).

Differences: the history h in place of the state; all losses take their gradients at the same
parameters.
"""

from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from offpcc.algorithms.core.losses import masked_mean, quantile_huber
from offpcc.algorithms.sac import SAC
from offpcc.config.ranges import NonNegativeInt, Size
from offpcc.networks import Critic


@dataclass
class TQC(SAC):
    """SAC with heads that tell quantiles of the return; the target leaves the highest out."""

    _: KW_ONLY
    num_critics: Size = 5  # N
    num_quantiles: Size = 25  # M, quantiles of each head
    top_quantiles_to_drop: NonNegativeInt = 2  # d, left out of the target, for each head

    def _check(self) -> None:
        super()._check()
        if self.top_quantiles_to_drop >= self.num_quantiles:
            raise ValueError(
                f"top_quantiles_to_drop is {self.top_quantiles_to_drop}; it must be less than "
                f"num_quantiles, {self.num_quantiles}"
            )

    def make_critic(self, inputs: int) -> Critic:
        """θ, the heads' quantiles."""
        return Critic(
            inputs,
            self.spec.action,
            self.hidden_sizes,
            atoms=self.num_quantiles,
            **self.critic_settings(),
        )

    def min_q(self, value: Tensor) -> Tensor:
        """All heads' atoms (B, T, N (M - d)), sorted, without the highest: equation 11."""
        pooled = value.movedim(0, -2).flatten(-2)
        return pooled.sort(-1).values[
            ..., : self.num_critics * (self.num_quantiles - self.top_quantiles_to_drop)
        ]

    def critic_loss(self, value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Σ_n of the quantile regression of each head's atoms to the target's: equation 13."""
        level = (torch.arange(self.num_quantiles, device=value.device) + 0.5) / self.num_quantiles
        return masked_mean(quantile_huber(value, target, level).sum(0), mask)

    def actor_value(self, value: Tensor) -> Tensor:
        """The mean of all heads' atoms: equation 14."""
        return value.mean((0, -1)).unsqueeze(-1)
