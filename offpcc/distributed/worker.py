"""CollectorWorker: some copies of the environment, in a process of their own."""

import time
from typing import Any

import numpy as np
from torch import nn

from offpcc.distributed.request import CollectRequest, CollectResult, Weights
from offpcc.errors import EnvironmentFault
from offpcc.processes import notices
from offpcc.training.collector import Collector


class CollectorWorker:
    """Collects by request, with the weights that come along.

    collector: of this worker's copies; its learner has no other use. incarnation: how many workers
    had these copies before; its action noise is a function of (run, first copy, incarnation).
    """

    def __init__(self, collector: Collector, incarnation: int = 0) -> None:
        self.collector, self.version = collector, 0
        collector.sync_each = "request"
        if collector.first or incarnation:
            numbers = [collector.seed, collector.first, incarnation]
            noise, uniform = np.random.SeedSequence(numbers).generate_state(2)
            collector.agent.generator.manual_seed(int(noise))
            collector.random = np.random.default_rng(int(uniform))

    def collect(self, request: CollectRequest) -> CollectResult:
        """Does what is asked for, up to a step that the environment fails."""
        since, before = time.perf_counter(), self.collector.steps
        if request.version != self.version:
            self._take_over(request)
        episodes, fault = [], ""
        try:
            while self._made < request.until:
                episodes += self.collector.step(request.uniform)
        except EnvironmentFault as error:
            fault = str(error)
        return CollectResult(
            request.version,
            episodes,
            self.collector.steps - before,
            [trajectory.episode for trajectory in self.collector.trajectories],
            self.collector.reward_terms,
            time.perf_counter() - since,
            fault,
            notices.take(),
        )

    def start_at(self, numbers: list[int], made: int) -> None:
        """Takes the place of a lost worker: each copy begins the episode with its number.

        made: steps of each copy that count as made.
        """
        self.collector.steps = made * len(self.collector.envs)
        self.collector.begin_at(numbers)

    def state_dict(self) -> dict[str, Any]:
        """The collector's state, and which weights it has."""
        return self.collector.state_dict() | {"version": self.version}

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Restores `state_dict`; gives whether all open episodes came out as they were."""
        self.collector.load_state_dict(state)
        self.version = state["version"]
        return self.collector.exact

    def close(self) -> None:
        """Closes the environments."""
        self.collector.envs.close()

    @property
    def _made(self) -> int:
        """Steps of each copy."""
        return self.collector.steps // len(self.collector.envs)

    def _take_over(self, request: CollectRequest) -> None:
        for name, part in self.collector.learner.acting_parts().items():
            part.load_state_dict(request.weights[name])
        self.collector.learner.progress = request.progress
        self.collector.sync()
        self.version = request.version


def cpu_weights(parts: dict[str, nn.Module]) -> Weights:
    """Copies of the weights and statistics of parts, on the CPU."""
    return {
        name: {key: value.detach().cpu().clone() for key, value in part.state_dict().items()}
        for name, part in parts.items()
    }
