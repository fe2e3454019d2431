import copy

import pytest
import torch
from torch import Tensor

from offpcc.algorithms.core.optimizer import Group, Optimizer


def weight(value: float = 0.0) -> Tensor:
    return torch.full((), value, requires_grad=True)


def test_adams_first_steps_are_the_rate_long() -> None:
    """Where the gradient never changes, m̂ / √v̂ is its sign."""
    slow, quick = weight(), weight()
    optimizer = Optimizer([Group("a", [slow], 0.1), Group("b", [quick], 0.3)])
    for _ in range(2):
        optimizer.step(5 * slow - 7 * quick)
    assert slow.item() == pytest.approx(-0.2)
    assert quick.item() == pytest.approx(0.6)


def test_a_step_uses_the_share_of_the_rates_that_it_is_given() -> None:
    moved, places = weight(), []
    optimizer = Optimizer([Group("a", [moved], 0.1)])
    for share in (1, 0.75, 0.5, 0.0):
        optimizer.step(moved * 1, share)
        places.append(moved.item())
    assert places == pytest.approx([-0.1, -0.175, -0.225, -0.225])


def test_the_clip_holds_for_a_networks_groups_together_and_for_each_network() -> None:
    # The norm of (3, 4) is 5: cut to 1 it is (0.6, 0.8). The other network's 0.5 is left alone.
    first, second, other = weight(), weight(), weight()
    groups = [Group("a", [first], 0.1), Group("b", [other], 0.1), Group("a", [second], 0.2)]
    norms = Optimizer(groups, max_grad_norm=1.0).step(3 * first + 4 * second + 0.5 * other)
    assert norms["a_gradient"].item() == pytest.approx(5)
    assert norms["b_gradient"].item() == pytest.approx(0.5)
    found = [first.grad.item(), second.grad.item(), other.grad.item()]
    assert found == pytest.approx([0.6, 0.8, 0.5], abs=1e-5)


def test_one_network_that_is_not_finite_holds_all_of_them_back() -> None:
    sane, mad = weight(1.0), weight(0.0)
    optimizer = Optimizer([Group("a", [sane], 0.1), Group("b", [mad], 0.1)])
    metrics = optimizer.step(sane + mad.sqrt())  # the slope of √ is infinite at 0
    assert metrics["skipped"] == 1 and metrics["a_gradient"] == 1
    assert (sane.item(), mad.item()) == (1.0, 0.0)
    assert optimizer.step(sane + mad)["skipped"] == 0
    assert (sane.item(), mad.item()) == pytest.approx((0.9, -0.1))  # as a first step


def test_a_network_without_a_gradient_is_neither_moved_nor_reported() -> None:
    here, away = weight(), weight()
    metrics = Optimizer([Group("a", [here], 0.1), Group("b", [away], 0.1)]).step(here * 1)
    assert set(metrics) == {"a_gradient", "skipped"}
    assert away.item() == 0


def test_a_restored_optimiser_goes_on_as_if_it_had_never_stopped() -> None:
    def made() -> tuple[Tensor, Optimizer]:
        moved = weight(1.0)
        return moved, Optimizer([Group("a", [moved], 0.1)])

    (moved, optimizer), (again, other) = made(), made()
    for _ in range(3):
        optimizer.step(moved**2)
    optimizer.step(moved / 0)
    again.data.copy_(moved.data)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert (other.steps, int(other.consecutive_nonfinite)) == (4, 1)
    for _ in range(3):
        optimizer.step(moved**2)
        other.step(again**2)
    assert moved.item() == again.item()
