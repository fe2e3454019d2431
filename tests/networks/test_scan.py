import pytest
import torch

from offpcc.networks import scan
from offpcc.networks.scan import linear_recurrence


@pytest.fixture(params=["in place", "parallel"])
def way(request, monkeypatch) -> None:
    """On a CPU the loop runs; elsewhere the parallel scan does, here on the CPU, too."""
    if request.param == "parallel":
        monkeypatch.setattr(
            scan, "_onward", lambda a, b: scan.scan_back(b.flip(0), a.flip(0)).flip(0)
        )
        monkeypatch.setattr(scan, "_back", lambda a, b: scan.scan_back(b, a))


def arguments(steps: int, *shape: int) -> list[torch.Tensor]:
    torch.manual_seed(1)
    sizes = ((steps, *shape), (steps, *shape), shape)
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


def test_a_recurrence_by_hand(way) -> None:
    carry, values, start = (
        torch.tensor([[0.5], [2.0], [-1.0]]),
        torch.ones(3, 1),
        torch.tensor([4.0]),
    )
    # ½ · 4 + 1 = 3;  2 · 3 + 1 = 7;  -7 + 1 = -6
    assert linear_recurrence(carry, values, start).flatten().tolist() == [3, 7, -6]


@pytest.mark.parametrize("steps", [1, 2, 7, 8])
def test_its_gradient_is_that_of_finite_differences(way, steps: int) -> None:
    assert torch.autograd.gradcheck(linear_recurrence, arguments(steps, 2, 3))


def test_both_ways_agree_and_leave_their_arguments_alone() -> None:
    carry, values, start = (part.detach() for part in arguments(9, 4))
    before = [part.clone() for part in (carry, values, start)]
    found = linear_recurrence(carry, values, start)
    late = scan.scan_back(values.flip(0), carry.flip(0)).flip(0)
    alone = linear_recurrence(carry, values, torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(late, alone)
    torch.testing.assert_close(found - alone, carry.cumprod(0) * start)
    assert all(torch.equal(a, b) for a, b in zip(before, (carry, values, start), strict=True))
