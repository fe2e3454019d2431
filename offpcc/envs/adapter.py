"""EnvAdapter: any gymnasium environment as offpcc plays it.

Observations become a mapping {key: array} of float32 (uint8 for pixels), actions lie in [-1, 1],
and the agent's own past joins the observation where the recipe asks for it. All that comes from
the environment passes a `Guard` and is compared with the declared spaces.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, cast

import gymnasium
import numpy as np

from offpcc.data import ACTION_MASK, Observation
from offpcc.envs.action_mask import MaskReader
from offpcc.envs.actions import Choices, actions_of
from offpcc.envs.fault_guard import Call, Guard
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.spaces import key_of, leaves
from offpcc.envs.step_outcome import RESET, Outcome, either, parts_of, step_of, success_of, terms_of


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
