"""PyBullet for worlds behind the table: a physics server for each, and pictures of it.

The package is an extra: pip install 'offpcc[bullet]'.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

try:
    import pybullet
    from pybullet_utils.bullet_client import BulletClient
except ImportError as error:
    raise DependencyNotInstalled(
        f"it needs pybullet; pip install 'offpcc[bullet]' ({error})"
    ) from error


class Client(BulletClient):  # type: ignore[misc]
    """A physics server of its own, with pybullet's functions as methods; no other copy's.

    It keeps each function that was asked for, which `BulletClient` makes anew for every call.
    """

    def __init__(self, window: bool = False) -> None:
        """Start it, in a window if asked to. Raises ValueError where there is no display for one.

        Without a display pybullet itself would end the whole program.
        """
        self._client = -1  # none yet; the parent's __del__ looks for it
        if window and sys.platform == "linux" and not os.environ.get("DISPLAY"):
            raise ValueError("there is no display to open a window on; use render_mode 'rgb_array'")
        self._shapes: dict[Any, Any] = {}
        self._pid = os.getpid()
        # Not the parent's way: with options, even empty ones, pybullet prints a line for each.
        self._client = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        if self._client < 0:
            raise RuntimeError("pybullet has no physics server left; close worlds that are done")

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name != "disconnect":
            self.__dict__[name] = found
        return found


class Camera(NamedTuple):
    """Where a scene is seen from: so far from a target, in degrees round and above it."""

    distance: float  # m
    yaw: float  # degrees; 0 looks along y
    pitch: float  # degrees; 0 looks along the floor, -90 down
    size: tuple[int, int] = (480, 320)  # width and height of the picture, pixels
    angle: float = 50.0  # from the picture's top to its bottom, degrees

    def photo(self, client: Client, target: Sequence[float]) -> NDArray[np.uint8]:
        """Return a picture (H, W, 3) with the target (3,) in the middle; it needs no display."""
        width, height = self.size
        view = client.computeViewMatrixFromYawPitchRoll(
            target, self.distance, self.yaw, self.pitch, 0, 2
        )
        lens = client.computeProjectionMatrixFOV(self.angle, width / height, 0.1, 100.0)
        pixels = client.getCameraImage(
            width, height, view, lens, renderer=pybullet.ER_TINY_RENDERER
        )[2]
        return np.reshape(pixels, (height, width, 4)).astype(np.uint8)[:, :, :3]

    def follow(self, client: Client, target: Sequence[float]) -> None:
        """Turn the client's window to the target (3,)."""
        client.resetDebugVisualizerCamera(self.distance, self.yaw, self.pitch, target)
