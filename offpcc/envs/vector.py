"""Vector environments: n environments side by side, stepped in turn or in one step."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from offpcc.data import AgentSpec, Observation
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.fault_guard import Guard
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.step_outcome import Outcome


class VectorEnvAdapter(ABC):
    """n copies of an environment. One whose episode has ended rests until it is reset."""

    limit: int | None = None  # steps after which the environment itself cuts an episode

    @property
    def spec_of_agent(self) -> AgentSpec:
        """What the agent sees and does in one of them."""
        return self.space_adapter.spec

    @property
    @abstractmethod
    def space_adapter(self) -> SpaceAdapter:
        """Between one of them and an agent."""

    @abstractmethod
    def __len__(self) -> int:
        """How many."""

    @abstractmethod
    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """The first observations of some copies, in their order, from a seed each.

        episodes: the numbers of the episodes that begin, for faults; left out: the next ones.
        """

    @abstractmethod
    def step(self, actions: np.ndarray) -> list[Outcome]:
        """One step of each copy with its action of (n, A) in [-1, 1]; a resting one repeats."""

    @abstractmethod
    def rest(self) -> None:
        """Every copy rests, whatever was under way."""

    @abstractmethod
    def close(self) -> None:
        """Closes them all."""


class GymnasiumVectorEnv(VectorEnvAdapter):
    """Copies that one vector environment of gymnasium's, `env`, steps together."""

    env: Any
    guard: Guard
    _space_adapter: SpaceAdapter

    @property
    def space_adapter(self) -> SpaceAdapter:
        """See `VectorEnvAdapter`."""
        return self._space_adapter

    def __len__(self) -> int:
        """How many."""
        return int(self.env.num_envs)

    def _begin(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None
    ) -> tuple[list[int | None], np.ndarray]:
        """The seed of each copy, None for one that goes on, and which are to be reset (n,)."""
        for copy, seed in seeds.items():
            self.guard.begin(copy, seed, episodes[copy] if episodes else None)
        every = [seeds.get(copy) for copy in range(len(self))]
        return every, np.array([seed is not None for seed in every])


class SequentialEnvs(VectorEnvAdapter):
    """Environments of any kind, stepped in turn."""

    def __init__(self, envs: Iterable[EnvAdapter], first: int = 0) -> None:
        """first: the number of the first one, in faults."""
        self.envs = list(envs)
        for copy, env in enumerate(self.envs, first):
            env.guard.first = copy
        self.limit = self.envs[0].limit if self.envs else None
        self.last: dict[int, Outcome] = {}

    @property
    def space_adapter(self) -> SpaceAdapter:
        """See `VectorEnvAdapter`."""
        return self.envs[0].space_adapter

    def __len__(self) -> int:
        """How many."""
        return len(self.envs)

    def __getitem__(self, copy: int) -> EnvAdapter:
        """One of the environments."""
        return self.envs[copy]

    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """See `VectorEnvAdapter`."""
        for copy, seed in seeds.items():
            number = episodes[copy] if episodes else None
            seen = self.envs[copy].reset(seed=seed, episode=number)[0]
            self.last[copy] = Outcome(seen, 0.0, False, False)
        return [self.last[copy].seen for copy in seeds]

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """See `VectorEnvAdapter`."""
        for copy, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            if not self.last[copy].ended:
                self.last[copy] = env.play(action)
        return [self.last[copy] for copy in range(len(self))]

    def rest(self) -> None:
        """See `VectorEnvAdapter`."""
        for copy, last in self.last.items():
            self.last[copy] = last._replace(truncated=True)

    def close(self) -> None:
        """See `VectorEnvAdapter`."""
        for env in self.envs:
            env.close()


def side_by_side(envs: VectorEnvAdapter | Sequence[EnvAdapter]) -> VectorEnvAdapter:
    """The environments as copies that are stepped in turn, unless they are copies already."""
    return envs if isinstance(envs, VectorEnvAdapter) else SequentialEnvs(envs)
