"""Tasks of the DeepMind Control Suite (Tassa et al., 2018, 1801.00690), as vectors or as pixels.

They come from the package dm_control itself, which is an extra: pip install 'offpcc[dmc]'.
"""

import os
import sys
from ctypes.util import find_library
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from domains.world import RENDER_MODES, drawn_at

if sys.platform == "linux" and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}):
    # Left to itself, dm_control wants a window even where there is no display.
    found = [
        way for way, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if find_library(library)
    ]
    os.environ.setdefault("MUJOCO_GL", [*found, "disable"][0])

try:
    from dm_control import suite
except ImportError as error:
    raise DependencyNotInstalled(
        f"it needs dm_control; pip install 'offpcc[dmc]' ({error})"
    ) from error

Observation = NDArray[Any]

PICTURE = (480, 480)  # of a rendering, pixels
PIXELS = 84  # width and height of an observation of pixels
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
ANGLES = ("orientation", "orientations")  # keys of cosines and sines
FARTHEST = 10.0  # where other positions are cut, m; a cart's rail ends at 1.8
FASTEST = 1000.0  # where velocities are cut, m/s and rad/s


class ControlSuite(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One task; an action is held for `skip` steps of control, and their rewards are summed.

    The observation is what the task tells, key after key: positions, then velocities. It never
    ends of itself. Raises DependencyNotInstalled without dm_control.
    """

    hidden = "nothing"  # by the view, for the picture

    def __init__(self, domain: str, task: str, skip: int, render_mode: str | None = None) -> None:
        """Load a task of a domain, both as the suite calls them."""
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode is one of {RENDER_MODES} or None, not {render_mode!r}")
        self.render_mode, self.skip = render_mode, skip
        endless = {"time_limit": float("inf"), "random": 0}
        self._suite = suite.load(domain, task, task_kwargs=endless)
        self.metadata = drawn_at(round(1 / (self._suite.control_timestep() * skip)))
        actions = self._suite.action_spec()
        self.action_space = Box(-1.0, 1.0, actions.shape, np.float32)
        told = self._suite.observation_spec().items()
        high = np.concatenate([_limits(*part) for part in told]).astype(np.float32)
        self.observation_space: Box = Box(-high, high, dtype=np.float32)
        self._canvas: Any = None

    @property
    def state(self) -> NDArray[np.float64]:
        """MuJoCo's positions and velocities, a copy; setting it goes on from there."""
        return np.array(self._suite.physics.get_state(), np.float64)

    @state.setter
    def state(self, value: ArrayLike) -> None:
        with self._suite.physics.reset_context():
            self._suite.physics.set_state(np.asarray(value, np.float64))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, all of its chance from the seed. There are no options."""
        super().reset(seed=seed)
        self._suite.task.random.seed(self.np_random.integers(2**32))
        told = self._suite.reset().observation
        self._show()
        return self.observe(told), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold an action (A,), clipped to [-1, 1], for `skip` steps of control."""
        held, reward = np.clip(np.asarray(action, np.float64), -1.0, 1.0), 0.0
        for _ in range(self.skip):
            outcome = self._suite.step(held)
            reward += float(outcome.reward)
        self._show()
        return self.observe(outcome.observation), reward, False, False, {}

    def observe(self, told: dict[str, ArrayLike]) -> Observation:
        """Return what is seen when the task tells this."""
        values = np.concatenate([np.ravel(value) for value in told.values()])
        box = self.observation_space
        return values.astype(np.float32).clip(box.low, box.high)

    def photo(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) by the task's first camera; it needs OpenGL."""
        photo: NDArray[np.uint8] = self._suite.physics.render(height, width, camera_id=0)
        return photo

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture (H, W, 3) in mode rgb_array; in mode human, show it in a window."""
        if self.render_mode is None:
            raise ValueError(f"to render, make the world with render_mode set to {RENDER_MODES}")
        if self._canvas is None:
            from domains.canvas import Canvas  # pygame is loaded only where something is drawn

            self._canvas = Canvas(PICTURE, scale=1.0)
        self._canvas.image(self.photo(*PICTURE))
        self._canvas.text(f"hidden: {self.hidden}", row=-1, colour="paper")
        if self.render_mode == "rgb_array":
            return self._canvas.rgb()
        self._canvas.show(self.metadata["render_fps"], title=type(self).__name__)
        return None

    def close(self) -> None:
        """Close the window, if there is one, and what draws; closing twice does no harm."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None
        self._suite.physics.free()

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()


class Pixels(ControlSuite):
    """The same, seen as grey pixels (1, 84, 84), bytes.

    Raises DependencyNotInstalled where there is no OpenGL to draw with.
    """

    def __init__(self, domain: str, task: str, skip: int, render_mode: str | None = None) -> None:
        super().__init__(domain, task, skip, render_mode)
        self.observation_space = Box(0, 255, (1, PIXELS, PIXELS), np.uint8)
        try:
            self.photo(PIXELS, PIXELS)
        except Exception as error:  # each way of drawing has its own
            raise DependencyNotInstalled(
                f"pixels are drawn with OpenGL; try MUJOCO_GL=egl or osmesa ({error})"
            ) from error

    def observe(self, told: dict[str, ArrayLike]) -> Observation:
        """Return the present picture (1, 84, 84)."""
        grey = np.rint(self.photo(PIXELS, PIXELS) @ GREY)
        return grey.astype(np.uint8)[None]


def _limits(key: str, spec: Any) -> NDArray[np.float64]:
    """Return the greatest |entry| of what a task tells under a key."""
    size = int(np.prod(spec.shape))
    if key in ANGLES:
        return np.ones(size)
    if key == "velocity":
        return np.full(size, FASTEST)
    limits = np.full(size, FARTHEST)
    limits[1:] = 1.0  # cosines and sines of the poles, behind the cart's place
    return limits
