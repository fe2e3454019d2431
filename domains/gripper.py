"""Gripper: a slide with a compliant finger, whose angle tells what it is dragged over.

In closed form, and not in PyBullet: the numbers given (a driven slide; a hinge's stiffness and
damping) fix the motion once three things are left out. The slide is strong: no contact slows it.
The finger is light: stiffness and damping alone say how fast it swings back. And what lies on the
track stays there. The finger then hangs as straight as it can beside or upon the obstacle, or is
still on its way back. Lengths are in cm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas, Colour

LENGTH = 100.0  # of the slide, which begins at 0
MIDDLE = LENGTH / 2
CLEAR = 6.0  # least distance from the obstacle's middle at first: there the finger hangs free
DT = 1 / 240  # s, a simulation step
STEPS = 100  # simulation steps for which the slide keeps a speed
STIFFNESS, DAMPING = 200.0, 50.0  # of the hinge: torque a rad, and a rad/s
BACK = STIFFNESS / DAMPING  # rate at which a free finger straightens, 1/s
# Ours, so that it is the finger's tip that slides over a bump, and never its side.
HINGE = 16.5  # height of the hinge over the track
BLADE = 15.0  # from the hinge to the tip
SMALL, LARGE = 3.0, 6.0  # radii of the bumps, half discs on the track

Limits = tuple[Rows, Rows]  # rad, (T + 1, n): the obstacle is between the first and the second


class Gripper(BaseEnv):
    """State (x in cm, θ in rad); θ > 0 where the finger's tip is left of its hinge.

    A bump lies on the track. Of the two edges one is right, the left one if the bump is small, and
    an episode ends at either. The finger is as wide as the track: it meets all that lies there.
    """

    metadata = drawn_at(fps=4)
    step_time = STEPS * DT
    bend: ClassVar[float] = math.acos((HINGE - LARGE) / BLADE)  # greatest |θ|: the tip is on top
    state_limit = (LENGTH, bend)
    extras = 4  # the right edge's side, the obstacle's middle and size, and x a step ago
    frame = Frame(size=(608, 240), scale=5.6, centre=(MIDDLE, 14.0))
    edges: ClassVar[tuple[float, float]] = (10.0, 90.0)
    span: ClassVar[tuple[float, float]] = (MIDDLE, MIDDLE)  # where the obstacle's middle may be
    sizes: ClassVar[tuple[float, float]] = (SMALL, LARGE)  # that mean the left and the right edge

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Toss a coin for the size, and draw the obstacle's place, and x anywhere clear of it."""
        side, middle = random.choice((-1.0, 1.0)), random.uniform(*self.span)
        x = random.uniform(*self.edges)
        while abs(x - middle) < CLEAR:
            x = random.uniform(*self.edges)
        return x, 0.0, side, middle, self.sizes[int(side > 0)], x

    def limits(self, x: Rows, size: Rows) -> Limits:
        """Return the angles that a hinge at x (cm) from an obstacle's middle cannot have."""
        away = np.hypot(x, HINGE)
        reach = (away**2 + BLADE**2 - size**2) / (2 * away * BLADE)  # cosine law; above 1: too far
        middle, half = np.arctan2(x, HINGE), np.arccos(np.minimum(reach, 1.0))
        return middle - half, middle + half

    def slide(self, speed: Rows) -> None:
        """Move at speeds (n,) in cm/s for 100 simulation steps, and no further than the slide."""
        x, angle, _, middle, size, *_ = self.values
        path = (x + speed * DT * np.arange(STEPS + 1)[:, None]).clip(0.0, LENGTH)  # (T + 1, n)
        angle = dragged(angle, self.limits(path - middle, size))
        self.values = np.array((path[-1], angle, *self.values[2:]))

    def arrivals(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return who is at the right edge, and who at the wrong one."""
        x, _, side, *_ = self.values
        left, right = x <= self.edges[0], x >= self.edges[1]
        return np.where(side > 0, right, left), np.where(side > 0, left, right)

    def draw(self, canvas: Canvas) -> None:
        """Draw the track, its edges as flags, the obstacle, the finger and where it came from."""
        x, angle, side, middle, size, before = self.values[:, 0].tolist()
        canvas.line([(0.0, 0.0), (LENGTH, 0.0)], "ink", width=0.6)
        for place, way in zip(self.edges, (-1.0, 1.0), strict=True):
            colour: Colour = "goal" if way == side else "limit"
            canvas.line([(place, 0.0), (place, 12.0)], colour, width=0.6)
            canvas.polygon([(place, 12.0), (place + 6.0 * way, 9.5), (place, 7.0)], colour)
        self.draw_obstacle(canvas, middle, size)
        canvas.line([(0.0, HINGE + 2.0), (LENGTH, HINGE + 2.0)], "faint", width=0.8)
        canvas.arrow([(before, HINGE + 7.0), (x, HINGE + 7.0)], "action", width=0.6)
        left, right, top = x - 4.0, x + 4.0, HINGE + 4.0
        canvas.polygon([(left, HINGE), (right, HINGE), (right, top), (left, top)], "body")
        tip = (x - BLADE * math.sin(angle), HINGE - BLADE * math.cos(angle))
        canvas.line([(x, HINGE), tip], "body", width=1.0)
        canvas.disc((x, HINGE), 0.9, "ink")
        canvas.text(f"x {x:.1f} cm    finger {math.degrees(angle):+.1f}°", row=0)
        canvas.text(f"the {'right' if side > 0 else 'left'} edge pays", row=1, colour="goal")

    def draw_obstacle(self, canvas: Canvas, middle: float, size: float) -> None:
        """Draw the bump."""
        round_ = np.linspace(0.0, math.pi, 37).tolist()
        dome = [(middle + size * math.cos(a), size * math.sin(a)) for a in round_]
        canvas.polygon(dome, "hidden")


def dragged(angle: Rows, limits: Limits) -> Rows:
    """Return the angles (n,) of fingers after they were dragged along limits, from `angle` (n,).

    Where the first limit is not below the second, nothing is in the way. There may be one stretch
    of a path where something is, which the finger leaves on the side on which it came.
    """
    right, left = limits
    back = np.exp(-BACK * DT * np.arange(len(left)))[:, None]  # what is left of a bend by then
    met = right < left
    first = met.argmax(0)[None]
    middle = np.take_along_axis(right + left, first, 0)[0] / 2
    side = np.where(angle * back[first[0], 0] > middle, 1.0, -1.0)
    # Seen from that side: what was bent at a step, too, straightens from then on.
    bent = np.where(met, np.where(side > 0, left, -right), -np.inf) * back[::-1]
    return side * np.maximum(side * angle * back[-1], bent.max(0))
