"""Tasks of the DeepMind Control Suite (Tassa et al., 2018, 1801.00690), as vectors or as pixels.

They come from the package dm_control itself, which is an extra: pip install 'offpcc[dmc]'.
"""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from .extras import missing
from .rendering import Frame, RenderedEnv, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

if sys.platform == "linux" and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}):
    # Left to itself, dm_control wants a window even where there is no display.
    found = [
        way for way, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if find_library(library)
    ]
    os.environ.setdefault("MUJOCO_GL", [*found, "disable"][0])

try:
    from dm_control import suite
except ImportError as error:
    raise DependencyNotInstalled(f"{missing('dm_control', 'dmc')} ({error})") from error

Observation = NDArray[Any]

PICTURE = (480, 480)  # of a rendering, pixels
PIXELS = 84  # width and height of an observation of pixels
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
ANGLES = ("orientation", "orientations")  # keys of cosines and sines
FARTHEST = 10.0  # where other positions are cut, m; a cart's rail ends at 1.8
FASTEST = 1000.0  # where velocities are cut, m/s and rad/s


class ControlSuite(RenderedEnv):
    """One task; an action is held for `skip` steps of control, and their rewards are summed.

    The observation is what the task tells, key after key: positions, then velocities. It never
    ends of itself. Raises DependencyNotInstalled without dm_control.
    """

    frame = Frame(PICTURE, scale=1.0)
    hidden_in = "paper"  # on the suite's dark ground

    def __init__(self, domain: str, task: str, skip: int, render_mode: str | None = None) -> None:
        """Load a task of a domain, both as the suite calls them."""
        super().__init__(render_mode)
        self.skip = skip
        endless = {"time_limit": float("inf"), "random": 0}
        self._suite = suite.load(domain, task, task_kwargs=endless)
        self.dt = float(self._suite.control_timestep() * skip)  # from one action to the next, s
        self.metadata = drawn_at(round(1 / self.dt))
        actions = self._suite.action_spec()
        self.action_space = Box(-1.0, 1.0, actions.shape, np.float32)
        timestep = self._suite.observation_spec().items()
        high = np.concatenate([_limits(*part) for part in timestep]).astype(np.float32)
        self.observation_space: Box = Box(-high, high, dtype=np.float32)

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
        timestep = self._suite.reset().observation
        self._show()
        return self.observe(timestep), {}

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

    def observe(self, timestep: dict[str, ArrayLike]) -> Observation:
        """Return what is seen when the task tells this."""
        values = np.concatenate([np.ravel(value) for value in timestep.values()])
        box = self.observation_space
        return values.astype(np.float32).clip(box.low, box.high)

    def photo(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) by the task's first camera; it needs OpenGL."""
        photo: NDArray[np.uint8] = self._suite.physics.render(height, width, camera_id=0)
        return photo

    def draw(self, canvas: Canvas) -> None:
        """Draw what the camera sees."""
        canvas.image(self.photo(*PICTURE))

    def close(self) -> None:
        """Close the window, if there is one, and what draws; closing twice does no harm."""
        super().close()
        self._suite.physics.free()


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

    def observe(self, timestep: dict[str, ArrayLike]) -> Observation:
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
