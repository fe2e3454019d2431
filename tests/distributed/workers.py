"""Pools of toy workers that the tests of distributed collecting share."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from toys import SPEC, Walk

from offpcc.algorithms import DDPG, Agent
from offpcc.data import Episode
from offpcc.distributed.collector import DistributedCollector
from offpcc.distributed.pool import Answers, LocalPool
from offpcc.distributed.request import CollectRequest, WorkerLost
from offpcc.distributed.worker import CollectorWorker, cpu_weights
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.vector import SequentialEnvs
from offpcc.networks import LSTM
from offpcc.training.collector import Collector

COPIES = 2  # of each worker


def agent_with(algorithm: Any = DDPG, **settings: Any) -> Agent:
    given = {"summarizer": partial(LSTM, hidden_size=6), "hidden_sizes": (8,), "seed": 1}
    return algorithm(SPEC, **given | settings)


class ToyWorker:
    """Makes workers with walks; algorithm and settings: of the agent. collect: of the collector."""

    def __init__(self, algorithm: Any = DDPG, walk: Any = Walk, **collect: Any) -> None:
        self.algorithm, self.walk, self.collect = algorithm, walk, {"seed": 5} | collect

    def __call__(self, worker: int, incarnation: int) -> CollectorWorker:
        first = worker * COPIES
        envs = SequentialEnvs([EnvAdapter(self.walk()) for _ in range(COPIES)], first)
        agent = agent_with(self.algorithm, seed=worker + 7)  # its own weights have no effect
        return CollectorWorker(Collector(agent, envs, first=first, **self.collect), incarnation)


def collector_of(agent: Agent, pool: Any, **settings: Any) -> DistributedCollector:
    envs = SequentialEnvs([EnvAdapter(Walk())])
    return DistributedCollector(
        agent, pool, envs, **{"num_envs": COPIES, "collect_steps": 9} | settings
    )


class LossyPool(LocalPool):
    """Loses workers: (worker, request) for each; it plays the request, and nobody hears of it."""

    def __init__(self, make: Any, size: int, lost: Sequence[tuple[int, int]]) -> None:
        super().__init__(make, size)
        self.lost = list(lost)

    def receive(self, timeout: float) -> Answers:
        answers = super().receive(timeout)
        for worker, answer in answers.items():
            if (worker, answer.version) in self.lost:
                self.lost.remove((worker, answer.version))
                answers[worker] = WorkerLost("killed by SIGKILL")
        return answers


class Forgetting(LocalPool):
    """Loses worker 1 when its state is asked for, or restored, the first time."""

    lost = False

    def states(self) -> Any:
        states = super().states()
        return states if self._lost() else [states[0], WorkerLost("gone")]

    def load(self, states: Any) -> Any:
        exact = super().load(states)
        return exact if self._lost() else [exact[0], WorkerLost("gone")]

    def _lost(self) -> bool:
        before, self.lost = self.lost, True
        return before


class OneByOne(LocalPool):
    """Answers come singly, the last worker's first."""

    def receive(self, timeout: float) -> Answers:
        last = max(self._asked)
        return {last: self.workers[last].collect(self._asked.pop(last))}


def change(agent: Agent, by: float = 0.05) -> None:
    """What an update does to the weights, and observing to the statistics."""
    with torch.no_grad():
        for weight in agent.policy.parameters():
            weight.add_(by)


def facts(episodes: Sequence[Episode]) -> list[tuple[Any, ...]]:
    """All that there is to episodes, to be compared."""
    return [
        (
            {key: values.tobytes() for key, values in each.observation.items()},
            each.action.tobytes(),
            each.reward.tobytes(),
            each.state.tobytes(),
            None if each.log_prob is None else each.log_prob.tobytes(),
            (each.terminated, each.ended, each.env_index, each.steps_before, each.reward_before),
        )
        for each in episodes
    ]


def request(agent: Agent, **facts: Any) -> CollectRequest:
    """A request with an agent's weights."""
    given = {"version": 1, "progress": 0.0, "until": 9, "uniform": False}
    return CollectRequest(weights=cpu_weights(agent.acting_parts()), **given | facts)
