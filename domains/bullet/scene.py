"""Scene: an environment in PyBullet of its own, beside any number of others in one process."""

import ctypes
import math
import os
import sys
import tempfile
import weakref
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from ..extras import missing
from .urdf import ORIGIN, Triple

try:
    import pybullet
except ImportError as error:
    raise DependencyNotInstalled(f"{missing('pybullet', 'bullet')} ({error})") from error

GRAVITY = -9.8  # m/s²
DT = 1 / 240  # a step, s
WINDOW_ANGLE = 90.0  # from the window's bottom to its top, degrees; PyBullet does not let it be set


class Camera(NamedTuple):
    """Where a scene is looked at from, and how."""

    target: Triple  # in the picture's middle, m
    distance: float  # from there, m
    yaw: float  # degrees; 0 looks along y, 90 against x
    pitch: float  # degrees; below 0 looks down
    angle: float = 40.0  # from the picture's bottom to its top, degrees


class Scene:
    """Bodies in a client of PyBullet; every call goes to that client alone.

    `scene.call.name(...)` is `pybullet.name(...)` of this client.
    """

    def __init__(self, drawn: bool = False, window: bool = False) -> None:
        """Make it without bodies; where nothing is `drawn`, colours and looks are not loaded.

        Raises ValueError if a window is asked for and there is no display to open it on.
        """
        if window and not has_display():
            raise ValueError("there is no display to open a window on; use render_mode 'rgb_array'")
        # With options, even empty ones, PyBullet writes a line to stdout.
        client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        if client < 0:
            raise RuntimeError("PyBullet has no room for another environment; close some")
        self.call = Calls(client)
        self._drawn = drawn
        unseen = 0 if drawn else pybullet.URDF_IGNORE_VISUAL_SHAPES
        self._flags = pybullet.URDF_USE_INERTIA_FROM_FILE | unseen
        self._clock = _clock() if window else None
        self._end = weakref.finalize(self, pybullet.disconnect, client)

    def clear(self) -> None:
        """Begin with nothing but gravity, and so with nothing of what was before."""
        self.call.resetSimulation()
        self.call.setGravity(0.0, 0.0, GRAVITY)
        self.call.setTimeStep(DT)

    def load(self, body: str, at: Triple = ORIGIN, turned: float = 0.0, fixed: bool = True) -> int:
        """Return the number of a body, given as URDF, at a place (m), turned about z (rad).

        The base of one that is `fixed` never moves.
        """
        handle, path = tempfile.mkstemp(suffix=".urdf")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(body)
            number: int = self.call.loadURDF(
                path,
                basePosition=at,
                baseOrientation=pybullet.getQuaternionFromEuler((0.0, 0.0, turned)),
                useFixedBase=fixed,
                flags=self._flags,
            )
        finally:
            os.unlink(path)
        return number

    def show(self, body: str, at: Triple) -> None:
        """Load a body that is there only to be seen, if anything is."""
        if self._drawn:
            self.load(body, at)

    def step(self) -> None:
        """Move on by 1/240 s; where there is a window, no faster than a clock."""
        self.call.stepSimulation()
        if self._clock is not None:
            self._clock.tick(round(1 / DT))

    def place(self, body: int) -> Triple:
        """Return where a body is, m."""
        place: Triple = self.call.getBasePositionAndOrientation(body)[0]
        return place

    def photo(self, size: tuple[int, int], camera: Camera) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of `size` (width, height), drawn without a GPU."""
        width, height = size
        target, distance, yaw, pitch, angle = camera
        view = pybullet.computeViewMatrixFromYawPitchRoll(target, distance, yaw, pitch, 0.0, 2)
        lens = pybullet.computeProjectionMatrixFOV(angle, width / height, 0.05, 100.0)
        drawer = pybullet.ER_TINY_RENDERER
        rgba = self.call.getCameraImage(width, height, view, lens, renderer=drawer)[2]
        return np.ascontiguousarray(np.reshape(rgba, (height, width, 4))[..., :3].astype(np.uint8))

    def look(self, camera: Camera) -> None:
        """Show the window's picture by this camera, from so near that as much is in it."""
        target, distance, yaw, pitch, angle = camera
        distance *= math.tan(math.radians(angle / 2)) / math.tan(math.radians(WINDOW_ANGLE / 2))
        self.call.configureDebugVisualizer(pybullet.COV_ENABLE_GUI, 0)  # no panels beside it
        self.call.resetDebugVisualizerCamera(distance, yaw, pitch, target)

    def close(self) -> None:
        """Give everything back; closing twice does no harm."""
        self._end()


class Calls:
    """PyBullet's functions, bound to one client, and its constants."""

    def __init__(self, client: int) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(pybullet, name)
        if callable(found):
            found = partial(found, physicsClientId=self.client)
        setattr(self, name, found)
        return found


def has_display() -> bool:
    """Whether PyBullet could open a window; where it cannot, it would end the interpreter."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)


def _clock() -> Any:
    from pygame.time import Clock  # loaded only where a person looks on

    return Clock()
