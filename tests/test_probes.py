"""Tiny worlds that an algorithm must learn in seconds; two of them need a memory.

Each pays 1 an episode at best. Where a memory is needed, what no memory can do better than is 0,
exactly: the score is an average over every starting point, and the last observation, which decides
the only action that counts, is the same for all.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from offpcc.algorithms import DDPG, SAC, TD3, OffPolicy
from offpcc.collect import Collector
from offpcc.evaluate import play
from offpcc.networks import GRU, LSTM, RNN, Identity
from offpcc.replay import EpisodeReplay
from offpcc.world import World


class Probe(gymnasium.Env[Any, Any]):
    """One action a step; `start` is where an episode begins, drawn if it is not given."""

    observation_space = Box(-1, 1, (2,))
    action_space = Box(-1, 1, (1,))
    starts: Sequence[Any] = (None,)

    def __init__(self, start: Any = None) -> None:
        self.given = start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        drawn = self.starts[np.random.default_rng(seed).integers(len(self.starts))]
        self.start = drawn if self.given is None else self.given
        self.actions: list[float] = []
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.actions.append(float(action[0]))
        ended = len(self.actions) == self.length
        return self.seen(), self.paid() if ended else 0.0, ended, False, {}


class OneAction(Probe):
    """One step; pays 1 - (a - ½)² × 4."""

    length = 1

    def seen(self) -> Any:
        return np.ones(2)

    def paid(self) -> float:
        return 1 - 4 * (self.actions[0] - 0.5) ** 2


class Delayed(Probe):
    """Pays after five steps for the first of them, which stays in sight as ½ a, and the time."""

    length = 5

    def seen(self) -> Any:
        first = self.actions[0] / 2 if self.actions else 0.0
        return np.array([first, len(self.actions) / self.length])

    def paid(self) -> float:
        return 1 - 4 * (self.actions[0] - 0.5) ** 2


class Recall(Probe):
    """Shows c = ±1 once; after four more steps pays 1 - 4 (a - c/2)² for the last action."""

    length, starts = 5, (-1.0, 1.0)

    def seen(self) -> Any:
        return np.array([0.0 if self.actions else self.start, len(self.actions) / self.length])

    def paid(self) -> float:
        return 1 - 4 * (self.actions[-1] - self.start / 2) ** 2


class Integrate(Probe):
    """Shows four velocities of ±1, one a step; pays 1 - 4 (a - p)² for where they have led to.

    p is their mean, of variance ¼; so a guess that knows none of them is worth 0 at best.
    """

    length, starts = 5, tuple(product((-1.0, 1.0), repeat=4))

    def seen(self) -> Any:
        step = len(self.actions)
        return np.array([self.start[step] if step < 4 else 0.0, float(step >= 4)])

    def paid(self) -> float:
        return 1 - 4 * (self.actions[-1] - np.mean(self.start)) ** 2


def trained(algorithm: type[OffPolicy], memory: Any, world: type[Probe], steps: int, **settings: Any) -> OffPolicy:
    """An agent that has played so many steps; it learns from whole episodes, one batch in two steps."""
    defaults = {"hidden": (32, 32), "rate": 2e-3, "memory_rate": 2e-3, "polyak": 0.05}
    defaults |= {"discount": 0.95, "seed": 1}
    agent = algorithm(World(world()).spec_of_agent, summarizer=memory, **defaults | settings)
    replay = EpisodeReplay(agent.spec, agent.state_size, batch=32, segment=None, ratio=0.5)
    collector = Collector(agent, [World(world()) for _ in range(4)], seed=1)
    while collector.steps < steps:
        for episode in collector.step(uniform=collector.steps < 400):
            replay.add(episode)
        if collector.steps > 400:
            for batch in replay.batches(4):
                agent.update(batch)
    return agent


def score(agent: OffPolicy, world: type[Probe]) -> float:
    """The mean greedy return over every start."""
    worlds = [World(world(start)) for start in world.starts]
    return float(np.mean([s.total for s in play(agent.policy, worlds, [0] * len(worlds))]))
