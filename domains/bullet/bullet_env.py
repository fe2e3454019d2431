"""BulletEnv: what environments in PyBullet share.

PyBullet simulates one copy at a time; the number of environments in a process is not limited by it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from ..rendering import Frame, RenderedEnv
from .scene import Camera, Scene

if TYPE_CHECKING:
    from ..canvas import Canvas

Observation = NDArray[Any]  # (X,) float32


class BulletEnv(RenderedEnv):
    """A gymnasium environment in a scene of its own, with actions in [-1, 1].

    A subclass sets the class variables and gives `begin`, `advance` and `observe`.
    """

    high: ClassVar[tuple[float, ...]]  # greatest |entries| of an observation
    action_size: ClassVar[int]
    frame = Frame((640, 400), scale=1.0)
    camera: ClassVar[Camera]

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = Box(-1.0, 1.0, (self.action_size,), np.float32)
        self._limit = np.array(self.high, np.float32)
        self.observation_space = Box(-self._limit, self._limit, dtype=np.float32)
        self.scene = Scene(drawn=render_mode is not None, window=render_mode == "human")
        if render_mode == "human":
            self.scene.look(self.camera)
        self._ended = True

    @abstractmethod
    def begin(self, random: Generator) -> None:
        """Clear the scene and build that of an episode, all of its chance drawn from `random`."""

    @abstractmethod
    def advance(self, action: Sequence[float]) -> tuple[float, bool, bool]:
        """Act (A,) in [-1, 1]; return the reward, whether the episode ends, and in success."""

    @abstractmethod
    def observe(self) -> Sequence[float]:
        """Return the full observation (X,)."""

    def notes(self) -> dict[str, Any]:
        """Return what `info` says beside success."""
        return {}

    def captions(self) -> Sequence[str]:
        """Return what is written above the picture: what is seen, then what was done."""
        return ()

    def taken(self, action: ArrayLike) -> Sequence[float]:
        """Return an action as `advance` wants it, clipped to [-1, 1].

        Raises ValueError for another shape or a NaN.
        """
        values = np.asarray(action, np.float64)
        if values.shape != (self.action_size,) or np.isnan(values).any():
            raise ValueError(f"an action is {self.action_size} numbers, no NaN, not {action!r}")
        clipped: list[float] = values.clip(-1.0, 1.0).tolist()
        return clipped

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the same seed always begins the same one. There are no options."""
        super().reset(seed=seed)
        self.begin(self.np_random)
        self._ended = False
        return self._seen(), self.notes()

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act once; an action beyond [-1, 1] is clipped.

        Raises ValueError for an action of another shape or with a NaN, and ResetNeeded before
        the first reset or after the episode's end.
        """
        if self._ended:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        reward, self._ended, success = self.advance(self.taken(action))
        return self._seen(), reward, self._ended, False, {"success": success, **self.notes()}

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture (H, W, 3) in mode rgb_array; in mode human, PyBullet shows it."""
        return None if self.render_mode == "human" else super().render()

    def draw(self, canvas: Canvas) -> None:
        """Draw what the camera sees, and the captions."""
        canvas.image(self.scene.photo(self.frame.size, self.camera))
        for row, line in enumerate(self.captions()):
            canvas.text(line, row, "action" if row else "ink")

    def close(self) -> None:
        """Give the scene back; closing twice does no harm."""
        super().close()
        self._ended = True
        self.scene.close()

    def _seen(self) -> Observation:
        return np.array(self.observe(), np.float32).clip(-self._limit, self._limit)
