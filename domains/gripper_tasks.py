"""What grippers are to find out: how large a bump is, or whether there is a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import Rows
from .gripper import BLADE, HINGE, LENGTH, MIDDLE, Gripper, Limits

if TYPE_CHECKING:
    from .canvas import Canvas

GAIN = 1.0  # of the controller, cm/s a cm
TRIES = 50  # most speeds that it sets in a step
CLOSE = 1.0  # distance at which it stops, cm
FAST = 15.0  # speed at action 1, cm/s
WIDE, HIGH = 5.0, 4.0  # half the box's width, and its height, cm


class BumpTop(Gripper):
    """The action says where to be: 50 a + 50 cm, and a controller goes there within 1 cm.

    The observation is (x / 100, θ). The right edge pays 1, the wrong one -1.
    """

    high = (1.0, Gripper.bend)
    low = (0.0, -Gripper.bend)

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Set a speed in proportion to what is left of the way, until little is."""
        target = MIDDLE + MIDDLE * action[0]
        self.values[5] = self.values[0]
        moving, tries = np.ones(len(target), bool), 0
        while moving.any() and tries < TRIES:
            before = self.values
            self.slide(GAIN * (target - before[0]))
            self.values = np.where(moving, self.values, before)
            moving, tries = moving & (abs(target - self.values[0]) >= CLOSE), tries + 1
        self.success, lost = self.arrivals()
        return self.success.astype(np.float64) - lost, self.success | lost

    def observe(self) -> Sequence[Rows]:
        """Return (x / 100 cm, θ in rad)."""
        return self.values[0] / LENGTH, self.values[1]


class BoxTop(BumpTop):
    """The same with a box in the middle, or none: with one the left edge is right."""

    bend = math.acos((HINGE - HIGH) / BLADE)  # the tip slides along the top
    high = (1.0, bend)
    low = (0.0, -bend)
    state_limit = (LENGTH, bend)
    edges = (5.0, 95.0)
    sizes = (1.0, 0.0)  # how many boxes there are

    def limits(self, x: Rows, size: Rows) -> Limits:
        """Return the angles that a hinge at x (cm) from a box's middle cannot have."""
        right = np.where(size > 0, self._against(x - WIDE), 0.0)
        left = np.where(size > 0, -self._against(-x - WIDE), 0.0)
        return right, left

    def _against(self, away: Rows) -> Rows:
        """Return the angle of a blade that leans, from the right, on a wall `away` cm to its left.

        Towards the wall it is the tip that touches; away from it the side, at the upper corner; and
        on the box the tip.
        """
        tip = np.arcsin(np.clip(away / BLADE, 0.0, 1.0))
        corner = np.arctan2(away, HINGE - HIGH)
        return np.maximum(np.where(away > 0, tip, corner), -self.bend)

    def draw_obstacle(self, canvas: Canvas, middle: float, size: float) -> None:
        """Draw the box, or its outline where there is none."""
        left, right = middle - WIDE, middle + WIDE
        corners = [(left, 0.0), (left, HIGH), (right, HIGH), (right, 0.0)]
        if size > 0:
            canvas.polygon(corners, "hidden")
        else:
            canvas.line(corners, "faint", width=0.3)


class BumpMdp(Gripper):
    """The action is a velocity, 15 a cm/s, kept for 100 simulation steps; the bump lies anywhere.

    The observation is (x / 90, θ, 1 if the left edge is right). The right edge pays 1.
    """

    high = (LENGTH / 90, Gripper.bend, 1.0)
    low = (0.0, -Gripper.bend, 0.0)
    span = (40.0, 60.0)

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Move on."""
        self.values[5] = self.values[0]
        self.slide(FAST * action[0])
        self.success, lost = self.arrivals()
        return self.success.astype(np.float64), self.success | lost

    def observe(self) -> Sequence[Rows]:
        """Return (x / 90 cm, θ in rad, the flag)."""
        return self.values[0] / 90, self.values[1], self.values[2] < 0
