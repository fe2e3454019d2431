"""Views: wrappers that keep some entries of an observation, add the last action, or stack frames.

They know nothing of any world: each takes flat (X,) observations and gives flat ones back, in the
dtype of the observation space, which stays a true bound.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

Vector = NDArray[Any]
Stepped = tuple[Vector, Any, bool, bool, dict[str, Any]]
Started = tuple[Vector, dict[str, Any]]


class Keep(gymnasium.ObservationWrapper[Vector, Any, Vector], RecordConstructorArgs):
    """Shows the entries of the observation at `indices`, in that order, and hides the rest."""

    def __init__(self, env: gymnasium.Env[Vector, Any], indices: Sequence[int]) -> None:
        RecordConstructorArgs.__init__(self, indices=indices)
        super().__init__(env)
        space = _flat_box(env.observation_space, "observations")
        size = space.shape[0]
        if not indices or len(set(indices)) < len(indices) or not set(indices) <= {*range(size)}:
            raise ValueError(f"Keep needs different indices from 0 to {size - 1}, not {indices}")
        self._indices = np.array(indices, dtype=np.intp)
        low, high = space.low[self._indices], space.high[self._indices]
        self.observation_space = Box(low, high, dtype=space.dtype.type)

    def observation(self, observation: Vector) -> Vector:
        """Return the kept entries (len(indices),) of an observation (X,)."""
        return observation[self._indices]


class PreviousAction(gymnasium.Wrapper[Vector, Any, Vector, Any], RecordConstructorArgs):
    """Appends the action (A,) that led to an observation, as the world took it; zeros at reset.

    A world clips an action to its space, and so does this view. A discrete action is refused.
    """

    def __init__(self, env: gymnasium.Env[Vector, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        space = _flat_box(env.observation_space, "observations")
        action = _flat_box(env.action_space, "actions")
        self._low, self._high = action.low, action.high
        self._none = np.zeros(action.shape, dtype=space.dtype)
        low = np.concatenate((space.low, np.minimum(action.low, 0)))
        high = np.concatenate((space.high, np.maximum(action.high, 0)))
        self.observation_space = Box(low, high, dtype=space.dtype.type)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Started:
        """Return the first observation (X + A,), its last A entries zero."""
        observation, info = self.env.reset(seed=seed, options=options)
        return np.concatenate((observation, self._none)), info

    def step(self, action: Any) -> Stepped:
        """Return the next observation (X + A,), its last A entries the action just taken."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        taken = np.minimum(np.maximum(action, self._low), self._high).astype(observation.dtype)
        return np.concatenate((observation, taken)), reward, terminated, truncated, info


class Window(gymnasium.Wrapper[Vector, Any, Vector, Any], RecordConstructorArgs):
    """Shows the last `frames` observations (X,) end to end, oldest first, newest last.

    At reset the first observation fills the window: it is repeated `frames` times.
    """

    def __init__(self, env: gymnasium.Env[Vector, Any], frames: int) -> None:
        RecordConstructorArgs.__init__(self, frames=frames)
        super().__init__(env)
        if frames < 1:
            raise ValueError(f"Window needs at least 1 frame, not {frames}")
        space = _flat_box(env.observation_space, "observations")
        self._frames = frames
        self._size = space.shape[0]
        self._window = np.zeros(frames * self._size, dtype=space.dtype)
        low, high = np.tile(space.low, frames), np.tile(space.high, frames)
        self.observation_space = Box(low, high, dtype=space.dtype.type)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Started:
        """Return the first observation, repeated: (frames · X,)."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._window = np.tile(observation, self._frames)
        return self._window.copy(), info

    def step(self, action: Any) -> Stepped:
        """Return the last observations (frames · X,), this step's at the end."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._window = np.concatenate((self._window[self._size :], observation))
        return self._window.copy(), reward, terminated, truncated, info


def _flat_box(space: gymnasium.Space[Any], what: str) -> Box:
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise TypeError(f"a view needs {what} from a Box of shape (size,), not from {space}")
    return space
