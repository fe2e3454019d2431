"""Views: what of an observation is shown: some entries, with the last action, the last few frames.

They know nothing of any world: each takes flat observations of n copies (n, X) and gives flat ones
back, in the dtype of the observation space, which stays a true bound. Our worlds hold views
themselves; `Viewed` puts them on any environment.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

Rows = NDArray[Any]  # (n, ·): a copy a row


class View(ABC):
    """One step from what a world tells to what is shown."""

    space: Box  # of what is shown, for one copy

    @abstractmethod
    def begin(self, observation: Rows, fresh: NDArray[np.bool_]) -> Rows:
        """Return what is shown of (n, X) when the copies at `fresh` (n,) begin an episode."""

    @abstractmethod
    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return what is shown of (n, X) after the actions (n, A)."""


class Keep(View):
    """Shows the entries at `indices`, in that order, and hides the rest."""

    def __init__(self, space: gymnasium.Space[Any], indices: Sequence[int]) -> None:
        box = _flat_box(space, "observations")
        size = box.shape[0]
        if not indices or len(set(indices)) < len(indices) or not set(indices) <= {*range(size)}:
            raise ValueError(f"Keep needs different indices from 0 to {size - 1}, not {indices}")
        self.indices = np.array(indices, dtype=np.intp)
        self.space = _box(box, box.low[self.indices], box.high[self.indices])

    def begin(self, observation: Rows, fresh: NDArray[np.bool_]) -> Rows:
        """Return (n, len(indices))."""
        return observation[:, self.indices]

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, len(indices))."""
        return observation[:, self.indices]


class PreviousAction(View):
    """Appends the action (A,) that led to an observation, as the world took it; zeros at first.

    A world clips an action to its space, and so does this view. A discrete action is refused.
    """

    def __init__(self, space: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> None:
        box, self.actions = _flat_box(space, "observations"), _flat_box(actions, "actions")
        low = np.concatenate((box.low, np.minimum(self.actions.low, 0)))
        high = np.concatenate((box.high, np.maximum(self.actions.high, 0)))
        self.space = _box(box, low, high)
        self.taken = np.zeros((1, self.actions.shape[0]), box.dtype)

    def begin(self, observation: Rows, fresh: NDArray[np.bool_]) -> Rows:
        """Return (n, X + A), the last A entries zero where it is fresh."""
        self.taken = np.where(fresh[:, None], 0, self.taken).astype(observation.dtype)
        return np.concatenate((observation, self.taken), 1)

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, X + A), the last A entries the action just taken."""
        taken = np.minimum(np.maximum(action, self.actions.low), self.actions.high)
        self.taken = taken.astype(observation.dtype)
        return np.concatenate((observation, self.taken), 1)


class Window(View):
    """Shows the last `frames` observations end to end, oldest first unless `newest_first`.

    The first observation of an episode fills the window: it is repeated `frames` times.
    """

    def __init__(
        self, space: gymnasium.Space[Any], frames: int, newest_first: bool = False
    ) -> None:
        box = _flat_box(space, "observations")
        if frames < 1:
            raise ValueError(f"Window needs at least 1 frame, not {frames}")
        self.frames, self.newest_first = frames, newest_first
        self.space = _box(box, np.tile(box.low, frames), np.tile(box.high, frames))
        self.window = np.zeros((1, *self.space.shape), box.dtype)

    def begin(self, observation: Rows, fresh: NDArray[np.bool_]) -> Rows:
        """Return (n, frames · X), the first one repeated where it is fresh."""
        self.window = np.where(fresh[:, None], np.tile(observation, self.frames), self.window)
        return self.window.copy()

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, frames · X), this step's at the end, or else at the beginning."""
        size = observation.shape[1]
        if self.newest_first:
            self.window = np.concatenate((observation, self.window[:, :-size]), 1)
        else:
            self.window = np.concatenate((self.window[:, size:], observation), 1)
        return self.window.copy()


class Views:
    """The views of one world in a row: the entries at `keep`, the last action, then a window."""

    def __init__(
        self,
        space: gymnasium.Space[Any],
        actions: gymnasium.Space[Any],
        *,
        keep: Sequence[int] | None = None,
        previous_action: bool = False,
        window: int = 1,
        newest_first: bool = False,
    ) -> None:
        self.space, self.row = space, list[View]()
        if keep is not None:
            self._add(Keep(self.space, keep))
        if previous_action:
            self._add(PreviousAction(self.space, actions))
        if window != 1:
            self._add(Window(self.space, window, newest_first))

    def _add(self, view: View) -> None:
        self.row.append(view)
        self.space = view.space

    def begin(self, observation: Rows, fresh: NDArray[np.bool_]) -> Rows:
        """See `View`."""
        for view in self.row:
            observation = view.begin(observation, fresh)
        return observation

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """See `View`."""
        for view in self.row:
            observation = view.follow(observation, action)
        return observation


class Viewed(gymnasium.Wrapper[Rows, Any, Rows, Any], RecordConstructorArgs):
    """Any environment of flat observations, seen through `Views`."""

    def __init__(self, env: gymnasium.Env[Rows, Any], **shown: Any) -> None:
        """`shown` is what `Views` takes."""
        RecordConstructorArgs.__init__(self, **shown)
        super().__init__(env)
        self._views = Views(env.observation_space, env.action_space, **shown)
        self.observation_space = self._views.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Rows, dict[str, Any]]:
        """Return what is shown of the first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._views.begin(observation[None], np.ones(1, bool))[0], info

    def step(self, action: Any) -> tuple[Rows, Any, bool, bool, dict[str, Any]]:
        """Return what is shown of the next observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        shown = self._views.follow(observation[None], np.asarray(action)[None])[0]
        return shown, reward, terminated, truncated, info


def _box(like: Box, low: Rows, high: Rows) -> Box:
    return Box(low, high, dtype=like.dtype.type)


def _flat_box(space: gymnasium.Space[Any], what: str) -> Box:
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise TypeError(f"a view needs {what} from a Box of shape (size,), not from {space}")
    return space
