"""BaseEnv: what all our environments share; each one's file holds little but its physics.

An environment is written once, for n copies: its quantities are rows of one array (V, n), and a
step is arithmetic on rows. `BaseEnv` is gymnasium's environment, of one copy; `BatchedEnv` has n.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from .disturbances import checked_times
from .observation_views import Views, alone
from .rendering import RenderedEnv

Rows = NDArray[np.float64]  # (·, n): a quantity a row, a copy a column


class BaseEnv(RenderedEnv):
    """A gymnasium environment with actions in [-1, 1], float64 physics and float32 observations.

    A subclass sets the class variables and gives `begin`, `advance`, `observe` and `draw`. Its
    quantities are `values` (V, n): first the physical state, then `extras` more that an episode
    needs. Only a `BatchedEnv` asks for more than one copy.
    """

    high: ClassVar[tuple[float, ...]]  # greatest entries of an observation
    low: ClassVar[tuple[float, ...] | None] = None  # least ones; None: -high
    action_size: ClassVar[int] = 1
    choices: ClassVar[int] = 0  # above 0: an action is one of so many, and no vector
    state_limit: ClassVar[tuple[float, ...]]  # greatest |entry| that a state may be set to
    step_time: ClassVar[float | None] = None  # of one action, s; None where time is not modelled
    extras: ClassVar[int] = 0  # quantities beside the state: what is hidden, counted or drawn

    def __init__(
        self,
        render_mode: str | None = None,
        hidden: str = "nothing",
        *,
        copies: int = 1,
        repeat: int = 1,
        **shown: Any,
    ) -> None:
        """Make an environment behind `Views`; `hidden` says in the picture what they hide.

        Each action is taken `repeat` times, or until the episode's end; the rewards are summed.
        """
        super().__init__(render_mode)
        self.hidden, self.copies, self.repeat = hidden, copies, checked_times(repeat)
        self.action_space: Space[Any] = Box(-1.0, 1.0, (self.action_size,), np.float32)
        if self.choices:
            self.action_space = Discrete(self.choices)
        self.views = Views(self.own_space(), self.action_space, **shown)
        self.observation_space = self.views.space
        self.values = np.full((len(self.state_limit) + self.extras, copies), np.nan)
        self.randoms = [np.random.default_rng() for _ in range(copies)]
        self.resting = np.zeros(copies, bool)  # whose episode has ended, and others' go on
        self.success: NDArray[np.bool_] | None = None  # (n,) of the last step, if it says so
        self._ended = True

    @property
    def dt(self) -> float | None:
        """Return the seconds from one action to the next, or None where time is not modelled."""
        return None if self.step_time is None else self.step_time * self.repeat

    @abstractmethod
    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Return the V values that an episode of one copy begins with, drawn from `random`."""

    @abstractmethod
    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Move `values` by one step of actions (A, n); return rewards (n,) and who ended (n,)."""

    @abstractmethod
    def observe(self) -> Sequence[Rows]:
        """Return the full observation of the present values, entry by entry (n,)."""

    def own_space(self) -> Box:
        """Return the space of a full observation."""
        high = np.array(self.high, np.float32)
        low = -high if self.low is None else np.array(self.low, np.float32)
        return Box(low, high, dtype=np.float32)

    def renew(self, copy: int, seed: int | None = None) -> None:
        """Begin an episode of one copy, from a seed or from where its generator is."""
        if seed is not None:
            self.randoms[copy] = seeding.np_random(seed)[0]
        self.values[:, copy] = self.begin(self.randoms[copy])

    def chances(self, concerned: NDArray[np.bool_]) -> Iterator[tuple[int, np.random.Generator]]:
        """Yield the number and the generator of each copy concerned (n,), for chance in a step.

        Copies at rest are left out: an environment alone draws nothing after its end either.
        """
        for copy in np.flatnonzero(concerned & ~self.resting):
            yield int(copy), self.randoms[copy]

    def play(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Take actions (A, n) `repeat` times; return summed rewards (n,) and who ended (n,)."""
        reward, ended = self.advance(action)
        for _ in range(self.repeat - 1):
            before, success = self.values.copy(), self.success
            more, over = self.advance(action)
            self.values = np.where(ended, before, self.values)
            if self.success is not None and success is not None:
                self.success = np.where(ended, success, self.success)
            reward, ended = reward + np.where(ended, 0.0, more), ended | over
        return reward, ended

    def seen(self) -> NDArray[Any]:
        """Return a new array with the full observations (n, X)."""
        return np.array(self.observe(), np.float32).T.copy()

    def taken(self, actions: ArrayLike) -> Rows:
        """Return actions (n, A) as `advance` wants them: (A, n), clipped to [-1, 1].

        Choices (n,) become (1, n). Raises ValueError for another shape, a NaN, or no choice.
        """
        values = np.asarray(actions, np.float64)
        if self.choices:
            return self._chosen(values)
        if values.shape != (self.copies, self.action_size):
            found = values.shape[1:] if self.copies == 1 else values.shape
            raise ValueError(f"an action has shape ({self.action_size},), not {found}")
        if np.isnan(values).any():
            raise ValueError(f"the action {actions!r} has a NaN")
        return values.clip(-1.0, 1.0).T.copy()

    def _chosen(self, choices: Rows) -> Rows:
        if choices.shape != (self.copies,) or not np.isin(choices, range(self.choices)).all():
            raise ValueError(f"an action is a whole number below {self.choices}, not {choices}")
        return choices[None]

    @property
    def state(self) -> NDArray[np.float64]:
        """The physical state, a copy; setting it starts from there, in the episode under way.

        Views see a state that was set from the next step on. Setting raises ValueError if the
        state has a wrong shape, is not finite or leaves `state_limit`.
        """
        return self.values[: len(self.state_limit), 0].copy()

    @state.setter
    def state(self, value: ArrayLike) -> None:
        state = np.asarray(value, dtype=np.float64)
        limit = np.array(self.state_limit)
        if state.shape != limit.shape or not np.isfinite(state).all():
            raise ValueError(f"a state is {limit.size} finite numbers, not {value!r}")
        if (np.abs(state) > limit).any():
            raise ValueError(f"the state {value!r} is outside of ±{self.state_limit}")
        if np.isnan(self.values).any():
            self.renew(0)  # for what an episode needs beside its state
        self.values[: limit.size, 0] = state
        self._ended = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the same seed always begins the same one. There are no options."""
        super().reset(seed=seed)
        self.randoms = [self.np_random]
        self.renew(0)
        self._ended = False
        self._show()
        return alone(self.views.begin(self.seen(), np.ones(1, bool), self.randoms)), {}

    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move by one step of time; an action (A,) is clipped to [-1, 1].

        Raises ValueError for an action of another shape or with a NaN, and ResetNeeded before
        the first reset or after the episode's end.
        """
        if self._ended:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        taken = self.taken(np.asarray(action)[None])
        reward, ended = self.play(taken)
        self._ended = bool(ended[0])
        self._show()
        info = {} if self.success is None else {"success": bool(self.success[0])}
        shown = alone(self.views.follow(self.seen(), taken.T))
        return shown, float(reward[0]), self._ended, False, info
