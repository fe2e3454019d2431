import pytest
import torch
from toys import SPEC, constant_actor, constant_critic, make_batch

from offpcc.algorithms import TD3

MANY = torch.zeros(20_000, 1, 3)


def agent_at(*raw: float, **settings: float) -> TD3:
    agent = TD3(SPEC, hidden_sizes=(4,), discount=0.9, **settings)
    constant_actor(agent.target_actor, *raw)
    return agent


def test_the_target_takes_the_smaller_head() -> None:
    agent = agent_at(0.0, 0.0)
    constant_critic(agent.target_critic, 5.0, 3.0)
    batch = make_batch([1, 1])  # the second row ends truly
    batch.reward[:] = 1.0
    h = batch.observation["observation"][:, 1:]
    # 1 + 0.9 · 3, and 1 alone
    assert agent.critic_target(batch, h, h).flatten().tolist() == pytest.approx([3.7, 1.0])


def test_the_targets_action_is_smoothed_by_clipped_noise() -> None:
    centre = torch.tensor([0.3, -0.3]).tanh()
    gap = agent_at(0.3, -0.3).target_action(MANY)[:, 0] - centre
    assert gap.abs().max().item() == pytest.approx(0.5)  # 2.5 σ~: 1.2 % of the draws
    # A normal cut at 2.5 deviations keeps 0.985 of its deviation.
    torch.testing.assert_close(gap.std(0), torch.full((2,), 0.985 * 0.2), rtol=0.02, atol=0)
    assert gap.mean().abs() < 0.005


def test_smoothing_noise_is_clipped_after_it_is_scaled() -> None:
    gap = agent_at(0.0, 0.0, target_policy_noise=50.0, target_noise_clip=0.25).target_action(MANY)
    assert gap.abs().median().item() == pytest.approx(0.25)


def test_a_smoothed_action_never_leaves_its_bounds() -> None:
    action = agent_at(9.0, -9.0).target_action(MANY)[:, 0]
    assert (action.min(0).values[1], action.max(0).values[0]) == (-1, 1)


def test_without_smoothing_the_target_is_the_slow_actors_own() -> None:
    action = agent_at(0.7, 0.1, target_policy_noise=0.0).target_action(torch.zeros(1, 1, 3))
    torch.testing.assert_close(action[0, 0], torch.tensor([0.7, 0.1]).tanh())


def test_the_actor_and_the_slow_copies_move_every_second_update() -> None:
    agent = TD3(SPEC, hidden_sizes=(4,))
    updates = [agent.update(make_batch([1] * 8)).metrics for _ in range(4)]
    assert ["actor_loss" in metrics for metrics in updates] == [True, False, True, False]
