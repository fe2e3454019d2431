"""A2C: the synchronous form of A3C (Mnih et al., 2016, 1602.01783).

Differences: Adam in place of RMSProp; λ-returns, of which λ = 1 are the paper's; advantages are
normalised over a rollout; no entropy bonus unless its weight is set; σ is one for all histories.
"""

from dataclasses import KW_ONLY, dataclass

from torch import Tensor

from offpcc.algorithms.core.agent import Metrics
from offpcc.algorithms.core.on_policy import OnPolicy
from offpcc.config.ranges import PositiveInt, UnitFloat


@dataclass
class A2C(OnPolicy):
    """One step up log π times the advantage, for each rollout."""

    _: KW_ONLY
    gae_lambda: UnitFloat = 1.0  # λ
    num_epochs: PositiveInt = 1
    batch_size: PositiveInt | None = None

    def surrogate(
        self, log_prob: Tensor, before: Tensor, advantage: Tensor
    ) -> tuple[Tensor, Metrics]:
        """Â log π: section 4 of the paper."""
        return log_prob * advantage, {}
