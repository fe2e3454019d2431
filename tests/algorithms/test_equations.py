import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from offpcc.algorithms.core.losses import masked_mean, quantile_huber, saturation
from offpcc.algorithms.core.returns import gae, n_step_target, td_target
from offpcc.networks.actor import squashed_log_prob
from offpcc.networks.convolution import shifted
from offpcc.networks.scan import scan_back
from offpcc.networks.target import frozen, polyak


def test_a_true_end_is_not_bootstrapped_and_a_time_limit_is() -> None:
    terminated = torch.tensor([1.0, 0.0])
    target = td_target(torch.tensor([2.0, 2.0]), terminated, torch.tensor([10.0, 10.0]), 0.9)
    assert target.tolist() == [2.0, 11.0]  # 2;  2 + 0.9 · 10


def advantages(
    *, terminated: list[float], last: list[float], gae_lambda: float = 0.5, second: float = 20
) -> list[float]:
    """Of rewards 1, 2, 3 and values 4, 8, 2, followed by 8, `second`, 6; γ ½."""
    numbers = ([1, 2, 3], [4, 8, 2], [8, second, 6], terminated, last)
    parts = [torch.tensor(part, dtype=torch.float32) for part in numbers]
    return gae(*parts, discount=0.5, gae_lambda=gae_lambda).tolist()


def test_after_a_true_end_an_advantage_has_nothing_to_hope_for() -> None:
    # δ = 1 + ½ · 8 - 4 = 1, 2 - 8 = -6, 3 + ½ · 6 - 2 = 4; Â = 1 + ¼ · -6, -6, 4
    assert advantages(terminated=[0, 1, 0], last=[0, 1, 1]) == [-0.5, -6, 4]


def test_after_a_cut_an_advantage_is_bootstrapped_once_with_its_own_last_value() -> None:
    # δ = 1, 2 + ½ · 20 - 8 = 4, 4; Â = 1 + ¼ · 4, 4, 4: what follows the cut is not its own
    assert advantages(terminated=[0, 0, 0], last=[0, 1, 1]) == [2, 4, 4]


def test_within_a_segment_what_follows_is_discounted_by_both() -> None:
    # δ = 1, 4, 4; Â = 1 + ¼ · (4 + ¼ · 4), 4 + ¼ · 4, 4
    assert advantages(terminated=[0, 0, 0], last=[0, 0, 1]) == [2.25, 5, 4]


def test_a_gae_lambda_of_0_is_the_error_of_one_step_and_of_1_that_of_the_whole_return() -> None:
    # 1 + ½ · 8 - 4, 2 + ½ · 2 - 8, 3 - 2
    ends = {"terminated": [0, 0, 1], "last": [0, 0, 1]}
    assert advantages(**ends, gae_lambda=0, second=2) == [1, -5, 1]
    # 1 + ½ · 2 + ¼ · 3 - 4, 2 + ½ · 3 - 8, 3 - 2
    assert advantages(**ends, gae_lambda=1, second=2) == [-1.25, -4.5, 1]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 100])
def test_a_scan_is_the_sum_step_by_step(length) -> None:
    draw = torch.Generator().manual_seed(length)
    values = torch.randn(length, generator=draw, dtype=torch.float64)
    carry = torch.rand(length, generator=draw, dtype=torch.float64)
    expected, following = [], 0.0
    for value, share in zip(values.flip(0).tolist(), carry.flip(0).tolist(), strict=True):
        following = value + share * following
        expected.append(following)
    torch.testing.assert_close(scan_back(values, carry).flip(0).tolist(), expected)


def test_a_picture_is_moved_and_its_edges_repeat() -> None:
    picture = torch.arange(9, dtype=torch.uint8).view(1, 1, 1, 3, 3)
    rows = torch.cat((picture, picture + 10))
    moved = shifted(rows, torch.tensor([[1, 0], [0, -2]]), (-2, -1))
    assert moved.dtype == torch.uint8
    assert moved[0, 0, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert moved[1, 0, 0].tolist() == [[12, 12, 12], [15, 15, 15], [18, 18, 18]]


def test_n_steps_of_rewards_come_before_the_value() -> None:
    reward = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0], [6.0, 7.0, 8.0]]).unsqueeze(-1)
    value = torch.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 99.0], [60.0, 70.0, 80.0]]).unsqueeze(-1)
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    terminated = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).unsqueeze(-1)

    def found(steps: int) -> list[list[float]]:
        target = n_step_target(reward, terminated, value, mask, 0.5, steps)
        return target.squeeze(-1)[:, :3].tolist()

    one, two, three, four = (found(steps) for steps in (1, 2, 3, 4))
    assert one[0] == [6.0, 12.0, 18.0]
    # Two: 1 + ½ 2 + ¼ 20, 2 + ½ 3 + ¼ 30; at the end of the row 3 + ½ 30
    assert two[0] == [7.0, 11.0, 18.0]
    assert three[0] == [1 + 1 + 0.75 + 30 / 8, 11.0, 18.0]
    assert four == three
    # A row of two steps: 4 + ½ 5 + ¼ 50, 5 + ½ 50. One that ends truly: 6 + ½ 7 + ¼ 8, 7 + ½ 8, 8
    assert three[1][:2] == [19.0, 30.0]
    assert three[2] == [11.5, 11.0, 8.0]


def test_a_quantiles_loss_is_that_of_every_pair() -> None:
    values = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    target = torch.tensor([-0.5, 3.0]).view(1, 1, 2)
    # u = -½, 3 and -1½, 2, at ¼ and ¾: (¾ · ⅛ + ¼ · 2½ + ¼ · 1 + ¾ · 1½) / 4
    found = quantile_huber(values, target, torch.tensor([0.25, 0.75]))
    assert found.shape == (1, 1, 1)
    assert found.item() == pytest.approx((0.09375 + 0.625 + 0.25 + 1.125) / 4)


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
def test_its_value_and_slopes_are_those_of_all_pairs_written_out(size) -> None:
    draw = torch.Generator().manual_seed(1)
    value = (size * torch.randn(2, 3, 4, 5, generator=draw)).requires_grad_()
    target = size * torch.randn(3, 4, 7, generator=draw)
    level = (torch.arange(5) + 0.5) / 5
    weight = torch.rand(2, 3, 4, generator=draw)
    gap = target.unsqueeze(-2) - value.unsqueeze(-1)
    huber = torch.where(gap.abs() <= 1, 0.5 * gap.square(), gap.abs() - 0.5)
    expected = ((level.unsqueeze(-1) - (gap < 0).float()).abs() * huber).mean((-2, -1))
    found = quantile_huber(value, target, level)
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad((x * weight).sum(), value)[0] for x in (found, expected)]
    torch.testing.assert_close(*slopes)


def test_what_minimises_it_are_the_quantiles() -> None:
    level = torch.tensor([0.125, 0.375, 0.625, 0.875])
    value = torch.full((1, 1, 1, 4), 500.0, requires_grad=True)
    target = torch.linspace(0, 1_000, 1_001).view(1, 1, -1)
    steps = torch.optim.Adam([value], 10.0)
    for step in range(600):
        steps.param_groups[0]["lr"] = 10.0 * (1 - step / 600)
        steps.zero_grad()
        quantile_huber(value, target, level).sum().backward()
        steps.step()
    torch.testing.assert_close(value.flatten() / 1_000, level, atol=0.01, rtol=0)


def test_a_masked_mean_counts_real_steps_of_every_head() -> None:
    values = torch.tensor([[[1.0, 2.0, 99.0], [6.0, 99.0, 99.0]], [[3.0, 4.0, 99.0], [8.0, -9, 0]]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert masked_mean(values, mask) == 4  # (1 + 2 + 6 + 3 + 4 + 8) / 6
    assert masked_mean(values[0], mask) == 3  # (1 + 2 + 6) / 3


def test_a_masked_mean_over_no_real_step_is_zero() -> None:
    assert masked_mean(torch.ones(2, 3), torch.zeros(2, 3)) == 0


def test_an_action_beyond_3_before_its_tanh_is_saturated_by_the_square_of_the_rest() -> None:
    raw = torch.tensor([[3.0, -2.0], [5.0, -4.0], [-6.0, 0.0]])
    assert saturation(raw).tolist() == [[0.0], [5.0], [9.0]]  # 2² + 1², 3²


def test_padding_takes_no_gradient() -> None:
    values = torch.randn(4, 2, 3).requires_grad_()
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    masked_mean(values.square() + values, mask).backward()
    assert values.grad is not None
    assert (values.grad[:, mask == 0] == 0).all()
    assert (values.grad[:, mask == 1] != 0).all()


def log_density(action: Tensor, mean: float, log_std: float) -> Tensor:
    """Log π of actions (…, A) under tanh N(mean, exp(log_std)²)."""
    raw = action.atanh()
    noise = (raw - mean) / math.exp(log_std)
    return squashed_log_prob(torch.full_like(raw, log_std), noise, raw).squeeze(-1)


def test_the_log_density_at_the_middle_is_the_gaussian_one() -> None:
    at_zero = torch.zeros(1, 2, dtype=torch.float64)
    # tanh has slope 1 at 0; two actions, each -ln 2 - ½ ln 2π = -0.693147 - 0.918939
    assert log_density(at_zero, 0.0, math.log(2)).item() == pytest.approx(-3.224172, abs=1e-6)


@pytest.mark.parametrize("mean", [0.0, -0.7, 1.3])
@pytest.mark.parametrize("log_std", [-2.0, -0.5, 0.5])
def test_the_density_of_actions_integrates_to_one(mean: float, log_std: float) -> None:
    # Cut in u = atanh a, where the grid is dense enough near the edges: da = (1 - a²) du.
    raw = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    action = raw.tanh()
    noise = (raw - mean) / math.exp(log_std)
    density = squashed_log_prob(
        torch.full_like(raw, log_std)[:, None], noise[:, None], raw[:, None]
    )
    mass = torch.trapezoid(density.squeeze(-1).exp(), action)
    assert mass.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("mean", [0.0, -0.7, 1.3])
@pytest.mark.parametrize("log_std", [-2.0, -0.5, 0.5])
def test_the_log_density_is_that_of_the_transformed_distribution(
    mean: float, log_std: float
) -> None:
    action = torch.linspace(-0.99, 0.99, 30, dtype=torch.float64).reshape(5, 3, 2)
    normal = Normal(*torch.tensor([mean, math.exp(log_std)], dtype=torch.float64))
    expected = TransformedDistribution(normal, TanhTransform()).log_prob(action).sum(-1)
    torch.testing.assert_close(log_density(action, mean, log_std), expected)


@pytest.mark.parametrize("raw", [-300.0, -30.0, 30.0, 300.0])
def test_the_log_density_is_stable_far_out(raw: float) -> None:
    u = torch.tensor([[raw]], requires_grad=True)
    log_prob = squashed_log_prob(torch.zeros(1, 1), torch.zeros(1, 1), u)
    # log(1 - tanh² u) -> 2 ln 2 - 2 |u|, whose slope is -2 sign u
    assert log_prob.item() == pytest.approx(-0.918939 - 1.386294 + 2 * abs(raw), rel=1e-6)
    log_prob.backward()
    assert u.grad is not None
    assert u.grad.item() == pytest.approx(math.copysign(2, raw))


def test_polyak_moves_the_target_by_its_share_in_place() -> None:
    target = [torch.tensor([4.0]), torch.tensor([[0.0, -8.0]])]
    online = [torch.tensor([8.0], requires_grad=True), torch.tensor([[4.0, 8.0]])]
    first, second = target
    polyak(iter(target), iter(online), 0.25)
    assert first.tolist() == [5.0]  # 0.75 · 4 + 0.25 · 8
    assert second.tolist() == [[1.0, -4.0]]  # 0.75 · -8 + 0.25 · 8
    assert online[0].tolist() == [8.0]
    assert not first.requires_grad


@pytest.mark.parametrize(("share", "result"), [(0.0, 4.0), (1.0, 8.0)])
def test_polyak_of_share_zero_stays_and_of_share_one_copies(share: float, result: float) -> None:
    target = torch.tensor([4.0])
    polyak([target], [torch.tensor([8.0])], share)
    assert target.item() == result


def test_a_frozen_network_passes_gradients_on_and_takes_none() -> None:
    network, inputs = nn.Linear(2, 1), torch.ones(3, 2, requires_grad=True)
    with frozen(network):
        output = network(inputs).sum()
    output.backward()
    assert network.weight.grad is None
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, network.weight.detach().expand(3, 2))


def test_a_network_is_as_it_was_after_it_was_frozen() -> None:
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)

    def fail(within: Callable[[nn.Module], object]) -> None:
        with frozen(network):
            within(network)

    with pytest.raises(ZeroDivisionError):
        fail(lambda _: 1 / 0)
    assert network.weight.requires_grad
    assert not network.bias.requires_grad
