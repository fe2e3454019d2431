"""NativeVectorEnv: an environment's own vector environment, stepped as one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from offpcc.config.catalog import bare
from offpcc.data import ACTION_MASK, Observation
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.fault_guard import Guard
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.step_outcome import RESET, Outcome, either, infos_of, parts_of, steps_of
from offpcc.envs.values import SpaceError
from offpcc.envs.vector import GymnasiumVectorEnv


class NativeVectorEnv(GymnasiumVectorEnv):
    """A vector environment that says `ended_copies_rest` in its metadata and keeps to it.

    It takes a seed for each copy and a `reset_mask` of those to reset. The settings are those of
    `EnvAdapter`.
    """

    def __init__(
        self,
        env: VectorEnv,
        *,
        guard: Guard | None = None,
        limit: int | None = None,
        success: Literal["last", "any"] = "last",
        **settings: Any,
    ) -> None:
        self.env: Any = env  # takes a seed for each copy, which gymnasium's own type leaves out
        self.guard, self.limit = guard or Guard(env.num_envs), limit
        self._space_adapter = SpaceAdapter(
            env.single_observation_space, env.single_action_space, **settings
        )
        self._mask_key = settings.get("action_mask_key", ACTION_MASK)
        self._rests = np.ones(env.num_envs, bool)
        self._legal = np.ones(
            (env.num_envs, self._space_adapter.spec.action), bool
        )  # at the latest step
        self._any = success == "any"
        self._success: list[bool | None] = [None] * env.num_envs  # of each episode's steps so far

    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """See `VectorEnvAdapter`."""
        if not seeds:
            return []
        every, mask = self._begin(seeds, episodes)
        for copy in seeds:
            self._success[copy] = None
        with self.guard.reset:
            given = self.env.reset(seed=every, options={"reset_mask": mask})
        observation, info = self.guard.read(parts_of, "reset", given, RESET)
        chosen = list(seeds)  # what the others show is no part of an episode
        try:
            beside = self._mask_of(info, np.isin(range(len(self)), chosen))
            beside = None if beside is None else rows_of(beside, chosen)
            rows = (len(chosen),)
            seen = self.space_adapter.first(rows_of(observation, chosen), rows, mask=beside)
        except SpaceError as error:
            raise self.guard.fault(str(error), chosen[error.row]) from error
        self._rests[chosen] = False
        self._legal[chosen] = seen.get(ACTION_MASK, True)
        return _apart(seen, len(chosen))

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """See `VectorEnvAdapter`."""
        if self.space_adapter.spec.is_masked:  # one that rests is given what it allows
            actions = np.where(self._rests[:, None], self._legal, actions)
        raw = self.space_adapter.raw(actions)
        self.guard.take(raw)
        with self.guard.step:
            given = self.env.step(raw)
        rows = (len(self),)
        observation, rewards, *ends, info = self.guard.read(steps_of, given, len(self))
        ended = self._rests | ends[0] | ends[1]
        over = self._rests | ends[0]
        after = partial(self.space_adapter.after, rows=rows, over=over)
        beside = self.guard.read(self._mask_of, info, ~over)
        seen = self.guard.read(partial(after, mask=beside), observation, actions, rewards)
        self._legal, self._rests = seen.get(ACTION_MASK, self._legal), ended
        success, terms = self.guard.read(infos_of, info, len(self))
        if self._any:
            success = self._success = list(map(either, self._success, success))
        columns = (_apart(seen, len(self)), rewards.tolist(), *ends, success, terms)
        return list(map(Outcome, *columns))

    def rest(self) -> None:
        """See `VectorEnvAdapter`."""
        # What plays on costs nothing extra, and is reset before it counts.
        self._rests[:] = True

    def _mask_of(self, info: Mapping[str, Any], needed: np.ndarray) -> Any:
        """The action masks beside the observations (n, …); None where there are none.

        needed (n,): whose there must be. Raises SpaceError for a copy that has none.
        """
        given = info.get(str(self._mask_key)) if self.space_adapter.needs_mask else None
        known = np.broadcast_to(info.get(f"_{self._mask_key}", True), (len(self),))
        if given is not None and (needed & ~known).any():
            missing = int(np.flatnonzero(needed & ~known)[0])
            raise SpaceError(f"info[{self._mask_key!r}] is missing", missing)
        return given

    def close(self) -> None:
        """See `VectorEnvAdapter`."""
        self.guard.close_quietly(self.env.close)


def vectorised(env_id: str, count: int, single: EnvAdapter) -> VectorEnv | None:
    """An id's own vector environment, if it has one whose ended copies rest until a reset.

    single: one of it, which was made as the copies are to be; a wrapped one has no vector
    environment. Raises EnvironmentFault for whatever its constructor raises.
    """
    if gymnasium.spec(bare(env_id)).vector_entry_point is None or single.env_kwargs is None:
        return None
    guard = Guard(count)
    arguments = dict(single.env_kwargs)
    if single.limit:
        arguments["max_episode_steps"] = single.limit
    with guard.constructor:
        made = gymnasium.make_vec(
            bare(env_id), num_envs=count, vectorization_mode=None, **arguments
        )
    if made.metadata.get("ended_copies_rest"):
        return made
    guard.close_quietly(made.close)
    return None


def rows_of(observation: Any, rows: Sequence[int]) -> Any:
    """Some rows of a batch of raw observations, however it is nested."""
    if isinstance(observation, Mapping):
        return {key: rows_of(part, rows) for key, part in observation.items()}
    if isinstance(observation, tuple):
        return tuple(rows_of(part, rows) for part in observation)
    return np.asarray(observation)[rows]


def _apart(seen: Observation, count: int) -> list[Observation]:
    """Each row of a batch."""
    return [{key: values[row] for key, values in seen.items()} for row in range(count)]
