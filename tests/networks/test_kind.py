"""Two networks are of one kind if they compute the same from the same weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from offpcc.data import Field
from offpcc.networks import GRU, LSTM, MLP, CategoricalActor, DeterministicActor, NormalActor
from offpcc.networks.convolution import Convolution
from offpcc.networks.kind import difference


class Scaled(nn.Module):
    """A network of one's own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.gain = nn.Parameter(torch.ones(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(3, hidden_size=4),
        lambda: NormalActor(3, 2, (4,)),
        lambda: Convolution(Field((3, 20, 20), "uint8"), channels=2),
        lambda: Scaled(torch.tanh),
        lambda: Scaled(lambda values: 2 * values),
    ],
)
def test_weights_alone_make_no_difference(make) -> None:
    old, new = make(), make()
    with torch.no_grad():
        for weight in new.parameters():
            weight.add_(1.0)
    assert difference(old, new.eval()) == ""


# Most of these have equal shapes.
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (MLP(3, (4,), 2), MLP(3, (4,), 2, "tanh"), "1 is ReLU in that run, Tanh in this one"),
        (MLP(3, (4,), 2), MLP(3, (5,), 2), "0.out_features is 4 in that run, 5 in this one"),
        (
            DeterministicActor(3, 2, (4,), "tanh"),
            NormalActor(3, 2, (4,)),
            "DeterministicActor in that run, NormalActor in this one",
        ),
        (
            CategoricalActor(3, (2, 3), (4,)),
            CategoricalActor(3, (3, 2), (4,)),
            "choices is [2, 3] in that run, [3, 2] in this one",
        ),
        (LSTM(3), GRU(3), "LSTM in that run, GRU in this one"),
        (
            LSTM(3, hidden_size=4),
            LSTM(3, hidden_size=4, skip_connection=False),
            "skip_connection is True in that run, False in this one",
        ),
        (
            Convolution(Field((3, 21, 21), "uint8"), channels=2, strides=(2, 1)),
            Convolution(Field((3, 21, 21), "uint8"), channels=2, strides=(1, 2)),
            "filters.0.stride is (2, 2) in that run, (1, 1) in this one",
        ),
        (nn.Linear(3, 2), nn.Linear(3, 2, bias=False), "bias is (2,) in that run, missing in this"),
        (
            Scaled(torch.tanh),
            Scaled(torch.sin),
            "function is <built-in method tanh of type object> in that run, <built-in method sin",
        ),
        (Scaled(torch.tanh), LSTM(3), "test_kind.Scaled in that run, LSTM in this one"),
    ],
)
def test_the_first_difference_is_named(old, new, words) -> None:
    assert difference(old, old) == ""
    assert words in difference(old, new)
    assert difference(new, old)
