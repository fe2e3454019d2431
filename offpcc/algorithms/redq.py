"""REDQ: randomised ensembled double Q-learning (Chen et al., 2021, 2101.05982).

Differences: the history h in place of the state; all losses take their gradients at the same
parameters, the actor's in every update (the paper's moves in the last of a step's twenty). How
many updates a step is worth is the replay's `ratio`.
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
    heads: Size = 10  # N
    subset: PositiveInt = 2  # M, heads drawn for a target

    def _check(self) -> None:
        super()._check()
        if self.subset > self.heads:
            raise ValueError(f"subset is {self.subset}; it lies in 1 … heads, {self.heads}")

    def min_q(self, value: Tensor) -> Tensor:
        """The smallest of M heads, drawn anew in each update: algorithm 1, line 8."""
        order = torch.randperm(self.heads, generator=self.generator, device=value.device)
        return value[order[: self.subset]].amin(0)

    def actor_value(self, value: Tensor) -> Tensor:
        """The mean of all heads: line 11."""
        return value.mean(0)
