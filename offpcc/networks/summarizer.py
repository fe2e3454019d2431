"""Summarizers: what an agent remembers of its history, as one flat state and one feature a step.

A state is a value, (B, S) float32, laid flat here and nowhere else. It starts at zero; setting a
row to zero forgets. `Identity` remembers nothing: S = 0, and every algorithm is then memoryless.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from offpcc.config.ranges import Depth, Size


class Summarizer(nn.Module, ABC):
    """Maps inputs (B, T, X) and a state (B, S) to features (B, T, F) and the next state (B, S)."""

    size: int  # F
    state_size: int  # S

    @abstractmethod
    def unroll(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) of inputs (B, T, X), and the state (B, S) after the last."""

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) of one step's inputs (B, X), and the next state (B, S)."""
        features, state = self.unroll(inputs.unsqueeze(1), state)
        return features.squeeze(1), state

    @torch.no_grad()
    def warm(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> Tensor:
        """The state (B, S) after the first lengths[i] of row i's inputs (B, W, X); no gradient."""
        lengths = lengths.to(state.device)
        for t in range(inputs.shape[1]):
            following = self.step(inputs[:, t], state)[1]
            state = torch.where((t < lengths).unsqueeze(1), following, state)
        return state


class Identity(Summarizer):
    """Remembers nothing: the feature is the input."""

    state_size = 0

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.size = inputs

    def unroll(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs themselves."""
        return inputs, state

    def warm(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> Tensor:
        """Nothing to warm."""
        return state


class Stack(Summarizer):
    """Recurrent layers, whose feature the current input may join by a skip connection.

    hidden_size: units a layer; skip_connection: whether the input goes past the memory, too.
    """

    def __init__(
        self, inputs: int, hidden_size: Size, num_layers: Depth, skip_connection: bool
    ) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.skip_connection = skip_connection
        self.size = hidden_size + inputs * skip_connection

    def feature(self, output: Tensor, inputs: Tensor) -> Tensor:
        """What the top layer says (…, hidden_size) and, with a skip connection, the input."""
        return torch.cat((output, inputs), -1) if self.skip_connection else output
