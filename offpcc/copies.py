"""Copies: n worlds side by side, each stepped in turn or all of them in one step."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from offpcc.catalog import bare
from offpcc.data import Observation, Spec
from offpcc.world import Door, World


class Outcome(NamedTuple):
    """What a step of one copy came to."""

    seen: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]

    @property
    def terms(self) -> dict[str, float]:
        """What the reward is the sum of, by name, where the world says: `info["rewards"]`."""
        told = self.info.get("rewards")
        return {k: float(v) for k, v in told.items()} if isinstance(told, Mapping) else {}


class Copies(ABC):
    """n copies of a world. One whose episode has ended rests until it is reset."""

    @property
    def spec_of_agent(self) -> Spec:
        """What the agent sees and does in one of them."""
        return self.door.spec

    @property
    @abstractmethod
    def door(self) -> Door:
        """Between one of them and an agent."""

    @abstractmethod
    def __len__(self) -> int:
        """How many."""

    @abstractmethod
    def reset(self, seeds: Mapping[int, int]) -> Iterator[Observation]:
        """The first observations of some copies, in their order, from a seed each."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> Iterator[Outcome]:
        """One step of each copy with its action of (n, A) in [-1, 1]; a resting one repeats."""

    @abstractmethod
    def rest(self) -> None:
        """Every copy rests, whatever was under way."""

    @abstractmethod
    def close(self) -> None:
        """Closes them all."""


class Singles(Copies):
    """Worlds of any kind, stepped in turn."""

    def __init__(self, worlds: Iterable[World]) -> None:
        self.worlds = list(worlds)
        self.last: dict[int, Outcome] = {}

    @property
    def door(self) -> Door:
        """See `Copies`."""
        return self.worlds[0].door

    def __len__(self) -> int:
        """How many."""
        return len(self.worlds)

    def __getitem__(self, copy: int) -> World:
        """One of the worlds."""
        return self.worlds[copy]

    def reset(self, seeds: Mapping[int, int]) -> Iterator[Observation]:
        """See `Copies`."""
        for copy, seed in seeds.items():
            seen = self.worlds[copy].reset(seed=seed)[0]
            self.last[copy] = Outcome(seen, 0.0, False, False, {})
            yield seen

    def step(self, actions: np.ndarray) -> Iterator[Outcome]:
        """See `Copies`."""
        for copy, (world, action) in enumerate(zip(self.worlds, actions, strict=True)):
            last = self.last[copy]
            if not (last.terminated or last.truncated):
                last = self.last[copy] = Outcome(*world.step(action))
            yield last

    def rest(self) -> None:
        """See `Copies`."""
        for copy, last in self.last.items():
            self.last[copy] = last._replace(truncated=True)

    def close(self) -> None:
        """See `Copies`."""
        for world in self.worlds:
            world.close()


class Together(Copies):
    """A vector environment that says `ended_copies_rest` in its metadata and keeps to it.

    It takes a seed for each copy and a `reset_mask` of those to reset.
    """

    def __init__(self, env: VectorEnv, **settings: bool) -> None:
        """`settings` are the door's."""
        self.env: Any = env  # takes a seed for each copy, which gymnasium's own type leaves out
        self._door = Door(env.single_observation_space, env.single_action_space, **settings)

    @property
    def door(self) -> Door:
        """See `Copies`."""
        return self._door

    def __len__(self) -> int:
        """How many."""
        return int(self.env.num_envs)

    def reset(self, seeds: Mapping[int, int]) -> Iterator[Observation]:
        """See `Copies`."""
        every = [seeds.get(copy) for copy in range(len(self))]
        mask = np.array([seed is not None for seed in every])
        seen, _ = self.env.reset(seed=every, options={"reset_mask": mask})
        yield from (self.door.first(row(seen, copy)) for copy in seeds)

    def step(self, actions: np.ndarray) -> Iterator[Outcome]:
        """See `Copies`."""
        seen, rewards, terminated, truncated, info = self.env.step(self.door.raw(actions))
        told = without_masks(info)
        for copy, (action, reward) in enumerate(zip(actions, rewards.tolist(), strict=True)):
            observation = self.door.after(row(seen, copy), action, reward)
            extra = {key: row(values, copy) for key, values in told.items()}
            ends = bool(terminated[copy]), bool(truncated[copy])
            yield Outcome(observation, reward, *ends, extra)

    def rest(self) -> None:
        """See `Copies`."""
        # Not needed: what plays on costs nothing extra, and is reset before it counts.

    def close(self) -> None:
        """See `Copies`."""
        self.env.close()


def vectorised(env: str, count: int) -> VectorEnv | None:
    """An id's own vector environment, if it has one whose ended copies rest until a reset."""
    if gymnasium.spec(bare(env)).vector_entry_point is None:
        return None
    made = gymnasium.make_vec(bare(env), count)
    if made.metadata.get("ended_copies_rest"):
        return made
    made.close()
    return None


def without_masks(info: Mapping[str, Any]) -> dict[str, Any]:
    """A vector environment's info without the `_name` arrays that say whose `name` is given."""
    return {
        key: without_masks(values) if isinstance(values, Mapping) else values
        for key, values in info.items()
        if not key.startswith("_")
    }


def row(values: Any, copy: int) -> Any:
    """One copy's part of a batch of observations, or of an info."""
    if isinstance(values, Mapping):
        return {key: row(part, copy) for key, part in values.items()}
    return values[copy]


def side_by_side(worlds: Copies | Sequence[World]) -> Copies:
    """The worlds as copies that are stepped in turn, unless they are copies already."""
    return worlds if isinstance(worlds, Copies) else Singles(worlds)
