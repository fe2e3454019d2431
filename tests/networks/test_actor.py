import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from offpcc.networks import DeterministicActor, GaussianActor


def gaussian(mean: list[float], log_std: list[float]) -> GaussianActor:
    """An actor that says this mean and log σ to any feature of size 3."""
    actor = GaussianActor(3, len(mean), (4,))
    *_, weight, bias = actor.parameters()
    weight.data.zero_()
    bias.data.copy_(torch.tensor([*mean, *log_std]))
    return actor


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """What an actor draws from a generator of this seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sample(actor: GaussianActor, feature: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    return actor.sample(feature, torch.Generator().manual_seed(seed))


def test_the_greedy_action_is_tanh_of_the_mean() -> None:
    actor = gaussian([0.5, -2.0], [1.0, -1.0])
    expected = torch.tensor([math.tanh(0.5), math.tanh(-2.0)]).expand(6, 2)
    torch.testing.assert_close(actor(torch.randn(6, 3)), expected)


def test_an_action_is_tanh_of_mean_plus_deviation_times_noise() -> None:
    actor = gaussian([0.5, -0.3], [math.log(0.5), math.log(0.2)])
    raw = torch.tensor([0.5, -0.3]) + torch.tensor([0.5, 0.2]) * noise((6, 2))
    torch.testing.assert_close(sample(actor, torch.zeros(6, 3))[0], raw.tanh())


def test_the_log_probability_is_that_of_the_action_in_the_transformed_distribution() -> None:
    mean, log_std = [0.5, -0.3], [-0.7, -1.6]
    action, log_prob = sample(gaussian(mean, log_std), torch.zeros(4, 5, 3))
    normal = Normal(torch.tensor(mean), torch.tensor(log_std).exp())
    squashed = TransformedDistribution(normal, TanhTransform())
    expected = squashed.log_prob(action).sum(-1, keepdim=True)
    torch.testing.assert_close(log_prob, expected, atol=1e-4, rtol=1e-4)
    assert log_prob.shape == (4, 5, 1)


@pytest.mark.parametrize(("said", "clamped"), [(100.0, 2.0), (-100.0, -20.0), (-3.0, -3.0)])
def test_the_deviation_is_clamped(said: float, clamped: float) -> None:
    action, log_prob = sample(gaussian([0.1], [said]), torch.zeros(6, 3))
    raw = 0.1 + math.exp(clamped) * noise((6, 1))
    torch.testing.assert_close(action, raw.tanh())
    # log N(u) - log(1 - tanh² u), with (u - μ) / σ the noise
    gauss = -0.5 * noise((6, 1)) ** 2 - clamped - 0.5 * math.log(2 * math.pi)
    expected = gauss + 2 * raw.double().cosh().log()
    torch.testing.assert_close(log_prob.double(), expected.double(), atol=1e-4, rtol=1e-5)


def test_samples_are_their_generator_s_and_leave_the_global_one_alone() -> None:
    actor, feature = GaussianActor(3, 2, (4,)), torch.randn(6, 3)
    before = torch.get_rng_state()
    first, again, other = (sample(actor, feature, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(actor.draw(feature, torch.Generator().manual_seed(1)), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_is_differentiable_in_mean_and_deviation() -> None:
    actor = gaussian([0.5], [math.log(0.5)])
    action, _ = sample(actor, torch.zeros(1, 3))
    action.sum().backward()
    *_, bias = actor.parameters()
    drawn = noise((1, 1)).item()
    slope = 1 - math.tanh(0.5 + 0.5 * drawn) ** 2
    assert bias.grad is not None
    # d tanh(μ + e^l ε) is slope · (1, e^l ε)
    assert bias.grad.tolist() == pytest.approx([slope, slope * 0.5 * drawn], rel=1e-4)


def test_a_deterministic_actor_draws_its_greedy_action_within_bounds() -> None:
    actor = DeterministicActor(3, 2, (4,))
    feature = 1e3 * torch.randn(50, 7, 3)
    action = actor(feature)
    assert action.shape == (50, 7, 2)
    assert action.abs().max() <= 1
    assert (action < 0).any() and (action > 0).any()
    assert torch.equal(actor.draw(feature), action)
    *_, bias = actor.parameters()
    for weight in actor.parameters():
        weight.data.zero_()
    bias.data.copy_(torch.tensor([0.5, -2.0]))
    torch.testing.assert_close(actor(torch.zeros(3)), torch.tensor([0.4621172, -0.9640276]))
