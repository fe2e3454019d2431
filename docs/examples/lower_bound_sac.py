"""LowerBoundSAC: SAC with a setting for how far its critics' disagreement lowers a value."""

from dataclasses import KW_ONLY, dataclass

from offpcc.algorithms import SAC
from offpcc.config.ranges import NonNegativeFloat
from offpcc.config.registry import configurable


@configurable  # so that configs can name it
@dataclass
class LowerBoundSAC(SAC):
    """SAC with a lower bound of the critics' values (Ciosek et al., 2019, 1910.12807).

    With two critics, a pessimism of 1 gives their minimum, and so SAC; 0 gives their mean.
    """

    _: KW_ONLY
    pessimism: NonNegativeFloat = 0.5  # β

    def lower_bound(self, value):
        """mean_i Q_i - β std_i Q_i (B, T, K) of the values of N critics (N, B, T, K)."""
        variance = value.var(0, correction=0).clamp(min=1e-12)  # the root has no slope at 0
        return value.mean(0) - self.pessimism * variance.sqrt()

    def min_q(self, value):
        """The bound, in the target of the critics."""
        return self.lower_bound(value)

    def actor_value(self, value):
        """The bound, in the loss of the actor."""
        return self.lower_bound(value)
