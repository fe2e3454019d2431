import math
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import SPEC, act, constant_actor, constant_critic, make_batch

from offpcc.algorithms import SAC


def agent_with(**settings: Any) -> SAC:
    return SAC(SPEC, hidden_sizes=(4,), discount=0.9, **settings)


def always(agent: SAC, log_prob: float) -> None:
    """Makes the policy draw 0 with this log-probability, whatever it sees."""

    def sample(feature: Tensor) -> tuple[Tensor, Tensor]:
        shape = feature.shape[:-1]
        return torch.zeros(*shape, 2), torch.full((*shape, 1), log_prob)

    agent.sample = sample


def test_the_target_adds_the_entropy_to_the_smaller_head() -> None:
    agent = agent_with(temperature=0.5)
    always(agent, -2.0)
    constant_critic(agent.target_critic, 5.0, 3.0)
    batch = make_batch([1, 1])  # the second row ends truly
    batch.reward[:] = 1.0
    h = batch.observation["observation"][:, 1:]
    # 1 + 0.9 · (3 + 0.5 · 2), and 1 alone
    assert agent.critic_target(batch, h, h).flatten().tolist() == pytest.approx([4.6, 1.0])


def test_the_actors_loss_weighs_log_probability_against_the_smaller_head() -> None:
    agent = agent_with(temperature=0.5, fixed_temperature=True)
    always(agent, -2.0)
    constant_critic(agent.critic, 5.0, 3.0)
    batch = make_batch([2, 1])
    h = batch.observation["observation"][:, :-1]
    _, metrics = agent.actor_loss(batch, h, h)
    assert metrics["actor_loss"].item() == pytest.approx(-4.0)  # 0.5 · (-2) - 3
    assert metrics["entropy"].item() == pytest.approx(2.0)
    assert metrics["temperature"].item() == pytest.approx(0.5)


@pytest.mark.parametrize(("raw", "log_std"), [((0.0, 0.0), (0.0, 0.0)), ((0.4, -1.0), (-1.0, 0.5))])
def test_the_entropy_is_that_of_the_squashed_normal(raw, log_std) -> None:
    """H = Σ [½ ln(2πe) + ln σ] + E Σ ln(1 - tanh² u), the latter by the trapezoidal rule."""
    agent = agent_with()
    constant_actor(agent.policy.actor, *raw, *log_std)
    batch = make_batch([50] * 400)
    entropy = agent.update(batch).metrics["entropy"]
    expected = 0.0
    grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    density = (-(grid**2) / 2).exp() / math.sqrt(2 * math.pi)
    for mean, log_deviation in zip(raw, log_std, strict=True):
        squash = (1 - (mean + math.exp(log_deviation) * grid).tanh() ** 2).log()
        expected += 0.5 * math.log(2 * math.pi * math.e) + log_deviation
        expected += torch.trapezoid(density * squash, grid).item()
    assert entropy.item() == pytest.approx(expected, abs=0.02)


def test_explored_actions_are_drawn_from_the_policy_and_greedy_ones_are_its_middle() -> None:
    agent = agent_with()
    constant_actor(agent.policy.actor, 0.3, -0.3, -1.0, -2.0)
    seen = {"observation": torch.zeros(20_000, 3)}
    raw = act(agent, seen, torch.zeros(20_000, 0)).action.atanh()
    torch.testing.assert_close(raw.mean(0), torch.tensor([0.3, -0.3]), rtol=0, atol=0.01)
    torch.testing.assert_close(raw.std(0), torch.tensor([-1.0, -2.0]).exp(), rtol=0.02, atol=0)
    greedy = agent.policy.act(seen, torch.zeros(20_000, 0))[0]
    assert torch.equal(greedy[0], torch.tensor([0.3, -0.3]).tanh())
    assert (greedy == greedy[0]).all()


@pytest.mark.parametrize(("log_prob", "slope"), [(-2.5, 0.5), (-1.0, -1.0)])
def test_the_temperature_falls_where_entropy_is_plenty_and_rises_where_it_lacks(
    log_prob, slope
) -> None:
    # d/d log α of -log α (log π + H̄), with H̄ = 2: -(log π + 2)
    agent = agent_with(target_entropy=2.0, learning_rate=0.01, temperature=0.2)
    always(agent, log_prob)
    agent.update(make_batch([3, 1], padding=2))
    assert agent.log_temperature.grad.item() == pytest.approx(slope)
    after = math.log(0.2) - math.copysign(0.01, slope)
    assert agent.log_temperature.item() == pytest.approx(after, abs=1e-5)


def test_the_entropy_aimed_at_is_minus_the_size_of_the_action() -> None:
    agent = agent_with()
    always(agent, -0.5)
    agent.update(make_batch([1]))
    assert agent.log_temperature.grad.item() == pytest.approx(0.5 + 2)


def test_a_fixed_temperature_stays() -> None:
    agent = agent_with(temperature=0.2, fixed_temperature=True, learning_rate=0.1)
    for i in range(3):
        metrics = agent.update(make_batch([1] * 8, seed=i)).metrics
        assert metrics["temperature"].item() == pytest.approx(0.2)
    assert agent.log_temperature.item() == pytest.approx(math.log(0.2))
    assert "log_temperature" in agent.state_dict()


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_above_0_is_refused(temperature) -> None:
    with pytest.raises(ValueError, match=r"SAC.temperature is .*; it must be above 0"):
        agent_with(temperature=temperature)
