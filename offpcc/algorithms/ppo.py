"""PPO: proximal policy optimisation (Schulman et al., 2017, 1707.06347).

Differences: the history h in place of the state; the rest is `OnPolicy`'s.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from offpcc.algorithms.core.agent import Metrics
from offpcc.algorithms.core.on_policy import OnPolicy
from offpcc.config.ranges import PositiveFloat


@dataclass
class PPO(OnPolicy):
    """Climbs the ratio of likelihoods times the advantage, no further than 1 ± ε."""

    _: KW_ONLY
    clip_range: PositiveFloat = 0.2  # ε

    columns: ClassVar[dict[str, str]] = OnPolicy.columns | {
        "clip_fraction": "share of ratios beyond 1 ± ε",
    }

    def surrogate(
        self, log_prob: Tensor, before: Tensor, advantage: Tensor
    ) -> tuple[Tensor, Metrics]:
        """min(ρ Â, clip(ρ, 1 ± ε) Â), ρ = π / π_old: equation 7."""
        ratio = (log_prob - before).exp()
        gain = torch.minimum(ratio * advantage, self.clipped(ratio) * advantage)
        return gain, self.clip_fraction(ratio)

    def clipped(self, ratio: Tensor) -> Tensor:
        """clip(ρ, 1 ± ε)."""
        return ratio.clamp(1 - self.clip_range, 1 + self.clip_range)

    def clip_fraction(self, ratio: Tensor) -> Metrics:
        """Which ratios the clip cuts, as a metric."""
        return {"clip_fraction": (self.clipped(ratio) != ratio).float()}
