"""Views: what of an observation is shown: some entries, with the last action, the last few frames.

They know nothing of any environment: each takes flat observations of n copies (n, X) and gives flat
ones back, in the dtype of the observation space, which stays a true bound; a window takes pictures.
Our environments hold views themselves; `ViewWrapper` puts them on any environment.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.utils import RecordConstructorArgs
from gymnasium.utils.seeding import np_random

from .disturbances import Dropout, Noise
from .observation_view import (
    Flags,
    ObservationView,
    Randoms,
    Rows,
    box_like,
    entries,
    flat_box,
    with_zero_at,
)


class Keep(ObservationView):
    """Shows the entries at `indices`, in that order, and hides the rest."""

    def __init__(self, space: gymnasium.Space[Any], indices: Sequence[int]) -> None:
        box = flat_box(space, "observations")
        self.indices = entries(box, indices, "Keep")
        self.space = box_like(box, box.low[self.indices], box.high[self.indices])

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, len(indices))."""
        return observation[:, self.indices]

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, len(indices))."""
        return observation[:, self.indices]


class Zero(ObservationView):
    """Puts zeros in place of the entries at `indices`; the width stays."""

    def __init__(self, space: gymnasium.Space[Any], indices: Sequence[int]) -> None:
        box = flat_box(space, "observations")
        self.indices = entries(box, indices, type(self).__name__)
        self.space = with_zero_at(box, self.indices)

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, X)."""
        return self._zeroed(observation)

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, X)."""
        return self._zeroed(observation)

    def _zeroed(self, observation: Rows) -> Rows:
        shown = observation.copy()
        shown[:, self.indices] = 0
        return shown


class FirstLook(Zero):
    """Shows the entries at `indices` in an episode's first observation, and zeros afterwards."""

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, X), all of it where it is fresh."""
        return np.where(fresh[:, None], observation, self._zeroed(observation))


class PreviousAction(ObservationView):
    """Appends the action (A,) that led to an observation, clipped to its space; zeros at first.

    Environments clip an action to its space, and so does this view. A discrete action is refused.
    """

    def __init__(self, space: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> None:
        box, self.actions = flat_box(space, "observations"), flat_box(actions, "actions")
        low = np.concatenate((box.low, np.minimum(self.actions.low, 0)))
        high = np.concatenate((box.high, np.maximum(self.actions.high, 0)))
        self.space = box_like(box, low, high)
        self.taken = np.zeros((1, self.actions.shape[0]), box.dtype)

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, X + A), the last A entries zero where it is fresh."""
        self.taken = np.where(fresh[:, None], 0, self.taken).astype(observation.dtype)
        return np.concatenate((observation, self.taken), 1)

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, X + A), the last A entries the action just taken."""
        taken = np.minimum(np.maximum(action, self.actions.low), self.actions.high)
        self.taken = taken.astype(observation.dtype)
        return np.concatenate((observation, self.taken), 1)


class Window(ObservationView):
    """Shows the last `frames` observations end to end, oldest first unless `newest_first`.

    The first observation of an episode fills the window: it is repeated `frames` times. Pictures
    (C, H, W), too, are put end to end: (frames · C, H, W).
    """

    def __init__(
        self, space: gymnasium.Space[Any], frames: int, newest_first: bool = False
    ) -> None:
        if not isinstance(space, Box) or not space.shape:
            raise TypeError(f"a view needs observations from a Box with an axis, not from {space}")
        if frames < 1:
            raise ValueError(f"Window needs at least 1 frame, not {frames}")
        self.frames, self.newest_first = frames, newest_first
        low, high = (np.concatenate([bound] * frames) for bound in (space.low, space.high))
        self.space = box_like(space, low, high)
        self.window = np.zeros((1, *self.space.shape), space.dtype)

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, frames · X, …), the first one repeated where it is fresh."""
        filled = np.concatenate([observation] * self.frames, 1)
        where = fresh.reshape(-1, *[1] * (filled.ndim - 1))
        self.window = np.where(where, filled, self.window)
        return self.window.copy()

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, frames · X, …), this step's at the end, or else at the beginning."""
        size = observation.shape[1]
        if self.newest_first:
            self.window = np.concatenate((observation, self.window[:, :-size]), 1)
        else:
            self.window = np.concatenate((self.window[:, size:], observation), 1)
        return self.window.copy()


class Delay(Window):
    """Shows the observation of `steps` steps ago, or the first one as long as there is none."""

    def __init__(self, space: gymnasium.Space[Any], steps: int) -> None:
        if steps < 1:
            raise ValueError(f"Delay needs at least 1 step, not {steps}")
        super().__init__(space, steps + 1)
        self.space = flat_box(space, "observations")

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, X), the present one where it is fresh."""
        return super().begin(observation, fresh, randoms)[:, : observation.shape[1]]

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, X), an earlier one."""
        return super().follow(observation, action)[:, : observation.shape[1]]


Shown = Rows | dict[str, Rows]


class Views:
    """The views of one environment in a row; `zero`, `first_look` and `keep` count its own entries.

    Zeros, a first look and the entries to keep come first, then noise, dropout and delay of these,
    then the last action, then a window. With `privileged`, the observation is a mapping
    of that, as `observation`, and of the environment's own, as `privileged`: for critics.
    """

    space: gymnasium.Space[Any]

    def __init__(
        self,
        space: gymnasium.Space[Any],
        actions: gymnasium.Space[Any],
        *,
        zero: Sequence[int] = (),
        first_look: Sequence[int] = (),
        keep: Sequence[int] | None = None,
        noise: float = 0.0,
        dropout: float = 0.0,
        delay: int = 0,
        previous_action: bool = False,
        window: int = 1,
        newest_first: bool = False,
        privileged: bool = False,
    ) -> None:
        self.space, self.row, self.privileged = space, list[ObservationView](), privileged
        if zero:
            self._add(Zero(self.space, zero))
        if first_look:
            self._add(FirstLook(self.space, first_look))
        if keep is not None:
            self._add(Keep(self.space, keep))
        if noise:
            self._add(Noise(self.space, noise))
        if dropout:
            self._add(Dropout(self.space, dropout))
        if delay:
            self._add(Delay(self.space, delay))
        if previous_action:
            self._add(PreviousAction(self.space, actions))
        if window != 1:
            self._add(Window(self.space, window, newest_first))
        if privileged:
            self.space = Dict(
                {"observation": self.space, "privileged": flat_box(space, "the privileged key")}
            )

    def _add(self, view: ObservationView) -> None:
        self.row.append(view)
        self.space = view.space

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Shown:
        """See `ObservationView`."""
        shown = observation
        for view in self.row:
            shown = view.begin(shown, fresh, randoms)
        return {"observation": shown, "privileged": observation} if self.privileged else shown

    def follow(self, observation: Rows, action: Rows) -> Shown:
        """See `ObservationView`."""
        shown = observation
        for view in self.row:
            shown = view.follow(shown, action)
        return {"observation": shown, "privileged": observation} if self.privileged else shown


def alone(shown: Shown) -> Any:
    """Return what is shown to the one copy that there is."""
    return {key: part[0] for key, part in shown.items()} if isinstance(shown, dict) else shown[0]


class ViewWrapper(gymnasium.Wrapper[Any, Any, Rows, Any], RecordConstructorArgs):
    """Any environment of flat observations, or of pictures in a window, seen through `Views`."""

    def __init__(
        self, env: gymnasium.Env[Rows, Any], hidden: str = "nothing", **shown: Any
    ) -> None:
        """`shown` is what `Views` takes, `hidden` what they hide in words."""
        RecordConstructorArgs.__init__(self, hidden=hidden, **shown)
        super().__init__(env)
        self.hidden = hidden
        self._views = Views(env.observation_space, env.action_space, **shown)
        self.observation_space = self._views.space
        self._random = np_random()[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return what is shown of the first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._random = np_random(seed)[0]
        shown = self._views.begin(observation[None], np.ones(1, bool), [self._random])
        return alone(shown), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Return what is shown of the next observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        shown = self._views.follow(observation[None], np.asarray(action)[None])
        return alone(shown), reward, terminated, truncated, info
