"""An actor's head of the user's own class."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from toys import SPEC, make_batch

from offpcc.algorithms import DDPG, PPG, PPO, SAC, TD3
from offpcc.networks import LSTM, GaussianActor, NormalActor, SquashedActor
from offpcc.networks.actor import Actor, squashed_log_prob

SMALL: dict[str, Any] = {"summarizer": partial(LSTM, hidden_size=6), "hidden_sizes": (10, 8)}


class Linear(SquashedActor):
    """tanh(W h + b)."""

    def __init__(self, spec, inputs, *, wide=0) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, spec.action + wide)

    def raw(self, feature):
        return self.layer(feature)


class Noisy(Linear):
    """A Gaussian of σ 1 around it, through a tanh."""

    def draw(self, feature, generator=None, action_mask=None):
        return self.sample(feature, generator)[0]

    def sample(self, feature, generator=None):
        mean = self.raw(feature)
        noise = torch.randn(mean.shape, generator=generator)
        raw = mean + noise
        return raw.tanh(), squashed_log_prob(torch.zeros_like(mean), noise, raw)


def gaussian(spec, inputs):
    return GaussianActor(inputs, spec.action, (10, 8))


def normal(spec, inputs):
    return NormalActor(inputs, spec.action, (10, 8))


@pytest.mark.parametrize(
    ("algorithm", "actor"), [(DDPG, Linear), (TD3, Linear), (SAC, Noisy), (PPO, normal)]
)
def test_an_actor_of_ones_own_acts(algorithm, actor) -> None:
    agent = algorithm(SPEC, **SMALL, actor=actor)
    assert type(agent.policy.actor) is type(actor(SPEC, 3))


@pytest.mark.parametrize(("algorithm", "actor"), [(TD3, Linear), (SAC, Noisy)])
def test_an_actor_of_ones_own_learns(algorithm, actor) -> None:
    agent = algorithm(SPEC, **SMALL, actor=actor, learning_rate=0.01)
    before = agent.policy.actor.layer.weight.detach().clone()
    agent.update(make_batch([4, 3], state_size=agent.state_size))
    moved = (agent.policy.actor.layer.weight - before).abs()
    assert bool((moved > 1e-3).all())


def test_the_algorithms_own_head_as_ones_own_learns_the_same() -> None:
    agents = SAC(SPEC, **SMALL, seed=3), SAC(SPEC, **SMALL, seed=3, actor=gaussian)
    for agent in agents:
        agent.update(make_batch([4, 3], state_size=agent.state_size))
    mine, theirs = (agent.policy.state_dict() for agent in agents)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(
    ("algorithm", "actor", "complaint"),
    [
        (SAC, Linear, "Linear has no draw, sample; SAC calls draw, sample"),
        (PPO, Linear, "Linear has no describe, mode"),
        (TD3, partial(Linear, wide=1), r"actions \(1, 3\), not \(1, 2\)"),
        (TD3, lambda spec, inputs: nn.Linear(inputs, spec.action), "it derives from"),
        (PPG, normal, "leave actor None"),
    ],
)
def test_an_actor_that_does_not_fit_is_refused(algorithm, actor, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        algorithm(SPEC, **SMALL, actor=actor)


def test_greedy_draws_of_the_base_class_do_not_count_as_draws() -> None:
    assert Linear.draw is Actor.draw
    assert Noisy.draw is not Actor.draw
