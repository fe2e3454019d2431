"""EnvAdapter: any gymnasium environment as offpcc plays it.

Observations become a mapping {key: array} of float32 (uint8 for pixels), actions lie in [-1, 1],
and the agent's own past joins the observation where the recipe asks for it. All that comes from
the environment passes a `Guard` and is compared with the declared spaces.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

from offpcc.agent_spec import AgentSpec, Field, Observation
from offpcc.config.catalog import bare, check_id
from offpcc.config.ranges import NonNegativeFloat, PositiveInt, checked
from offpcc.config.user_modules import import_attribute
from offpcc.envs.actions import actions_of
from offpcc.envs.fault_guard import Guard
from offpcc.envs.spaces import key_of, leaves, nested, part_of, reader_of
from offpcc.envs.step_outcome import RESET, Outcome, either, parts_of, step_of, success_of, terms_of
from offpcc.errors import EnvironmentFault
from offpcc.processes import heartbeat


@checked
def make_env(
    env: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[str] = (),
    previous_action: bool = False,
    previous_reward: bool = False,
    max_episode_steps: PositiveInt | None = None,
    success: Literal["last", "any"] = "last",
    timeout: NonNegativeFloat | None = 60.0,
    render_mode: str | None = None,
    copy: int = 0,
) -> "EnvAdapter":
    """The environment behind a gymnasium id; `module:Id-v0` imports the module first.

    `module:Name` also takes an environment's class, or a function that makes one, by its name.

    env_kwargs: what its constructor is given. wrappers: `module:Wrapper`, the innermost first.
    max_episode_steps: the time limit of an episode; None: the environment's own. success: the step
    whose `info["success"]`, or else `info["is_success"]`, is an episode's: the "last" one, or
    "any". timeout: seconds after which a call that does not return is ended; None: never. copy: its
    number among several.

    Raises ValueError for an id that is not registered, naming the nearest ones, for spaces that
    cannot be served, a missing package, and a render mode that the environment lacks;
    EnvironmentFault for whatever else its constructor raises.
    """
    check_id(env)
    heartbeat.configure(timeout)
    guard = Guard(first=copy)
    arguments = dict(env_kwargs or {})
    # An environment that draws nothing need not take the argument.
    drawn = {"render_mode": render_mode} if render_mode else {}
    classes = [import_attribute(name, f"wrapper {name}") for name in wrappers]
    try:
        with guard.constructor:
            made = _constructed(bare(env), max_episode_steps, arguments | drawn, classes)
    except EnvironmentFault as fault:
        if reason := _misuse(fault.__cause__, [*arguments, *drawn]):
            raise ValueError(reason) from fault.__cause__
        raise
    return EnvAdapter(
        made,
        guard=guard,
        limit=max_episode_steps or gymnasium.spec(bare(env)).max_episode_steps,
        env_kwargs=None if wrappers else arguments,
        success=success,
        previous_action=previous_action,
        previous_reward=previous_reward,
    )


def _constructed(
    env_id: str,
    max_episode_steps: int | None,
    arguments: dict[str, Any],
    wrappers: Sequence[Callable[..., Any]],
) -> gymnasium.Env:
    """The environment with its wrappers, and with its spaces, which may be made late."""
    made = gymnasium.make(env_id, max_episode_steps, disable_env_checker=True, **arguments)
    for wrapper in wrappers:
        made = wrapper(made)
    _ = made.observation_space, made.action_space
    return made


def _misuse(error: BaseException | None, arguments: Sequence[str]) -> str:
    """Why a constructor cannot have worked as it was called; empty where it is its own fault."""
    if isinstance(error, (DependencyNotInstalled, ImportError)):
        return str(error)
    unknown = [name for name in arguments if f"unexpected keyword argument '{name}'" in str(error)]
    if unknown == ["render_mode"]:
        return "it draws no pictures: its constructor takes no render_mode"
    return f"env_kwargs: its constructor takes no {unknown[0]}" if unknown else ""


class SpaceAdapter:
    """Converts between an environment's spaces and the agent's, for one copy or for rows.

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
        parts = leaves(observation_space)
        self._readers = {path: reader_of(key_of(path), space) for path, space in parts}
        self._past: dict[str, int] = {}  # sizes of the agent's own past, by key
        if previous_action:
            self._past["previous_action"] = size
        if previous_reward:
            self._past["previous_reward"] = 1
        keys = {reader.key: reader.field for reader in self._readers.values()}
        if twice := self._past.keys() & keys.keys():
            raise ValueError(f"the observation has {sorted(twice)} already; do not ask for it")
        past = {key: Field((size,)) for key, size in self._past.items()}
        self.spec = AgentSpec(keys | past, size, self._actions.choices)

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """Actions (…, A) as the environment takes them, never beyond its bounds."""
        return self._actions.raw(actions)

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """The environment's actions (…) as agents hold them (…, A); the way back from `raw`."""
        return self._actions.agents(raw)

    def first(self, observation: Any, rows: tuple[int, ...] = ()) -> Observation:
        """What the agent sees of an episode's first raw observation, or of a batch of `rows`.

        Raises SpaceError for an observation that is not of its space.
        """
        past = {k: np.zeros((*rows, size), np.float32) for k, size in self._past.items()}
        return self._read(observation, rows) | past

    def after(
        self, observation: Any, action: np.ndarray, reward: Any, rows: tuple[int, ...] = ()
    ) -> Observation:
        """What the agent sees of the raw observation after an action (*rows, A) that it took.

        reward: (*rows). Raises SpaceError for an observation that is not of its space.
        """
        seen = self._read(observation, rows)
        if "previous_action" in self._past:
            seen["previous_action"] = np.clip(action, -1, 1, dtype=np.float32)
        if "previous_reward" in self._past:
            seen["previous_reward"] = np.asarray(reward, np.float32).reshape(*rows, 1)
        return seen

    def env_observations(self, seen: Sequence[Observation]) -> Any:
        """What the environment showed in these steps (L, …), in its own types."""
        own = {
            path: reader.original(np.stack([each[reader.key] for each in seen]))
            for path, reader in self._readers.items()
        }
        return nested(own, self.spaces[0])

    def _read(self, observation: Any, rows: tuple[int, ...]) -> Observation:
        """The mapping of one raw observation, or of a batch."""
        return {
            reader.key: reader.read(part_of(observation, path), rows)
            for path, reader in self._readers.items()
        }


class EnvAdapter(gymnasium.Wrapper):
    """A mapping of observations out, actions (A,) in, through a `SpaceAdapter`.

    guard: what calls go through; left out: one of its own. limit: the steps after which the
    environment cuts an episode, None if it does not. env_kwargs: what its constructor was given;
    None: it is wrapped besides. `settings` are the space adapter's.

    Whatever the environment raises, and what it gives that it did not declare, is an
    EnvironmentFault.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        guard: Guard | None = None,
        limit: int | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        success: Literal["last", "any"] = "last",
        **settings: bool,
    ) -> None:
        super().__init__(env)
        self.env_kwargs = env_kwargs
        self.guard, self.limit = guard or Guard(), limit
        self.settings: dict[str, Any] = {"limit": limit, "success": success, **settings}
        self.space_adapter = SpaceAdapter(env.observation_space, env.action_space, **settings)
        self.spec_of_agent = self.space_adapter.spec
        self._any = success == "any"
        self._success: bool | None = None  # of the episode's steps so far

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        episode: int | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """The first observation of an episode, and the info; episode: its number, for faults."""
        self.guard.begin(0, seed, episode)
        with self.guard.reset:
            given = self.env.reset(seed=seed, options=options)
        observation, info = self.guard.read(parts_of, "reset", given, RESET)
        self._success = None
        return self.guard.read(self.space_adapter.first, observation), info

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of an action (A,), in [-1, 1] or one-hot, clipped to its bounds."""
        outcome, info = self._step(action)
        return *outcome[:4], info

    def play(self, action: np.ndarray) -> Outcome:
        """The same, with what the info says of success and of the reward's terms."""
        return self._step(action)[0]

    def _step(self, action: np.ndarray) -> tuple[Outcome, dict[str, Any]]:
        raw, read = self.space_adapter.raw(action), self.guard.read
        self.guard.take([raw])
        with self.guard.step:
            given = self.env.step(raw)
        observation, reward, terminated, truncated, info = read(step_of, given)
        seen = read(self.space_adapter.after, observation, action, reward)
        success, terms = read(success_of, info), read(terms_of, info)
        if self._any:
            success = self._success = either(self._success, success)
        return Outcome(seen, reward, terminated, truncated, success, terms), dict(info)

    def render(self) -> Any:
        """See `gymnasium.Env`."""
        with self.guard.render:
            return self.env.render()

    def close(self) -> None:
        """Closes the environment; a fault is said, and raises nothing."""
        self.guard.close_quietly(self.env.close)
