"""MinGRU: a memory whose gates see the input alone, so that a whole window is one scan."""

import torch
from torch import Tensor, nn

from offpcc.config.ranges import Depth, Size, checked
from offpcc.networks.scan import linear_recurrence
from offpcc.networks.summarizer import Stack


class MinGRU(Stack):
    """h' = a h + (1 - a) c, with a = σ(W x + b) and c = V x + d (Feng et al., 2024, 2410.01201).

    forget_gate_bias: b at the start; above 0, a fresh memory holds on for longer.
    """

    @checked
    def __init__(
        self,
        inputs: int,
        *,
        hidden_size: Size = 128,
        num_layers: Depth = 1,
        skip_connection: bool = True,
        forget_gate_bias: float = 0.0,
    ) -> None:
        super().__init__(inputs, hidden_size, num_layers, skip_connection)
        sizes = [inputs] + [hidden_size] * (num_layers - 1)
        maps = [nn.Linear(size, 2 * hidden_size) for size in sizes]
        for layer in maps:
            nn.init.constant_(layer.bias.data[:hidden_size], forget_gate_bias)
        self.maps = nn.ModuleList(maps)
        self.state_size = num_layers * hidden_size

    def unroll(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F): the top layer's states and, with a skip connection, the input."""
        output, state = self._run(inputs, state, inputs.new_ones(()).bool())
        return self.feature(output, inputs), state

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Layer by layer: faster than a scan of one step, and torch can trace it."""
        hidden, after = inputs, []
        for layer, before in zip(self.maps, state.chunk(len(self.maps), 1), strict=True):
            gate, candidate = layer(hidden).float().chunk(2, -1)  # (B, hidden_size)
            hold = gate.sigmoid()
            hidden = torch.addcmul((1 - hold) * candidate, hold, before)
            after.append(hidden)
        return self.feature(hidden, inputs), torch.cat(after, 1)

    @torch.no_grad()
    def warm(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> Tensor:
        """In one scan: behind a row's length, all is held."""
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        real = steps.unsqueeze(1) < lengths.to(inputs.device)
        return self._run(inputs, state, real.unsqueeze(-1))[1]

    def _run(self, inputs: Tensor, state: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """The top layer's states (B, T, hidden_size), and the next flat state; real (T, B, 1)."""
        hidden, after = inputs.transpose(0, 1), []
        for layer, start in zip(self.maps, state.chunk(len(self.maps), 1), strict=True):
            gate, candidate = layer(hidden).float().chunk(2, -1)  # (T, B, hidden_size)
            hold = torch.where(real, gate.sigmoid(), 1.0)
            hidden = linear_recurrence(hold, torch.where(real, (1 - hold) * candidate, 0.0), start)
            after.append(hidden[-1])
        return hidden.transpose(0, 1), torch.cat(after, 1)
