"""World: what all our worlds share, so that each one's file holds little but its physics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from domains.canvas import Canvas

RENDER_MODES = ("human", "rgb_array")


def drawn_at(fps: int) -> dict[str, Any]:
    """Return gymnasium's metadata of a world that is drawn at `fps` frames a second."""
    return {"render_modes": list(RENDER_MODES), "render_fps": fps}


class Frame(NamedTuple):
    """The piece of a world that is drawn."""

    size: tuple[int, int]  # width and height, pixels; multiples of 16, as video wants them
    scale: float  # pixels a metre
    centre: tuple[float, float] = (0.0, 0.0)  # the point in the middle, m


class World(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]], ABC):
    """A gymnasium world with actions in [-1, 1], float64 physics and float32 observations.

    A subclass sets the three class variables and gives `begin`, `advance`, `observe` and `draw`.
    """

    action_size: ClassVar[int]
    state_limit: ClassVar[tuple[float, ...]]  # greatest |entry| that a state may be set to
    frame: ClassVar[Frame]

    def __init__(self, render_mode: str | None = None, hidden: str = "nothing") -> None:
        """Make a world that is drawn with `hidden` as its caption: what the view on it hides."""
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode is one of {RENDER_MODES} or None, not {render_mode!r}")
        self.render_mode = render_mode
        self.hidden = hidden
        self.action_space = Box(-1.0, 1.0, (self.action_size,), np.float32)
        self._state: tuple[float, ...] = (0.0,) * len(self.state_limit)
        self._ended = True
        self._canvas: Canvas | None = None

    @abstractmethod
    def begin(self) -> tuple[float, ...]:
        """Return the state that an episode begins in, drawn from `self.np_random`."""

    @abstractmethod
    def advance(self, action: list[float]) -> tuple[float, bool]:
        """Move `self._state` by one step; return the reward and whether the episode ended."""

    @abstractmethod
    def observe(self) -> NDArray[np.float32]:
        """Return a new array with the full observation (X,) of the current state."""

    @abstractmethod
    def draw(self, canvas: Canvas) -> None:
        """Draw the current state on a clean canvas."""

    @property
    def state(self) -> NDArray[np.float64]:
        """The physical state, a copy; setting it starts from there, in the same episode.

        Views see a state that was set from the next step on. Setting raises ValueError if the
        state has a wrong shape, is not finite or leaves `state_limit`.
        """
        return np.array(self._state, dtype=np.float64)

    @state.setter
    def state(self, value: ArrayLike) -> None:
        state = np.asarray(value, dtype=np.float64)
        limit = np.array(self.state_limit)
        if state.shape != limit.shape or not np.isfinite(state).all():
            raise ValueError(f"a state is {limit.size} finite numbers, not {value!r}")
        if (np.abs(state) > limit).any():
            raise ValueError(f"the state {value!r} is outside of ±{self.state_limit}")
        self._state = tuple(state.tolist())
        self._ended = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; the same seed always begins the same one. There are no options."""
        super().reset(seed=seed)
        self._state = self.begin()
        self._ended = False
        self._show()
        return self.observe(), {}

    def step(
        self, action: ArrayLike
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move by one step of time; an action (A,) is clipped to [-1, 1].

        Raises ValueError for an action of another shape or with a NaN, and ResetNeeded before
        the first reset or after the episode's end.
        """
        if self._ended:
            raise ResetNeeded("no episode is under way; call reset() before step()")
        reward, self._ended = self.advance(self._clip(action))
        self._show()
        return self.observe(), reward, self._ended, False, {}

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture (H, W, 3) in mode rgb_array; in mode human, show it in a window."""
        if self.render_mode is None:
            raise ValueError(f"to render, make the world with render_mode set to {RENDER_MODES}")
        if self._canvas is None:
            from domains.canvas import Canvas  # pygame is loaded only where something is drawn

            self._canvas = Canvas(*self.frame)
        self._canvas.clear()
        self.draw(self._canvas)
        self._canvas.text(f"hidden: {self.hidden}", row=-1, colour="hidden")
        if self.render_mode == "rgb_array":
            return self._canvas.rgb()
        self._canvas.show(self.metadata["render_fps"], title=type(self).__name__)
        return None

    def close(self) -> None:
        """Close the window, if there is one; closing twice does no harm."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def _clip(self, action: ArrayLike) -> list[float]:
        values = np.asarray(action, dtype=np.float64)
        if values.shape != (self.action_size,):
            raise ValueError(f"an action has shape ({self.action_size},), not {values.shape}")
        clipped = [min(max(value, -1.0), 1.0) for value in values.tolist()]
        if math.isnan(sum(clipped)):
            raise ValueError(f"the action {action!r} has a NaN")
        return clipped

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()
