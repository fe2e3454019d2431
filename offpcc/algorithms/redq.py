"""REDQ: randomised ensembled double Q-learning (Chen et al., 2021, 2101.05982).

Differences: the history h in place of the state; all losses take their gradients at the same
parameters, the actor's in every update (the paper's moves in the last of a step's twenty). How
many updates a step is worth is the `replay_ratio`.
"""

from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from offpcc.algorithms.sac import SAC
from offpcc.config.ranges import PositiveInt, Size


@dataclass
class REDQ(SAC):
    """SAC with many heads; the target takes the smallest of a few drawn ones."""

    _: KW_ONLY
    num_critics: Size = 10  # N
    target_subset_size: PositiveInt = 2  # M, heads drawn for a target

    def _check(self) -> None:
        super()._check()
        if self.target_subset_size > self.num_critics:
            raise ValueError(
                f"target_subset_size is {self.target_subset_size}; it is at most num_critics, "
                f"{self.num_critics}"
            )

    def min_q(self, value: Tensor) -> Tensor:
        """The smallest of M heads, drawn anew in each update: algorithm 1, line 8."""
        order = torch.randperm(self.num_critics, generator=self.generator, device=value.device)
        return value[order[: self.target_subset_size]].amin(0)

    def actor_value(self, value: Tensor) -> Tensor:
        """The mean of all heads: line 11."""
        return value.mean(0)
