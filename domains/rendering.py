"""Rendering: what environments share that are drawn on a canvas, as an array or in a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .canvas import Canvas, Colour

RENDER_MODES = ("human", "rgb_array")


def drawn_at(fps: int) -> dict[str, Any]:
    """Return gymnasium's metadata of an environment that is drawn at `fps` frames a second."""
    return {"render_modes": list(RENDER_MODES), "render_fps": fps}


class Frame(NamedTuple):
    """The piece of an environment that is drawn."""

    size: tuple[int, int]  # width and height, pixels; multiples of 16, as video wants them
    scale: float  # pixels a metre
    centre: tuple[float, float] = (0.0, 0.0)  # the point in the middle, m


class RenderedEnv(gymnasium.Env[Any, Any], ABC):
    """A gymnasium environment that `draw`s itself; the picture says what is hidden."""

    frame: ClassVar[Frame]
    hidden: str = "nothing"  # by the view
    hidden_in: ClassVar[Colour] = "hidden"

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode is one of {RENDER_MODES} or None, not {render_mode!r}")
        self.render_mode = render_mode
        self._canvas: Canvas | None = None

    @abstractmethod
    def draw(self, canvas: Canvas) -> None:
        """Draw the environment, its first copy if there are several, on a clean canvas."""

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture (H, W, 3) in mode rgb_array; in mode human, show it in a window."""
        if self.render_mode is None:
            raise ValueError(f"to render, make it with render_mode set to {RENDER_MODES}")
        if self._canvas is None:
            from .canvas import Canvas  # pygame is loaded only where something is drawn

            self._canvas = Canvas(*self.frame)
        self._canvas.clear()
        self.draw(self._canvas)
        self._canvas.text(f"hidden: {self.hidden}", row=-1, colour=self.hidden_in)
        if self.render_mode == "rgb_array":
            return self._canvas.rgb()
        self._canvas.show(self.metadata["render_fps"], title=type(self).__name__)
        return None

    def close(self) -> None:
        """Close the window, if there is one; closing twice does no harm."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()
