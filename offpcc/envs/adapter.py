"""EnvAdapter: any gymnasium environment as offpcc plays it.

Observations become a mapping {key: array} of float32 (uint8 for pixels), actions lie in [-1, 1],
and the agent's own past joins the observation where the recipe asks for it. All that comes from
the environment passes a `Guard` and is compared with the declared spaces.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

from offpcc.config.catalog import bare, check_id
from offpcc.config.ranges import NonNegativeFloat, PositiveInt, checked
from offpcc.config.user_modules import import_attribute
from offpcc.data import ACTION_MASK, AgentSpec, Field, Observation
from offpcc.envs.action_mask import MaskReader
from offpcc.envs.actions import Choices, actions_of, one_hot
from offpcc.envs.fault_guard import Call, Guard
from offpcc.envs.spaces import Path, key_of, leaves, nested, part_of, readers_of
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
    action_mask_key: str | None = "action_mask",
    max_episode_steps: PositiveInt | None = None,
    success: Literal["last", "any"] = "last",
    timeout: NonNegativeFloat | None = 60.0,
    render_mode: str | None = None,
    copy: int = 0,
) -> "EnvAdapter":
    """The environment behind a gymnasium id; `module:Id-v0` imports the module first.

    `module:Name` also takes an environment's class, or a function that makes one, by its name.

    env_kwargs: what its constructor is given. wrappers: `module:Wrapper`, the innermost first.
    action_mask_key: where it says which choices are legal: a key of the observation, else of the
    info; for `action_mask` also, between them, its method `action_masks()`. None: all are.
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
        action_mask_key=action_mask_key,
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
    action_mask_key: the part of the observation that is its action mask, if there is one.
    mask_beside: what errors call an action mask that comes beside it; None: none does.
    Raises ValueError for spaces that cannot be served.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        previous_action: bool = False,
        previous_reward: bool = False,
        action_mask_key: str | None = ACTION_MASK,
        mask_beside: str | None = None,
    ) -> None:
        self.spaces = observation_space, action_space
        self._actions = actions_of(action_space)
        size = self._actions.size
        parts = dict(leaves(observation_space))
        self._mask: MaskReader | None = None
        self._mask_path: Path | None = None  # of a mask that is a part of the observation
        if isinstance(self._actions, Choices):
            found = [path for path in parts if key_of(path) == action_mask_key]
            self._mask_path = found[0] if found else None
            if self._mask_path is not None:
                self._mask = MaskReader(
                    self._actions, key_of(self._mask_path), parts.pop(self._mask_path)
                )
            elif mask_beside:
                self._mask = MaskReader(self._actions, mask_beside)
        self._readers = readers_of(parts)
        self._past: dict[str, int] = {}  # sizes of the agent's own past, by key
        if previous_action:
            self._past["previous_action"] = size
        if previous_reward:
            self._past["previous_reward"] = 1
        keys = {reader.key: reader.field for reader in self._readers.values()}
        if twice := self._past.keys() & keys.keys():
            raise ValueError(f"the observation has {sorted(twice)} already; do not ask for it")
        if self._mask is not None and ACTION_MASK in keys:
            raise ValueError(
                f"the observation's key {ACTION_MASK!r} is not the action mask, "
                f"{self._mask.name} is; rename the key"
            )
        mask = {} if self._mask is None else {ACTION_MASK: self._mask.field}
        past = {key: Field((size,)) for key, size in self._past.items()}
        self.spec = AgentSpec(keys | mask | past, size, self._actions.choices)

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """Actions (…, A) as the environment takes them, never beyond its bounds."""
        return self._actions.raw(actions)

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """The environment's actions (…) as agents hold them (…, A); the way back from `raw`."""
        return self._actions.agents(raw)

    @property
    def needs_mask(self) -> bool:
        """Whether an action mask comes beside the observation."""
        return self._mask is not None and self._mask_path is None

    def uniform(self, random: np.random.Generator, seen: Observation) -> np.ndarray:
        """A uniform action (A,) in [-1, 1], or the one-hot of legal choices, at an observation."""
        action = random.uniform(-1, 1, self.spec.action)
        return one_hot(action, self.spec.choices, seen[ACTION_MASK]) if self._mask else action

    def first(
        self,
        observation: Any,
        rows: tuple[int, ...] = (),
        *,
        mask: Any = None,
        over: Any = False,
    ) -> Observation:
        """What the agent sees of an episode's first raw observation, or of a batch of `rows`.

        mask: the action mask beside it. over (*rows): where an episode has truly ended. Raises
        SpaceError for an observation that is not of its space, and for a mask that cannot be.
        """
        past = {k: np.zeros((*rows, size), np.float32) for k, size in self._past.items()}
        return self._read(observation, rows, mask, over) | past

    def after(
        self,
        observation: Any,
        action: np.ndarray,
        reward: Any,
        rows: tuple[int, ...] = (),
        *,
        mask: Any = None,
        over: Any = False,
    ) -> Observation:
        """What the agent sees of the raw observation after an action (*rows, A) that it took.

        reward: (*rows). The others, and what is raised, are those of `first`.
        """
        seen = self._read(observation, rows, mask, over)
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
        if self._mask is not None and self._mask_path is not None:
            masks = np.stack([each[ACTION_MASK] for each in seen])
            own[self._mask_path] = self._mask.original(masks)
        return nested(own, self.spaces[0])

    def _read(self, observation: Any, rows: tuple[int, ...], mask: Any, over: Any) -> Observation:
        """The mapping of one raw observation, or of a batch, and its action mask."""
        seen = {
            reader.key: reader.read(part_of(observation, path), rows)
            for path, reader in self._readers.items()
        }
        if self._mask is not None:
            if self._mask_path is not None:
                mask = part_of(observation, self._mask_path)
            seen[ACTION_MASK] = self._mask.read(mask, rows, over)
        return seen


class EnvAdapter(gymnasium.Wrapper):
    """A mapping of observations out, actions (A,) in, through a `SpaceAdapter`.

    guard: what calls go through; left out: one of its own. limit: the steps after which the
    environment cuts an episode, None if it does not. env_kwargs: what its constructor was given;
    None: it is wrapped besides. `settings` are the space adapter's.
    action_mask_key: see `make_env`; whether the info has it is seen in a reset of its own. After a
    true end a mask may be missing, or allow nothing.

    Raises ValueError for spaces that cannot be served, and an action mask that cannot be, or is
    not there. Whatever the environment raises, and what it gives that it did not declare, is an
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
        action_mask_key: str | None = ACTION_MASK,
        **settings: bool,
    ) -> None:
        super().__init__(env)
        self.env_kwargs = env_kwargs
        self.guard, self.limit = guard or Guard(), limit
        self._mask_key, self._mask_method = action_mask_key, self._find_mask_method(action_mask_key)
        both = env.observation_space, env.action_space
        given: dict[str, Any] = {"action_mask_key": action_mask_key, **settings}
        self.space_adapter = SpaceAdapter(*both, **given)
        if beside := self._find_mask_beside():
            given["mask_beside"] = beside
            self.space_adapter = SpaceAdapter(*both, **given)
        self.settings: dict[str, Any] = {"limit": limit, "success": success, **given}
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
        mask = self._mask_of(info, self.guard.reset)
        return self.guard.read(partial(self.space_adapter.first, mask=mask), observation), info

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
        # After a true end nothing is chosen, and an environment need not know what would be legal.
        mask = None if terminated else self._mask_of(info, self.guard.step)
        after = partial(self.space_adapter.after, mask=mask, over=terminated)
        seen = read(after, observation, action, reward)
        success, terms = read(success_of, info), read(terms_of, info)
        if self._any:
            success = self._success = either(self._success, success)
        return Outcome(seen, reward, terminated, truncated, success, terms), dict(info)

    def _find_mask_method(self, key: str | None) -> Callable[[], Any] | None:
        """What gives the action mask as sb3-contrib's environments do, if there is that."""
        if key != ACTION_MASK or not self.env.has_wrapper_attr("action_masks"):
            return None
        return cast(Callable[[], Any], self.env.get_wrapper_attr("action_masks"))

    def _find_mask_beside(self) -> str:
        """What errors call the action mask that comes beside the observation; empty: none does.

        A reset shows whether the info has one. Raises ValueError for one that does not fit the
        actions, and for a key that is set, but is nowhere.
        """
        spec, key = self.space_adapter.spec, self._mask_key
        if key is None or spec.is_masked:
            return ""
        if not spec.choices:
            if key == ACTION_MASK:
                return ""
            raise ValueError(f"action_mask_key is {key!r}, and the actions are no choices")
        if self._mask_method:
            return "action_masks()"
        with self.guard.reset:
            given = self.env.reset(seed=0)
        _, info = self.guard.read(parts_of, "reset", given, RESET)
        if key in info:
            name = f"info[{key!r}]"
            MaskReader(cast(Choices, actions_of(self.env.action_space)), name).check(info[key])
            return name
        if key == ACTION_MASK:
            return ""
        keys = [key_of(path) for path, _ in leaves(self.env.observation_space)]
        raise ValueError(
            f"action_mask_key is {key!r}; the observation has {keys}, the info {list(info)}"
        )

    def _mask_of(self, info: Mapping[str, Any], call: Call) -> Any:
        """The action mask beside an observation; None where there is none."""
        if not self.space_adapter.needs_mask:
            return None
        if self._mask_method is None:
            return info.get(str(self._mask_key))
        with call:
            return self._mask_method()

    def render(self) -> Any:
        """See `gymnasium.Env`."""
        with self.guard.render:
            return self.env.render()

    def close(self) -> None:
        """Closes the environment; a fault is said, and raises nothing."""
        self.guard.close_quietly(self.env.close)
