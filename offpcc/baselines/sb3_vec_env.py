"""SB3VecEnv: copies of an environment as the vector environment of Stable-Baselines3."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from offpcc.data import AgentSpec, Episode, Field, Observation
from offpcc.envs.actions import actions_of
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.training.evaluator import Score
from offpcc.training.experience_source import seed_of


class SB3VecEnv(VecEnv):
    """n copies, each reset when its episode ends, from the seeds that a `Collector` gives.

    An observation is a row of all numbers that the spec has, or, where there are pictures, a
    mapping. `finished` has the episodes that ended, as scores, until somebody takes them.

    Raises EnvironmentFault when an environment fails.
    """

    envs: VectorEnvAdapter  # given by whoever trains; until then there are only spaces

    def __init__(self, spec: AgentSpec, copies: int, reward_scale: float = 1.0) -> None:
        self.spec, self.reward_scale, self.seed_of_run = spec, reward_scale, 0
        self.numbers = [0] * copies  # how many episodes each copy has begun
        self.scores = [Score(0.0, 0, None)] * copies
        self.finished: list[Episode] = []
        self.reward_terms: tuple[str, ...] = ()
        self._kind = actions_of(action_space(spec))
        self._actions = np.zeros((copies, spec.action), np.float32)
        super().__init__(copies, observation_space(spec), action_space(spec))

    def reset(self) -> Any:
        """Begins an episode in every copy."""
        return self._stacked([self._begin(copy) for copy in range(self.num_envs)])

    def step_async(self, actions: np.ndarray) -> None:
        """Takes actions (n, A), or choices (n,) or (n, parts)."""
        self._actions = self._kind.agents(actions)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps every copy; one whose episode ends begins the next."""
        outcomes = self.envs.step(self._actions)
        seen: list[Observation] = []
        infos: list[dict[str, Any]] = []
        for copy, outcome in enumerate(outcomes):
            infos.append({})
            seen.append(outcome.seen)
            self.scores[copy] = self.scores[copy].after(outcome)
            self.reward_terms = self.reward_terms or tuple(outcome.reward_terms)
            if outcome.ended:
                infos[copy] = {
                    "terminal_observation": self.shown(outcome.seen),
                    "TimeLimit.truncated": not outcome.terminated,
                }
                self._finish(copy, outcome.terminated)
                seen[copy] = self._begin(copy)
        rewards = np.array([self.reward_scale * o.reward for o in outcomes], np.float32)
        dones = np.array([outcome.ended for outcome in outcomes])
        return self._stacked(seen), rewards, dones, infos

    def shown(self, seen: Observation) -> Any:
        """One observation in this environment's space."""
        parts = {key: seen[key] for key in self.spec.observation}
        if isinstance(self.observation_space, spaces.Dict):
            return {k: v.reshape(self.observation_space[k].shape) for k, v in parts.items()}
        return np.concatenate([value.ravel() for value in parts.values()], dtype=np.float32)

    def _stacked(self, seen: Sequence[Observation]) -> Any:
        rows = [self.shown(each) for each in seen]
        if isinstance(self.observation_space, spaces.Dict):
            return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return np.stack(rows)

    def _begin(self, copy: int) -> Observation:
        number = self.numbers[copy]
        seed = seed_of(self.seed_of_run, copy, number)
        self.numbers[copy] += 1
        return self.envs.reset({copy: seed}, {copy: number})[0]

    def _finish(self, copy: int, terminated: bool) -> None:
        """Hands a copy's episode over: what it came to, for its steps are in the model's store."""
        score, self.scores[copy] = self.scores[copy], Score(0.0, 0, None)
        nothing = np.zeros((score.length, 0), np.float32)
        self.finished.append(
            Episode(
                {}, nothing, np.zeros(0, np.float32), terminated, nothing,
                success=score.success, reward_terms=dict(score.reward_terms), env_index=copy,
                steps_before=score.length, reward_before=score.total,
            )
        )  # fmt: skip

    def close(self) -> None:
        """Nothing: the environments are closed by whoever made them."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for all copies. Raises AttributeError for what there is not."""
        if attr_name == "render_mode":
            return [None] * self.num_envs
        raise AttributeError(attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Environments have nothing to set. Raises AttributeError."""
        raise AttributeError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Environments have no methods. Raises AttributeError."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """They are not."""
        return [False] * self.num_envs


def observation_space(spec: AgentSpec) -> gymnasium.Space:
    """One row of numbers; with pictures, a mapping, in which a plane has one channel."""
    fields = spec.observation
    if not any(field.is_picture for field in fields.values()):
        size = sum(field.size for field in fields.values())
        return spaces.Box(-np.inf, np.inf, (size,), np.float32)
    return spaces.Dict({key: _box(field) for key, field in fields.items()})


def _box(field: Field) -> spaces.Box:
    if not field.is_picture:
        return spaces.Box(-np.inf, np.inf, field.shape, np.float32)
    return spaces.Box(0, 255, (1,) * (3 - len(field.shape)) + field.shape, np.uint8)


def action_space(spec: AgentSpec) -> gymnasium.Space:
    """[-1, 1], or the choices."""
    if not spec.choices:
        return spaces.Box(-1.0, 1.0, (spec.action,), np.float32)
    if len(spec.choices) == 1:
        return spaces.Discrete(spec.choices[0])
    return spaces.MultiDiscrete(list(spec.choices))
