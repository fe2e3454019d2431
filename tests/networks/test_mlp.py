import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from offpcc.networks import MLP, EnsembleMLP

BOTH = [lambda: MLP(4, (6, 5), 2), lambda: EnsembleMLP(2, 4, (6, 5), 2)]


def alone(ensemble: EnsembleMLP, head: int) -> MLP:
    """A plain MLP with the weights of one head."""
    sizes = [len(weight[0]) for weight in ensemble.weights]
    mlp = MLP(sizes[0], sizes[1:], ensemble.weights[-1].shape[-1])
    layers = [layer for layer in mlp if isinstance(layer, nn.Linear)]
    for layer, weight, bias in zip(layers, ensemble.weights, ensemble.biases, strict=True):
        layer.weight.data.copy_(weight[head].T)
        layer.bias.data.copy_(bias[head, 0])
    return mlp


def test_an_mlp_rectifies_between_its_layers_and_not_behind_the_last() -> None:
    mlp = MLP(1, (2,), 1)
    for parameter, values in zip(
        mlp.parameters(), ([1.0, -1], [0.5, 0], [2.0, -3], [1.0]), strict=True
    ):
        parameter.data.copy_(torch.tensor(values).view_as(parameter))
    # 2 · relu(x + 0.5) - 3 · relu(-x) + 1, at x = 1: 2 · 1.5 - 0 + 1;  at x = -2: 0 - 6 + 1
    assert mlp(torch.tensor([[1.0], [-2.0]])).flatten().tolist() == [4.0, -5.0]


@pytest.mark.parametrize("hidden", [(), (7,), (6, 5), (5, 6, 4)])
def test_an_ensemble_is_its_mlps_side_by_side(hidden: tuple[int, ...]) -> None:
    ensemble, rows = EnsembleMLP(3, 4, hidden, 2), torch.randn(11, 4)
    expected = torch.stack([alone(ensemble, head)(rows) for head in range(3)])
    torch.testing.assert_close(ensemble(rows), expected)


@pytest.mark.parametrize("hidden", [(), (7,), (6, 5)])
def test_with_norm_a_layer_s_units_have_mean_0_and_deviation_1_before_their_relu(
    hidden: tuple[int, ...],
) -> None:
    ensemble, rows = EnsembleMLP(3, 4, hidden, 2, norm=True), torch.randn(11, 4)
    for head in range(3):
        *inner, last = [layer for layer in alone(ensemble, head) if isinstance(layer, nn.Linear)]
        expected = rows
        for layer in inner:
            raw = layer(expected)
            spread = (raw.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
            expected = ((raw - raw.mean(-1, keepdim=True)) / spread).relu()
        torch.testing.assert_close(ensemble(rows)[head], last(expected))


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_the_first_heads_of_an_ensemble_are_those_of_the_whole(heads: int) -> None:
    ensemble, rows = EnsembleMLP(3, 4, (6, 5), 2), torch.randn(11, 4)
    torch.testing.assert_close(ensemble(rows, heads), ensemble(rows)[:heads])


def test_a_head_takes_no_gradient_from_another() -> None:
    ensemble = EnsembleMLP(3, 4, (6, 5), 2)
    ensemble(torch.randn(11, 4))[1].square().sum().backward()
    for parameter in ensemble.parameters():
        assert parameter.grad is not None
        assert parameter.grad.flatten(1).any(1).tolist() == [False, True, False]


def test_heads_start_apart_within_the_bounds_of_a_linear_layer() -> None:
    ensemble = EnsembleMLP(2, 400, (100,), 3)
    for parameter, inputs in zip(
        (*ensemble.weights, *ensemble.biases), (400, 100) * 2, strict=True
    ):
        bound = 1 / math.sqrt(inputs)
        assert not torch.equal(parameter[0], parameter[1])
        assert parameter.abs().max() <= bound
    for weight, inputs in zip(ensemble.weights, (400, 100), strict=True):
        # the deviation of a uniform variable is its bound / √3
        assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * inputs), rel=0.1)


@pytest.mark.parametrize("make", BOTH)
def test_in_bf16_the_last_layer_is_still_in_full_precision(
    make: Callable[[], MLP | EnsembleMLP],
) -> None:
    network, rows = make(), torch.randn(11, 4)
    exact = network(rows)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(rows)
    assert outputs.dtype == torch.float32
    assert not torch.equal(outputs, outputs.bfloat16().float())
    torch.testing.assert_close(outputs, exact, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("make", BOTH)
def test_inputs_are_left_as_they_are(make: Callable[[], MLP | EnsembleMLP]) -> None:
    rows = torch.randn(11, 4)
    before = rows.clone()
    make()(rows)
    assert torch.equal(rows, before)
