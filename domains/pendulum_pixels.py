"""The pendulum as a picture: the rod alone, in grey, drawn by arithmetic on all pixels at once."""

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from .pendulum import LENGTH, Pendulum

PIXELS = 84  # width and height
SIDE = 2.4  # width and height of what is seen, m; the pivot is in its middle
HALF = 0.1  # half the rod's width, m


class PixelPendulum(Pendulum):
    """The same pendulum; the observation is (1, 84, 84) bytes, the rod white on black."""

    def own_space(self) -> Box:
        """Return the space of a picture."""
        return Box(0, 255, (1, PIXELS, PIXELS), np.uint8)

    def seen(self) -> NDArray[np.uint8]:
        """Return the pictures (n, 1, 84, 84); edges are soft over one pixel."""
        pixel = SIDE / PIXELS
        across = (np.arange(PIXELS) + 0.5) * pixel - SIDE / 2
        x, y = across[None, None, :], -across[None, :, None]  # the first row is the highest
        angle = self.values[0][:, None, None]
        tip_x, tip_y = -np.sin(angle), np.cos(angle)
        along = (x * tip_x + y * tip_y).clip(0.0, LENGTH)
        away = np.hypot(x - along * tip_x, y - along * tip_y)
        shade = (0.5 + (HALF - away) / pixel).clip(0.0, 1.0)
        return np.rint(255 * shade).astype(np.uint8)[:, None]
