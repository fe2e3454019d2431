"""Multilayer perceptrons: one, and N of them evaluated at once."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn


def full_precision(like: Tensor) -> torch.autocast:
    """Inside, bf16 is off: a last layer gives values and actions, whose small parts count."""
    return torch.autocast(like.device.type, enabled=False)


class MLP(nn.Sequential):
    """Linear layers with ReLU between them: (…, inputs) -> (…, outputs)."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        sizes = (inputs, *hidden, outputs)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])

    def forward(self, rows: Tensor) -> Tensor:
        """Outputs (…, outputs), the last layer in float32."""
        *trunk, last = self
        for layer in trunk:
            rows = layer(rows)
        with full_precision(rows):
            return cast(Tensor, last(rows.float()))


class EnsembleMLP(nn.Module):
    """N independent MLPs on the same input: (R, inputs) -> (N, R, outputs), R rows.

    The first layer is one matrix product for all N, the later ones a batched product each.

    Raises ValueError without a hidden layer.
    """

    def __init__(self, heads: int, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        if not hidden:
            raise ValueError("hidden is (); a critic's heads need at least one hidden layer")
        sizes = (inputs, *hidden, outputs)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for before, after in pairwise(sizes):
            bound = 1 / math.sqrt(before)  # as nn.Linear initialises
            self.weights.append(torch.empty(heads, before, after).uniform_(-bound, bound))
            self.biases.append(torch.empty(heads, 1, after).uniform_(-bound, bound))

    def forward(self, rows: Tensor, heads: int | None = None) -> Tensor:
        """Outputs (N, R, outputs) of rows (R, inputs); of the first `heads` MLPs, if given."""
        weights = [weight[:heads] for weight in self.weights]
        biases = [bias[:heads] for bias in self.biases]
        first = weights[0].transpose(0, 1).flatten(1)  # (inputs, N * after)
        hidden = torch.addmm(biases[0].flatten(), rows, first)
        hidden = hidden.unflatten(1, (len(weights[0]), -1)).transpose(0, 1)  # (N, R, after)
        for weight, bias in zip(weights[1:-1], biases[1:-1], strict=True):
            hidden = torch.baddbmm(bias, hidden.relu_(), weight)
        with full_precision(hidden):
            return torch.baddbmm(biases[-1], hidden.relu_().float(), weights[-1])
