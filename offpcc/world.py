"""World: any gymnasium environment as offpcc plays it.

Observations become a mapping {key: array} of float32 (uint8 for pixels), actions lie in [-1, 1],
and the agent's own past joins the observation where the recipe asks for it.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from offpcc.actions import actions_of
from offpcc.catalog import bare, check_id
from offpcc.data import Field, Observation, Spec


def make_world(
    env: str,
    *,
    previous_action: bool = False,
    previous_reward: bool = False,
    render_mode: str | None = None,
) -> "World":
    """The world behind a gymnasium id; `module:Id-v0` imports the module first.

    Raises ValueError for an id that is not registered, naming the nearest ones, and for spaces
    that cannot be served.
    """
    check_id(env)
    # A world that draws nothing need not take the argument.
    drawn: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
    made = gymnasium.make(bare(env), disable_env_checker=True, **drawn)
    return World(made, previous_action=previous_action, previous_reward=previous_reward)


class Door:
    """Between a world's own spaces and what agents see and do, for one copy or for rows of them.

    previous_action, previous_reward: whether the observation has these keys, zero at reset.
    Raises ValueError for spaces that cannot be served.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        previous_action: bool = False,
        previous_reward: bool = False,
    ) -> None:
        self.spaces = observation_space, action_space
        self._actions = actions_of(action_space)
        size = self._actions.size
        self._spaces = _keys(observation_space)
        self._past: Observation = {}
        if previous_action:
            self._past["previous_action"] = np.zeros(size, np.float32)
        if previous_reward:
            self._past["previous_reward"] = np.zeros(1, np.float32)
        if twice := self._past.keys() & self._spaces.keys():
            raise ValueError(f"the observation has {sorted(twice)} already; do not ask for it")
        keys = {key: _field(key, space) for key, space in self._spaces.items()}
        past = {key: Field(value.shape) for key, value in self._past.items()}
        self.spec = Spec(keys | past, size, self._actions.choices)

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """Actions (…, A) as the world takes them, never beyond its bounds."""
        return self._actions.raw(actions)

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """The world's actions (…) as agents hold them (…, A); the way back from `raw`."""
        return self._actions.agents(raw)

    def first(self, observation: Any) -> Observation:
        """What the agent sees of an episode's first raw observation."""
        return self._read(observation) | {k: np.zeros_like(v) for k, v in self._past.items()}

    def after(self, observation: Any, action: np.ndarray, reward: float) -> Observation:
        """What the agent sees of the raw observation after an action (A,) that it took."""
        past = {
            "previous_action": np.clip(action, -1, 1, dtype=np.float32),
            "previous_reward": np.array([reward], np.float32),
        }
        return self._read(observation) | {key: past[key] for key in self._past}

    def world_observations(self, seen: Sequence[Observation]) -> Any:
        """What the world showed in these steps (L, …), in its own types."""
        own = {key: _raw(space, [s[key] for s in seen]) for key, space in self._spaces.items()}
        return own if isinstance(self.spaces[0], spaces.Dict) else own["observation"]

    def _read(self, observation: Any) -> Observation:
        """The mapping of one raw observation."""
        if not isinstance(observation, dict):
            observation = {"observation": observation}
        return {key: _array(space, observation[key]) for key, space in self._spaces.items()}


class World(gymnasium.Wrapper):
    """A mapping of observations out, actions (A,) in, through a `Door`."""

    def __init__(self, env: gymnasium.Env, **settings: bool) -> None:
        """`settings` are the door's."""
        super().__init__(env)
        self.settings = settings
        self.door = Door(env.observation_space, env.action_space, **settings)
        self.spec_of_agent = self.door.spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """The first observation of an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.door.first(observation), info

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of an action (A,), in [-1, 1] or one-hot; it never leaves the world's bounds."""
        outcome = self.env.step(self.door.raw(action))
        observation, reward, terminated, truncated, info = outcome
        seen = self.door.after(observation, action, float(reward))
        return seen, float(reward), bool(terminated), bool(truncated), info


def _keys(space: gymnasium.Space) -> dict[str, gymnasium.Space]:
    """The observation's keys; a plain space is the key `observation`."""
    mapping = dict(space.spaces) if isinstance(space, spaces.Dict) else {"observation": space}
    for key, part in mapping.items():
        if not isinstance(part, (spaces.Box, spaces.Discrete)):
            raise ValueError(
                f"observation {key!r} is a {type(part).__name__} space; offpcc reads Box, Discrete "
                "and Dict of these: flatten it with gymnasium.wrappers.FlattenObservation"
            )
    return mapping


def _field(key: str, space: gymnasium.Space) -> Field:
    """Shape and type of one key as offpcc stores it."""
    if isinstance(space, spaces.Discrete):
        return Field((int(space.n),))
    assert isinstance(space, spaces.Box)
    pixels = space.dtype == np.uint8 and len(space.shape) > 1
    return Field(space.shape or (1,), "uint8" if pixels else "float32")


def _raw(space: gymnasium.Space, values: Sequence[np.ndarray]) -> np.ndarray:
    """What `_array` was made of, (L, …)."""
    stacked = np.stack(values)
    if isinstance(space, spaces.Discrete):
        return stacked.argmax(-1) + space.start
    return stacked.reshape(len(stacked), *(space.shape or ())).astype(space.dtype)


def _array(space: gymnasium.Space, value: Any) -> np.ndarray:
    """One key's value: pixels as they are, a Discrete one as one-hot, all else float32."""
    if isinstance(space, spaces.Discrete):
        one_hot = np.zeros(int(space.n), np.float32)
        one_hot[int(value) - int(space.start)] = 1
        return one_hot
    value = np.asarray(value)
    if value.dtype == np.uint8 and value.ndim > 1:
        return value.copy()  # many worlds draw every frame into the same array
    return np.atleast_1d(value.astype(np.float32))
