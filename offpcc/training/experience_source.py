"""ExperienceSource: hands over the episodes that an agent learns from."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from offpcc.data import Episode
from offpcc.envs.vector import VectorEnvAdapter


class ExperienceSource(ABC):
    """Hands over episodes, a step at a time.

    envs: the copies of the environment. reward_terms: names of the terms of its reward.
    exact: whether a restore reproduced everything. description: a line to print; empty: none.
    lost_workers: processes that collected, were lost, and have been replaced. waited: seconds spent
    waiting for them; None where there are none.
    """

    envs: VectorEnvAdapter
    steps: int = 0  # environment steps, over all copies
    reward_terms: tuple[str, ...] = ()
    exact: bool = True
    description: str = ""
    lost_workers: int = 0
    waited: float | None = None

    @abstractmethod
    def step(self, uniform: bool = False) -> list[Episode]:
        """Goes on by a step, with uniform actions if asked; gives what is handed over."""

    def close(self) -> None:
        """Closes the environments, and what else there is."""
        self.envs.close()

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""


def seed_of(run: int, copy: int, episode: int) -> int:
    """The seed of a copy's next episode, which has had so many before."""
    return int(np.random.SeedSequence([run, copy, episode]).generate_state(1)[0])
