"""COPG: clipped-objective policy gradient (Markowitz & Staley, 2023, 2311.05846).

PPO with one line changed: the gradient of log π in place of that of the ratio, so that it is not
larger where the ratio is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from offpcc.algorithms.core.agent import Metrics
from offpcc.algorithms.ppo import PPO


@dataclass
class COPG(PPO):
    """Climbs log π times the advantage, where PPO's clip would let it."""

    def surrogate(
        self, log_prob: Tensor, before: Tensor, advantage: Tensor
    ) -> tuple[Tensor, Metrics]:
        """min(log π Â, (log clip(ρ, 1 ± ε) + log π_old) Â)."""
        ratio = (log_prob - before).exp()
        edge = self.clipped(ratio).log() + before
        return torch.minimum(log_prob * advantage, edge * advantage), self.clip_fraction(
            ratio.detach()
        )
