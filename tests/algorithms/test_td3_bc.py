import pytest
import torch
from toys import SPEC, constant_actor, constant_critic, make_batch

from offpcc.algorithms import TD3BC


def loss_of(agent: TD3BC, *lengths: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    batch = make_batch(lengths, padding=1)
    batch.action[batch.mask.bool()] = torch.tensor([0.5, -0.25])
    h = torch.zeros(len(lengths), batch.mask.shape[1], 3)
    return agent.actor_loss(batch, h, h)


def test_the_actor_is_near_the_data_and_maximizes_a_critic_of_mean_size_1() -> None:
    agent = TD3BC(SPEC, hidden_sizes=(4,), q_weight=2.5, action_saturation_penalty=0.0)
    constant_actor(agent.policy.actor, 0.0, 0.0)
    constant_critic(agent.critic, -8.0, 100.0)
    loss, metrics = loss_of(agent, 2, 1)
    # (0.5² + 0.25²) / 2, and -2.5 / |-8| · -8
    assert metrics["distance"].item() == pytest.approx(0.15625)
    assert loss.item() == pytest.approx(0.15625 + 2.5)


def test_with_a_q_weight_of_0_it_does_nothing_but_imitate() -> None:
    agent = TD3BC(SPEC, hidden_sizes=(4,), q_weight=0.0, action_saturation_penalty=0.0)
    loss, metrics = loss_of(agent, 3, 1)
    assert loss.item() == pytest.approx(metrics["distance"].item()) and loss > 0


def test_the_size_of_the_values_takes_no_gradient() -> None:
    agent = TD3BC(SPEC, hidden_sizes=(4,), q_weight=1.0, action_saturation_penalty=0.0)
    batch = make_batch([1])
    batch.action[:] = 0.0
    constant_actor(agent.policy.actor, 0.0, 0.0)
    h = torch.zeros(1, 1, 3)
    before = agent.critic(h, torch.zeros(1, 1, 2), heads=1)
    agent.actor_loss(batch, h, h)[0].backward()
    action = torch.zeros(1, 1, 2, requires_grad=True)
    slope = torch.autograd.grad(agent.critic(h, action, heads=1).sum(), action)[0][0, 0]
    bias = agent.policy.actor.trunk[-1].bias.grad
    # dL/du = -dQ/da / |Q|, for tanh' 0 is 1 and the distance is at its least
    torch.testing.assert_close(bias, -slope / before.abs().item())


def test_a_q_weight_is_not_negative() -> None:
    with pytest.raises(ValueError, match="q_weight is -1; it must be at least 0"):
        TD3BC(SPEC, q_weight=-1)
