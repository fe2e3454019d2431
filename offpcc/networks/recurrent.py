"""Recurrent layers as summarizers: LSTM, GRU and Elman's network, on torch's own kernels."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from offpcc.config.ranges import Depth, Size, checked
from offpcc.networks.summarizer import Stack


class Recurrent(Stack):
    """A stack of recurrent layers. Their weights start orthogonal gate by gate, biases at zero."""

    network: Callable[..., nn.RNNBase]  # torch's layer stack
    parts: int  # vectors in a layer's state: 2 for (h, c)

    @checked
    def __init__(
        self,
        inputs: int,
        *,
        hidden_size: Size = 128,
        num_layers: Depth = 1,
        skip_connection: bool = True,
    ) -> None:
        super().__init__(inputs, hidden_size, num_layers, skip_connection)
        self.memory = self.network(inputs, hidden_size, num_layers, batch_first=True)
        self.state_size = self.parts * num_layers * hidden_size
        for name, parameter in self.memory.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            elif "weight_hh" in name:
                for gate in parameter.data.split(hidden_size):
                    nn.init.orthogonal_(gate)

    def split(self, state: Tensor) -> tuple[Tensor, ...]:
        """The flat state (B, S) as `parts` tensors (num_layers, B, hidden_size)."""
        shape = (self.parts, self.num_layers, self.hidden_size)
        return state.unflatten(1, shape).permute(1, 2, 0, 3).contiguous().unbind(0)

    def join(self, parts: tuple[Tensor, ...]) -> Tensor:
        """The way back from `split`."""
        return torch.stack(parts).permute(2, 0, 1, 3).flatten(1).float()

    def run(self, inputs: object, state: Tensor) -> tuple[Tensor, Tensor]:
        """Torch's own pass over padded or packed inputs: its output and the next flat state."""
        parts = self.split(state)
        output, parts = self.memory(inputs, parts if self.parts > 1 else parts[0])
        return output, self.join(parts if self.parts > 1 else (parts,))

    def unroll(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F): the top layer's output and, with a skip connection, the input."""
        output, state = self.run(inputs, state)
        return self.feature(output, inputs), state

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Cell by cell: several times faster than a pass of one step through torch's stack."""
        before, hidden, after = state.split(self.hidden_size, 1), inputs, []
        for layer, weights in enumerate(self.memory.all_weights):
            after.append(self.cell(hidden, before[layer :: self.num_layers], weights))
            hidden = after[-1][0]
        pieces = [piece for part in zip(*after, strict=True) for piece in part]
        return self.feature(hidden, inputs), torch.cat(pieces, 1).float()

    @abstractmethod
    def cell(
        self, inputs: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """One layer's state (`parts` tensors (B, hidden_size)) after one step's inputs (B, ·)."""

    @torch.no_grad()
    def warm(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> Tensor:
        """In one pass over packed rows; rows of length 0 keep their state."""
        packed = pack_padded_sequence(inputs, lengths.clamp(min=1), True, enforce_sorted=False)
        warmed = self.run(packed, state)[1]
        return torch.where((lengths > 0).to(state.device).unsqueeze(1), warmed, state)


class Gated(Recurrent):
    """Layers whose second gate says how much of the state stays: an LSTM's f, a GRU's z.

    forget_gate_bias: of these gates at the start. Above 0, a fresh memory holds on for longer (Gers
    et al., 2000), about exp(forget_gate_bias) steps; below, it lets go sooner, which suits
    what the last few steps can tell.
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
        super().__init__(
            inputs, hidden_size=hidden_size, num_layers=num_layers, skip_connection=skip_connection
        )
        for name, parameter in self.memory.named_parameters():
            if name.startswith("bias_ih"):
                nn.init.constant_(parameter.data[hidden_size : 2 * hidden_size], forget_gate_bias)


class LSTM(Gated):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997)."""

    network, parts = nn.LSTM, 2

    def cell(
        self, inputs: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """(h, c) after one step."""
        return torch.lstm_cell(inputs, state, *weights)


class GRU(Gated):
    """Gated recurrent unit (Cho et al., 2014, 1406.1078)."""

    network, parts = nn.GRU, 1

    def cell(
        self, inputs: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """(h,) after one step."""
        return (torch.gru_cell(inputs, state[0], *weights),)


class RNN(Recurrent):
    """Elman's network (1990): h' = tanh(W x + U h + b)."""

    network, parts = nn.RNN, 1

    def cell(
        self, inputs: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """(h,) after one step."""
        return (torch.rnn_tanh_cell(inputs, state[0], *weights),)
