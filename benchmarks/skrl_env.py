"""Our environments as skrl steps them, and skrl's policies as our evaluator plays them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from skrl.envs.wrappers.torch import Wrapper
from torch import Tensor

from offpcc.data import Observation
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.training.experience_source import seed_of


class SkrlEnv(Wrapper):
    """n copies of an environment, with the observations and the start states that our agents get.

    Several copies begin their next episode in the step that ends one, as skrl's recurrent agents
    need it; a single one is reset by skrl's trainer, which so sees the last observation, too.
    """

    def __init__(self, envs: VectorEnvAdapter, seed: int) -> None:
        super().__init__(envs)
        self.envs, self.seed = envs, seed
        self.numbers = [0] * len(envs)  # how many episodes each copy has begun
        spec = envs.spec_of_agent
        size = sum(field.size for field in spec.observation.values())
        self._observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._action_space = spaces.Box(-1.0, 1.0, (spec.action,), np.float32)

    @property
    def num_envs(self) -> int:
        """How many copies."""
        return len(self.envs)

    @property
    def observation_space(self) -> spaces.Box:
        """All numbers that an agent sees, in one row."""
        return self._observation_space

    @property
    def action_space(self) -> spaces.Box:
        """[-1, 1]."""
        return self._action_space

    def reset(self) -> tuple[Tensor, dict[str, Any]]:
        """The first observations (n, X) of an episode of each copy, and an empty info."""
        return rows([self._begin(copy) for copy in range(self.num_envs)]), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Observations (n, X); rewards, true ends and time limits (n, 1); an empty info."""
        outcomes = self.envs.step(actions.numpy())
        seen = [outcome.seen for outcome in outcomes]
        if self.num_envs > 1:
            for copy, outcome in enumerate(outcomes):
                seen[copy] = self._begin(copy) if outcome.ended else outcome.seen
        reward = torch.tensor([[outcome.reward] for outcome in outcomes], dtype=torch.float32)
        terminated = torch.tensor([[outcome.terminated] for outcome in outcomes])
        truncated = torch.tensor([[outcome.truncated] for outcome in outcomes])
        return rows(seen), reward, terminated, truncated, {}

    def _begin(self, copy: int) -> Observation:
        number = self.numbers[copy]
        self.numbers[copy] += 1
        return self.envs.reset({copy: seed_of(self.seed, copy, number)}, {copy: number})[0]

    def state(self) -> None:
        """None: there is nothing beside the observation."""

    def render(self, *args: Any, **kwargs: Any) -> None:
        """None: nothing is drawn."""

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()


def rows(seen: Sequence[Observation]) -> Tensor:
    """Observations as rows of numbers (n, X)."""
    flat = [np.concatenate([value.ravel() for value in each.values()]) for each in seen]
    return torch.from_numpy(np.stack(flat).astype(np.float32))


class Greedy:
    """The mean actions of skrl's policy; the state is h and c, (1, n, H) each."""

    device = torch.device("cpu")

    def __init__(self, agent: Any) -> None:
        self.agent, self.policy = agent, agent.models["policy"]

    def initial_state(self, copies: int) -> list[Tensor]:
        """Zeros."""
        return [torch.zeros(1, copies, self.policy.lstm.hidden_size) for _ in range(2)]

    @torch.no_grad()
    def act(self, seen: Mapping[str, Tensor], state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Actions (n, A) in [-1, 1], and the state that follows."""
        observation = torch.cat([value.flatten(1) for value in seen.values()], 1).float()
        inputs = {"observations": self.agent._observation_preprocessor(observation), "rnn": state}
        outputs = self.policy.act(inputs, role="policy")[1]
        return outputs["mean_actions"], outputs["rnn"]
