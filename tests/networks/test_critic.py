import pytest
import torch

from offpcc.networks import Critic


@pytest.mark.parametrize(("heads", "atoms"), [(1, 1), (2, 1), (3, 5)])
def test_values_come_as_heads_batch_steps_atoms(heads: int, atoms: int) -> None:
    critic = Critic(4, 2, (8,), heads=heads, atoms=atoms)
    values = critic(torch.randn(3, 5, 4), torch.randn(3, 5, 2))
    assert values.shape == (heads, 3, 5, atoms)
    assert values.dtype == torch.float32


def test_the_value_of_a_step_is_that_of_its_feature_and_action_alone() -> None:
    critic = Critic(4, 2, (8, 8), heads=2, atoms=3)
    feature, action = torch.randn(3, 5, 4), torch.randn(3, 5, 2)
    values = critic(feature, action)
    for b in range(3):
        for t in range(5):
            one = critic(feature[b : b + 1, t : t + 1], action[b : b + 1, t : t + 1])
            torch.testing.assert_close(values[:, b, t], one[:, 0, 0])


def test_the_first_heads_are_those_of_the_whole() -> None:
    critic = Critic(4, 2, (8,), heads=3)
    feature, action = torch.randn(3, 5, 4), torch.randn(3, 5, 2)
    torch.testing.assert_close(critic(feature, action, heads=1), critic(feature, action)[:1])


def test_a_value_is_a_function_of_feature_and_action() -> None:
    critic = Critic(4, 2, (64,), heads=2)
    feature = torch.randn(3, 5, 4, requires_grad=True)
    action = torch.randn(3, 5, 2, requires_grad=True)
    critic(feature, action).sum().backward()
    assert feature.grad is not None and feature.grad.any(-1).all()
    assert action.grad is not None and action.grad.any(-1).all()
