"""Two states, a time limit, and values that can be worked out by hand."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.wrappers import TimeLimit

from offpcc.algorithms import DDPG, SAC, TD3, OffPolicy
from offpcc.envs.adapter import EnvAdapter
from offpcc.replay import EpisodeReplay
from offpcc.training.collector import Collector

GAMMA = 0.5


class TwoStates(gymnasium.Env[Any, Any]):
    """Begins in either. First -> second, paying 0; second -> the end, paying 1.

    The last observation of a true end shows the first state, to tempt a bootstrap.
    """

    observation_space = Box(0, 1, (2,))
    action_space = Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.second = bool(np.random.default_rng(seed).integers(2))
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        ended = self.second
        self.second = not self.second
        return self.seen(), float(ended), ended, False, {}

    def seen(self) -> Any:
        return np.eye(2)[int(self.second)]


class Swapped(gymnasium.Wrapper):
    """An environment that calls its time limits ends, and its ends time limits."""

    def step(self, action: Any) -> Any:
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen, reward, truncated and not terminated, terminated, info


def values(algorithm: type[OffPolicy], env: gymnasium.Env, **settings: Any) -> list[float]:
    """Q of the first and of the second state, once learned."""
    agent = algorithm(
        EnvAdapter(env).spec_of_agent,
        hidden_sizes=(32,), discount=GAMMA, learning_rate=1e-2, tau=0.1,
        **settings,
    )  # fmt: skip
    collector = Collector(agent, [EnvAdapter(env)])
    replay = EpisodeReplay(agent.spec, batch_size=32)
    while replay.episodes.stop < 40:
        for episode in collector.step(uniform=True):
            replay.add(episode)
    for _ in range(400):
        agent.update(replay.sample())
    states = torch.eye(2)[:, None]
    return agent.critic(states, torch.zeros(2, 1, 1)).amin(0).flatten().tolist()


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [(DDPG, {}), (TD3, {}), (SAC, {"temperature": 1e-6, "fixed_temperature": True})],
)
def test_a_time_limit_bootstraps_from_the_episodes_own_last_state_and_an_end_does_not(
    algorithm, settings
) -> None:
    # Every episode has one step. First: cut by the limit, seeing the second: 0 + γ · 1. Second:
    # ended, and cut by the limit at once: 1. Bootstrapping there would give 1 + γ · ½; storing the
    # limit as an end 0; reading the next episode's first observation something between.
    found = values(algorithm, TimeLimit(TwoStates(), 1), **settings)
    assert found == pytest.approx([GAMMA, 1.0], abs=0.05)


def test_without_a_limit_the_values_are_the_same() -> None:
    assert values(DDPG, TwoStates()) == pytest.approx([GAMMA, 1.0], abs=0.05)


def test_swapping_the_two_ends_gives_other_values() -> None:
    # First: an end, 0. Second: a limit, seeing the first: 1 + γ · 0.
    found = values(DDPG, Swapped(TimeLimit(TwoStates(), 1)))
    assert found == pytest.approx([0.0, 1.0], abs=0.05)
