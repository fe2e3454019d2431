"""LeakyIntegrators: a memory of running means, each over a time of its own, which is learned."""

import torch
from torch import nn

from offpcc.config.registry import configurable
from offpcc.networks import Stack
from offpcc.networks.scan import linear_recurrence

SHORTEST, LONGEST = 1.0, 100.0  # time constants at the start, steps


@configurable  # so that configs can name it
class LeakyIntegrators(Stack):
    """s' = a s + (1 - a) tanh(W x + b); a = exp(-1/τ), and each unit learns its own τ."""

    def __init__(self, inputs, *, hidden_size=128, num_layers=1, skip_connection=True):
        if num_layers != 1:
            raise ValueError(f"LeakyIntegrators has 1 layer, not {num_layers}")
        super().__init__(inputs, hidden_size, num_layers, skip_connection)
        self.state_size = hidden_size
        self.map = nn.Linear(inputs, hidden_size)
        constants = SHORTEST * (LONGEST / SHORTEST) ** torch.linspace(0, 1, hidden_size)
        self.log_constant = nn.Parameter(constants.log())  # log τ

    def unroll(self, inputs, state):
        """Features (B, T, F) of inputs (B, T, X), and the state (B, S) after the last step."""
        target = self.map(inputs).tanh().transpose(0, 1)  # (T, B, S)
        carry = (-1 / self.log_constant.exp()).exp().expand_as(target)
        states = linear_recurrence(carry, (1 - carry) * target, state)
        return self.feature(states.transpose(0, 1), inputs), states[-1]
