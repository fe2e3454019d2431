"""Multilayer perceptrons: one, and N of them evaluated at once."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn

Activation = Literal["relu", "tanh", "elu", "silu", "gelu", "leaky_relu"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Inside, bf16 is off: a last layer gives values and actions, whose small parts count."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


class MLP(nn.Sequential):
    """Linear layers with an activation between: (…, inputs) -> (…, outputs)."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        activation: Activation = "relu",
    ) -> None:
        sizes = (inputs, *hidden, outputs)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])

    def orthogonal(self, gain: float) -> Self:
        """Starts from orthogonal weights (Saxe et al., 2013, 1312.6120) and biases of zero.

        gain: of the last layer's weights; that of the others is √2.
        """
        linear = [layer for layer in self if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.orthogonal_(layer.weight, gain if layer is linear[-1] else math.sqrt(2))
            nn.init.zeros_(layer.bias)
        return self

    def forward(self, rows: Tensor) -> Tensor:
        """Outputs (…, outputs), the last layer in float32."""
        rows = self.inner(rows)
        with full_precision(rows):
            return cast(Tensor, self[-1](rows.float()))

    def inner(self, rows: Tensor) -> Tensor:
        """What the last layer reads (…, units)."""
        for layer in list(self)[:-1]:
            rows = layer(rows)
        return rows


class EnsembleMLP(nn.Module):
    """N independent MLPs on the same input: (R, inputs) -> (N, R, outputs), R rows.

    Each layer is one batched product. norm: whether a layer's units are brought to mean 0 and
    deviation 1 before its activation (Ba et al., 2016, 1607.06450), without gains and offsets.
    """

    def __init__(
        self,
        heads: int,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: Activation = "relu",
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.activation = ACTIVATIONS[activation]()
        sizes = (inputs, *hidden, outputs)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for before, after in pairwise(sizes):
            bound = 1 / math.sqrt(before)  # as nn.Linear initialises
            self.weights.append(torch.empty(heads, before, after).uniform_(-bound, bound))
            self.biases.append(torch.empty(heads, 1, after).uniform_(-bound, bound))

    def forward(self, rows: Tensor, heads: int | None = None) -> Tensor:
        """Outputs (N, R, outputs) of rows (R, inputs); of the first `heads` MLPs, if given."""
        *layers, (weight, bias) = [
            (weight[:heads], bias[:heads])
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        hidden = rows.expand(len(weight), -1, -1)
        for inner, offset in layers:
            hidden = torch.baddbmm(offset, hidden, inner)
            if self.norm:
                hidden = nn.functional.layer_norm(hidden, hidden.shape[-1:])
            hidden = self.activation(hidden)
        with full_precision(hidden):
            return torch.baddbmm(bias, hidden.float(), weight)
