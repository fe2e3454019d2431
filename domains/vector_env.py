"""Vector environments: n copies of an environment of ours, with one numpy step for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from .base_env import BaseEnv

Batch = NDArray[Any]
Stepped = tuple[Any, Batch, Batch, Batch, dict[str, Any]]


class BatchedEnv(VectorEnv[Any, Batch, Batch]):
    """The same numbers as `num_envs` single environments, step for step.

    Nothing is reset of itself: a copy whose episode has ended rests, and gives reward 0, until a
    reset. `reset(options={"reset_mask": mask})` resets the copies of a boolean mask (n,) alone.
    """

    def __init__(self, env: BaseEnv, max_episode_steps: int) -> None:
        """Wrap an environment of n copies; truncate episodes after `max_episode_steps`."""
        self.env, self.limit = env, max_episode_steps
        num_envs = self.num_envs = env.copies
        facts = {"autoreset_mode": AutoresetMode.DISABLED, "ended_copies_rest": True}
        self.metadata = env.metadata | facts
        self.single_observation_space = self.env.observation_space
        self.single_action_space = self.env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.steps = np.zeros(num_envs, np.intp)  # of the episode under way
        self.terminated, self.truncated = np.ones((2, num_envs), bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Observations (n, X); copy i takes seed + i, or its own of a sequence of n.

        Raises ValueError for a mask or seeds of another length than n.
        """
        mask = np.ones(self.num_envs, bool)
        if options and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], bool)
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        seeds = [None] * self.num_envs if seeds is None else list(seeds)
        if mask.shape != (self.num_envs,) or len(seeds) != self.num_envs:
            raise ValueError(f"a mask and seeds have {self.num_envs} entries, one a copy")
        for copy in np.flatnonzero(mask):
            self.env.renew(int(copy), seeds[copy])
        self.steps[mask] = 0
        self.terminated[mask] = self.truncated[mask] = False
        return self.env.views.begin(self.env.seen(), mask, self.env.randoms), {}

    def step(self, actions: ArrayLike) -> Stepped:
        """Observations (n, X), rewards, terminated and truncated (n,) after actions (n, A).

        Raises ValueError for actions of another shape or with a NaN, and ResetNeeded if there is
        no episode under way in any copy.
        """
        resting = self.terminated | self.truncated
        if resting.all():
            raise ResetNeeded("no episode is under way in any copy; call reset() before step()")
        taken, before = self.env.taken(actions), self.env.values.copy()
        self.env.resting = resting
        reward, ended = self.env.play(taken)
        self.env.values[:, resting] = before[:, resting]
        reward = np.where(resting, 0.0, reward)
        self.steps += ~resting
        self.terminated = np.where(resting, self.terminated, ended)
        self.truncated = np.where(resting, self.truncated, self.steps >= self.limit)
        info = {}
        if self.env.success is not None:
            info = {"success": self.env.success.copy(), "_success": ~resting}
        seen = self.env.views.follow(self.env.seen(), taken.T)
        return seen, reward, self.terminated.copy(), self.truncated.copy(), info
